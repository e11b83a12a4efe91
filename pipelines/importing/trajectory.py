"""One recorded trajectory as an RLDS episode."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import __version__
from ...datasets import keys
from ...datasets.episode import Column, Episode
from ...datasets.schema import STEP_FIELDS, Field, FieldDoc, Schema
from .observations import ObservationLayout

GRASP_PENALTY = "grasp_penalty"
_NO_SEED = -1


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """N actions between N + 1 observations.

    Attributes:
      observations: N + 1 arrays by key of the source.
      actions: (N, A) float32.
      rewards: (N,) float32.
      terminal: the last action ended the task, rather than a time limit.
      success: the task was achieved.
      intervened: (N,) bool: a human drove.
      instruction: what the robot was asked to do.
      extras: further (N,) float32 values of the actions, by field.
    """

    observations: Mapping[str, Sequence[np.ndarray]]
    actions: np.ndarray
    rewards: np.ndarray
    terminal: bool
    success: bool
    intervened: np.ndarray
    instruction: str
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class EpisodeFrame:
    """What the episodes of an import have in common.

    Attributes:
      layout: of the observations.
      action: the field.
      hz: rate of actions; None where it is not known, then there are no time stamps.
      task, env_id, robot, collector: for the metadata.
      extras: names of further fields of the actions.
    """

    layout: ObservationLayout
    action: Field
    hz: float | None
    task: str
    env_id: str
    robot: str
    collector: str
    extras: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The schema of the episodes."""
        timed = self.hz is not None
        step_fields = (field for field in STEP_FIELDS if timed or field.path != keys.TIMESTAMP_S)
        extras = (
            Field(name, "float32", about=FieldDoc("Recorded with the action."))
            for name in self.extras
        )
        fields = (*self.layout.fields, self.action, *extras, *step_fields)
        return Schema(tuple(sorted(fields, key=lambda field: field.path)))

    def episode(self, trajectory: Trajectory, stem: str, index: int) -> Episode:
        """The episode of a trajectory.

        Args:
          trajectory: what was recorded.
          stem: name of its file, for the episode id.
          index: its number in that file.

        Raises:
          BadEpisodeError: its observations are not like those of the layout.
        """
        count = len(trajectory.actions)
        steps = np.arange(count + 1)
        discount = np.ones(count, np.float32)
        discount[-1] = 0.0 if trajectory.terminal else 1.0
        columns: dict[str, Column] = {
            **self.layout.columns(trajectory.observations),
            keys.ACTION: _with_void_row(trajectory.actions),
            keys.REWARD: _with_void_row(trajectory.rewards),
            keys.DISCOUNT: _with_void_row(discount),
            keys.IS_FIRST: steps == 0,
            keys.IS_LAST: steps == count,
            keys.IS_TERMINAL: (steps == count) & trajectory.terminal,
            keys.LANGUAGE_INSTRUCTION: [trajectory.instruction] * (count + 1),
            keys.INTERVENED: _with_void_row(trajectory.intervened),
            **{name: _with_void_row(trajectory.extras[name]) for name in self.extras},
        }
        if self.hz is not None:
            columns[keys.TIMESTAMP_S] = (steps / self.hz).astype(np.float32)
        return Episode(columns, self._metadata(trajectory, stem, index))

    def _metadata(self, trajectory: Trajectory, stem: str, index: int) -> dict[str, Any]:
        return {
            keys.EPISODE_ID: episode_id(trajectory, stem, index),
            keys.TASK: self.task,
            keys.ENV_ID: self.env_id,
            keys.ROBOT: self.robot,
            keys.COLLECTOR: self.collector,
            keys.POLICY_CHECKPOINT: "",
            keys.SUCCESS: trajectory.success,
            keys.SEED: _NO_SEED,
            keys.CONTROL_HZ: self.hz or 0.0,
            keys.CREATED_UTC: "",
            keys.SERLDS_VERSION: __version__,
        }


def episode_id(trajectory: Trajectory, stem: str, index: int) -> str:
    """`<file>-<index>-<hash>`: the same for the same recording, another for any other.

    The hash is over actions, rewards and states; frames are left out because they are large.
    """
    digest = hashlib.sha256()
    for array in (trajectory.actions, trajectory.rewards):
        digest.update(np.ascontiguousarray(array).tobytes())
    for key in sorted(trajectory.observations):
        rows = trajectory.observations[key]
        if rows[0].dtype != np.uint8:
            for row in rows:
                digest.update(np.ascontiguousarray(row).tobytes())
    return f"{stem}-{index:05d}-{digest.hexdigest()[:12]}"


def _with_void_row(values: np.ndarray) -> np.ndarray:
    # RLDS: the last step holds an observation; its action, reward and discount mean nothing.
    return np.concatenate([values, np.zeros_like(values[:1])])
