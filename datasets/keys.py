"""The names of the fields of an RLDS episode, each written down here and nowhere else.

A field inside a step is named by its path: the keys of the nested RLDS step joined by `/`.
RLDS: https://github.com/google-research/rlds
"""

STEPS = "steps"
EPISODE_METADATA = "episode_metadata"

# Step fields.
OBSERVATION = "observation"
IMAGE = "image"
STATE = "state"
IMAGE_PREFIX = "observation/image/"
STATE_PREFIX = "observation/state/"
ACTION = "action"
ACTION_REQUESTED = "action_requested"
REWARD = "reward"
DISCOUNT = "discount"
IS_FIRST = "is_first"
IS_LAST = "is_last"
IS_TERMINAL = "is_terminal"
LANGUAGE_INSTRUCTION = "language_instruction"
INTERVENED = "intervened"
TIMESTAMP_S = "timestamp_s"

# Episode metadata.
EPISODE_ID = "episode_id"
TASK = "task"
ENV_ID = "env_id"
ROBOT = "robot"
COLLECTOR = "collector"
POLICY_CHECKPOINT = "policy_checkpoint"
SUCCESS = "success"
SEED = "seed"
CONTROL_HZ = "control_hz"
CREATED_UTC = "created_utc"
SERLDS_VERSION = "serlds_version"

COLLECTORS = ("scripted", "teleop", "policy", "random", "mixed")
SPLIT = "train"
