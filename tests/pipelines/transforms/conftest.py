"""Episodes of the made-up arm with a tool orientation, in both forms of the last step."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode
from serlds.datasets.schema import Field, FieldDoc, Schema

ROTVEC = "observation/state/tcp_rotvec"


@dataclasses.dataclass(frozen=True)
class PoseWorld:
    """The arm of `world`, whose tool also turns; actions are deltas or absolute poses."""

    arm: object
    absolute: bool = False

    @property
    def schema(self) -> Schema:
        turned = FieldDoc("Turn of the tool.", "rad", "robot base")
        fields = (*self.arm.schema.steps, Field(ROTVEC, "float32", (3,), None, turned))
        if self.absolute:
            about = FieldDoc("Pose to reach.", "m, m, m, rad, rad, rad, fraction of opening")
            fields = tuple(
                dataclasses.replace(field, about=about) if field.path == "action" else field
                for field in fields
            )
        return Schema(fields)

    def episode(self, index=0, actions=12, success=True, last_row=True) -> Episode:
        """An episode; without `last_row` it has no row after its last action."""
        episode = self.arm.episode(index, actions, success)
        columns = dict(episode.columns)
        rng = np.random.default_rng(index + 1000)
        columns[ROTVEC] = Rotation.random(actions + 1, rng).as_rotvec().astype(np.float32)
        if self.absolute:
            action = np.array(columns["action"])
            action[:-1, :3] = columns["observation/state/tcp_pos"][:-1] + action[:-1, :3] * 0.02
            action[:-1, 3:6] = Rotation.random(actions, rng).as_rotvec()
            columns["action"] = action
        if not last_row:
            columns = {path: column[:-1] for path, column in columns.items()}
            columns["is_last"] = np.arange(actions) == actions - 1
            columns["is_terminal"] = columns["is_last"] & success
        return Episode(columns, episode.metadata)


@pytest.fixture(scope="session")
def deltas(arm_world):
    return PoseWorld(arm_world)


@pytest.fixture(scope="session")
def poses(arm_world):
    return PoseWorld(arm_world, absolute=True)


@pytest.fixture(scope="session")
def frozen():
    """Makes the arrays of an episode read-only, so that writing into one is an error."""

    def freeze(episode):
        for column in episode.columns.values():
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        return Episode(
            {
                path: column if isinstance(column, np.ndarray) else tuple(column)
                for path, column in episode.columns.items()
            },
            dict(episode.metadata),
        )

    return freeze
