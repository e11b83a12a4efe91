"""Small real datasets of a made-up arm that moves as its actions say, seen by its camera."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets.episode import Episode, encode_image
from serlds.datasets.schema import STEP_FIELDS, Field, FieldDoc, Schema
from serlds.datasets.store import EpisodeStore

STEP_M, STEP_RAD = 0.02, 0.1
INSTRUCTION = "pick up the cube"


@dataclasses.dataclass(frozen=True)
class ArmWorld:
    """Makes episodes of a schema and datasets of episodes."""

    cameras: tuple[str, ...] = ("front",)
    size: tuple[int, int] = (32, 48)
    encoding: str = "jpeg"

    @property
    def schema(self) -> Schema:
        action = FieldDoc(
            "Change of the commanded tool pose; last the gripper: +1 open, -1 closed.",
            "m, m, m, rad, rad, rad, fraction of opening",
            "robot base",
            (STEP_M,) * 3 + (STEP_RAD,) * 3 + (1.0,),
        )
        position = FieldDoc("Position of the tool.", "m", "robot base")
        fields = (
            Field("action", "float32", (7,), None, action),
            *(
                Field(f"observation/image/{camera}", "uint8", (*self.size, 3), self.encoding)
                for camera in self.cameras
            ),
            Field("observation/state/gripper_pos", "float32", (1,), None, FieldDoc(unit="m")),
            Field("observation/state/tcp_pos", "float32", (3,), None, position),
            *STEP_FIELDS,
        )
        return Schema(tuple(sorted(fields, key=lambda field: field.path)))

    def episode(self, index: int, actions: int = 12, success: bool = True) -> Episode:
        """An episode of `actions` random actions; a success ends with reward 1 and terminates."""
        rng = np.random.default_rng(index)
        action = rng.uniform(-1, 1, (actions + 1, 7)).astype(np.float32)
        action[:, 6] = np.where(np.arange(actions + 1) < actions // 2, 1, -1)
        action[-1] = 0
        moved = np.vstack([np.zeros((1, 3)), np.cumsum(action[:-1, :3] * STEP_M, axis=0)])
        rows = np.arange(actions + 1)
        reward, discount = np.zeros(actions + 1, np.float32), np.ones(actions + 1, np.float32)
        discount[-1] = 0
        if success:
            reward[-2], discount[-2] = 1, 0
        columns = {
            "action": action,
            "observation/state/gripper_pos": (action[:, 6:] * 0.02 + 0.02).astype(np.float32),
            "observation/state/tcp_pos": (moved + np.array([0.3, 0, 0.2])).astype(np.float32),
            "reward": reward,
            "discount": discount,
            "is_first": rows == 0,
            "is_last": rows == actions,
            "is_terminal": (rows == actions) & success,
            "language_instruction": [INSTRUCTION] * (actions + 1),
            "intervened": np.zeros(actions + 1, bool),
            "timestamp_s": (rows * 0.1).astype(np.float32),
        }
        for camera in self.cameras:
            columns[f"observation/image/{camera}"] = [
                encode_image(self._frame(row), self.encoding) for row in rows
            ]
        return Episode(columns, self._metadata(index, success))

    def dataset(self, directory, episodes):
        """Records the episodes to a dataset and returns its path."""
        with EpisodeStore.open(directory, self.schema, env_id="test/Arm-v0") as store:
            for episode in episodes:
                store.append(episode)
        return directory

    def _frame(self, row: int) -> np.ndarray:
        frame = np.full((*self.size, 3), 60, np.uint8)
        frame[:, : 2 * row + 2] = (200, 100, 10)
        return frame

    def _metadata(self, index: int, success: bool) -> dict:
        return {
            "episode_id": f"episode-{index:05d}",
            "task": "pick",
            "env_id": "test/Arm-v0",
            "robot": "made-up arm",
            "collector": "scripted",
            "policy_checkpoint": "",
            "success": success,
            "seed": index,
            "control_hz": 10.0,
            "created_utc": "2026-01-01T00:00:00+00:00",
            "serlds_version": "0.0.0",
        }


@pytest.fixture(scope="session")
def arm_world() -> ArmWorld:
    return ArmWorld()


@pytest.fixture
def world(arm_world) -> ArmWorld:
    return arm_world


@pytest.fixture
def state_world(arm_world) -> ArmWorld:
    return dataclasses.replace(arm_world, cameras=())
