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
# How old on a robot each part of the observation was when it was made.
AGE_PREFIX = "age_s/"
STATE_AGE = "age_s/state"
IMAGE_AGE_PREFIX = "age_s/image/"
# What became of the action there.
SENT_PREFIX = "robot/"
REQUESTED_JOINTS = "robot/requested_joint_rad"
SENT_JOINTS = "robot/sent_joint_rad"
CLAMPS = "robot/clamps"

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
LABEL = "label"
"""Only of episodes recorded for a success classifier: what every step of them shows."""

LABELS = ("success", "failure")


def is_of_action(path: str) -> bool:
    """Whether a step field tells of the action taken from its step, not of the observation."""
    return path in _OF_ACTION or path.startswith(SENT_PREFIX)


_OF_ACTION = frozenset({ACTION, ACTION_REQUESTED, INTERVENED, REWARD, DISCOUNT})

COLLECTORS = ("scripted", "teleop", "policy", "random", "mixed")
SPLIT = "train"
