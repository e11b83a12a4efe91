"""An arm with all that the checks look at: pose, joints, gripper, a coloured moving picture."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode, encode_image
from serlds.datasets.schema import STEP_FIELDS, Field, FieldDoc, Schema
from serlds.pipelines.checks.check import Evidence
from serlds.pipelines.checks.examination import Examiner, judge
from serlds.pipelines.checks.fields import Fields
from serlds.pipelines.checks.options import CheckOptions

STEP_M, STEP_RAD, HZ = 0.02, 0.1, 10.0
FRONT = "observation/image/front"
STATE = "observation/state/"
SIZE = (48, 64)


@dataclasses.dataclass(frozen=True)
class FullArm:
    """Smooth motions; of the way to its target the arm goes the share `alpha` in each step."""

    alpha: float = 1.0
    noise: float = 0.0
    camera: bool = True

    @property
    def schema(self) -> Schema:
        action = FieldDoc(
            "Change of the commanded tool pose; last the gripper, absolute: +1 open, -1 closed.",
            "m, m, m, rad, rad, rad, fraction of opening",
            "robot base",
            (STEP_M,) * 3 + (STEP_RAD,) * 3 + (1.0,),
        )
        states = {"gripper_pos": (1, "m"), "joint_pos": (6, "rad"), "tcp_pos": (3, "m"),
                  "tcp_quat": (4, "1")}  # fmt: skip
        images = (Field(FRONT, "uint8", (*SIZE, 3), "jpeg"),) if self.camera else ()
        fields = (
            Field("action", "float32", (7,), None, action),
            *images,
            *(
                Field(STATE + name, "float32", (size,), None, FieldDoc(unit=unit))
                for name, (size, unit) in states.items()
            ),
            Field("language_embedding", "float32", (8,)),
            *STEP_FIELDS,
        )
        return Schema(tuple(sorted(fields, key=lambda field: field.path)))

    def episode(self, index: int, actions: int = 40, success: bool = True) -> Episode:
        rng = np.random.default_rng(index)
        rows = np.arange(actions + 1)
        waves = rng.uniform(0.1, 0.5, (6, 3)), rng.uniform(0, 6.3, (6, 3))
        motion = np.sin(rows[:, None, None] * waves[0] + waves[1]).mean(axis=2) * 1.2
        motion += self.noise * rng.standard_normal(motion.shape)
        action = np.zeros((actions + 1, 7), np.float32)
        action[:, :6] = np.clip(motion, -0.99, 0.99)
        action[:, 6] = np.where(rows < actions // 2, 1, -1)
        action[-1] = 0
        position, gripper = np.zeros((actions + 1, 3)), np.zeros(actions + 1)
        position[0] = target = np.array([0.3, 0.0, 0.2]) + rng.uniform(-0.05, 0.05, 3)
        turn = [Rotation.from_rotvec(rng.uniform(-0.3, 0.3, 3))]
        gripper[0] = 0.04
        for t in range(actions):
            target = target + action[t, :3] * STEP_M
            position[t + 1] = position[t] + self.alpha * (target - position[t])
            turn.append(Rotation.from_rotvec(action[t, 3:6] * STEP_RAD) * turn[-1])
            gripper[t + 1] = gripper[t] + 0.5 * (0.02 + 0.02 * action[t, 6] - gripper[t])
        reward, discount = np.zeros(actions + 1, np.float32), np.ones(actions + 1, np.float32)
        discount[-1] = 0
        if success:
            reward[-2], discount[-2] = 1, 0
        quat = Rotation.concatenate(turn).as_quat()
        flips = np.cumprod(np.where(np.sum(quat[1:] * quat[:-1], axis=1) < 0, -1, 1))
        quat[1:] *= flips[:, None]
        columns = {
            "action": action,
            STATE + "gripper_pos": gripper[:, None].astype(np.float32),
            STATE + "joint_pos": np.cumsum(motion * 0.05, axis=0).astype(np.float32),
            STATE + "tcp_pos": position.astype(np.float32),
            STATE + "tcp_quat": quat.astype(np.float32),
            "language_embedding": np.full((actions + 1, 8), 8**-0.5, np.float32),
            "reward": reward,
            "discount": discount,
            "is_first": rows == 0,
            "is_last": rows == actions,
            "is_terminal": (rows == actions) & success,
            "language_instruction": ["pick up the cube"] * (actions + 1),
            "intervened": np.zeros(actions + 1, bool),
            "timestamp_s": (rows / HZ).astype(np.float32),
        }
        if self.camera:
            columns[FRONT] = [encode_image(picture(place), "jpeg") for place in position]
        metadata = {
            "episode_id": f"episode-{index:05d}", "task": "pick", "env_id": "test/Arm-v0",
            "robot": "made-up arm", "collector": "scripted", "policy_checkpoint": "",
            "success": success, "seed": index, "control_hz": HZ,
            "created_utc": "2026-01-01T00:00:00+00:00", "serlds_version": "0.0.0",
        }  # fmt: skip
        return Episode(columns, metadata)

    def episodes(self, count: int = 12) -> list[Episode]:
        return [self.episode(index, success=index % 3 > 0) for index in range(count)]


def picture(place: np.ndarray) -> np.ndarray:
    """A brown table with a bright block where the tool is."""
    frame = np.full((*SIZE, 3), (150, 100, 60), np.uint8)
    # At an edge it turns back: what moves is never out of sight.
    row, column = (np.abs((place[:2] + place[2]) / 0.3 % 2 - 1) * np.subtract(SIZE, 14)).astype(int)
    frame[row : row + 14, column : column + 14] = (220, 220, 120)
    noise = np.random.default_rng(np.frombuffer(place.tobytes(), np.uint32)).integers(
        0, 4, frame.shape
    )
    return frame + noise.astype(np.uint8)


def found_in(schema, episodes, options=None, references=None):
    """All findings about episodes, by the code that the pipeline runs, without the pipeline."""
    options = options or CheckOptions(images="all")
    fields, examiner = Fields(schema), Examiner(schema, options)
    found = [
        finding.at(episode.episode_id, "file", record)
        for record, episode in enumerate(episodes)
        for finding in examiner.findings(episode)
    ]
    evidence = Evidence(
        schema,
        fields,
        examiner.sums(),
        HZ,
        references or {},
        lambda ordinals: [(episodes[at].episode_id, "file", at) for at in ordinals],
    )
    return found + list(judge(options.made(fields), evidence, options))


@pytest.fixture(scope="session")
def full_arm() -> FullArm:
    return FullArm()


@pytest.fixture(scope="session")
def clean(full_arm) -> list[Episode]:
    """Twelve episodes of the arm; tests change copies of them."""
    return full_arm.episodes()


@pytest.fixture(scope="session")
def find():
    return found_in
