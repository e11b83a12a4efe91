"""Bringing episodes to a lower rate."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import SchemaError, UsageError
from ...datasets.schema import Field, Schema
from ..action_rows import num_action_rows
from ..findings import ERROR, BadEpisodeError, Finding
from .physical import check_in_scale
from .pose_actions import (
    NO_ROTATION,
    action_fields,
    physical_values,
    pose_size,
    read_poses,
    write_poses,
)
from .poses import Frame, composed
from .rotations import MaybeRepresentation, rotation_unit
from .rows import merge_steps
from .schema_edits import (
    field_of,
    metadata_field,
    replace_fields,
    scale_of,
    vector_field,
    with_about,
)
from .transform import Transform

_RATE_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Subsample(Transform):
    """Keeps every k-th step; what happened in between is merged, not lost.

    The steps 0, k, 2k, ... and the observation after the last action stay; the last new step may
    stand for fewer than k old ones. Rewards in between are summed (undiscounted), discounts
    multiplied, and a step counts as intervened where any of its old ones was. Timestamps stay as
    recorded, so they tell the new rate; `control_hz` in the metadata is divided by k. What becomes
    of the actions has to be said, because data do not tell what their actions are.
    The largest displacement grows with k. Where the schema has a scale, it becomes k times the old
    one for what adds up (joints; translations in base axes), and k times the length of the old ones
    together for what turns on the way (rotation vectors; translations in tool axes), because turns
    about different axes can reach more in one dimension than each of them does.

    Attributes:
      actions: `absolute`: targets, the last one is taken. `pose_delta`: displacements of the tool
        pose (3 translations, a rotation, then e.g. the gripper); they are composed on SO(3), the
        rest is taken last. `joint_delta`: all dimensions but the last, the gripper, are summed.
      every: k, a whole number; 0: from `hz`.
      hz: new rate in Hz; `control_hz` in the metadata of each episode must be a whole multiple.
      rotation: with `pose_delta`, representation of the rotation from dimension 3 on; `none` where
        actions only translate.
      frame: with `pose_delta`, axes of the displacements, see `to_delta_actions`.
      scale_rad: with `pose_delta` and a scale in the schema, angle in rad that 1.0 shall stand for;
        an episode with a larger turn becomes a dead letter. 0: as said above.
    """

    name: ClassVar[str] = "subsample"
    example: ClassVar[str] = "subsample:every=2,actions=pose_delta"
    actions: Literal["absolute", "pose_delta", "joint_delta"]
    every: int = 0
    hz: float = 0.0
    rotation: MaybeRepresentation = "rotvec"
    frame: Frame = "base"
    scale_rad: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.every >= 1) == (self.hz > 0) or self.every < 0 or self.hz < 0:
            raise UsageError(
                f"{self.name}: expected either every, at least 1, or hz, above 0; found "
                f"every={self.every}, hz={self.hz:g}"
            )

        usable = self.actions == "pose_delta" and self._turns_are_angles
        self._require(
            "scale_rad", self.scale_rad == 0 or (self.scale_rad > 0 and usable), "0 without angles"
        )

    def map_schema(self, schema: Schema) -> Schema:
        if self.hz:
            metadata_field(self.name, schema, keys.CONTROL_HZ)
        changed = {}
        for field in self._action_fields(schema):
            if self.actions == "absolute" or not field.about.scale:
                continue
            if self.hz:
                raise SchemaError(
                    f"{self.name}: {field.path} has a scale, which would depend on the rate of "
                    f"each episode; give every= instead of hz="
                )
            scale = self._new_scale(field, self.every)
            changed[field.path] = with_about(field, scale=tuple(scale.tolist()))
        return replace_fields(schema, changed)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        every = self.every or self._factor(episode)
        if every == 1:
            return episode
        rows = num_action_rows(episode)
        starts = np.arange(0, rows, every)
        merged = merge_steps(episode, starts)
        columns, metadata = merged.columns, dict(merged.metadata)
        if keys.INTERVENED in columns:
            driven = np.asarray(episode.columns[keys.INTERVENED])[:rows]
            columns[keys.INTERVENED] = np.array(columns[keys.INTERVENED])
            columns[keys.INTERVENED][: len(starts)] = np.logical_or.reduceat(driven, starts)
        for field in self._action_fields(schema):
            column = np.array(columns[field.path])
            actions = np.asarray(episode.columns[field.path])[:rows]
            column[: len(starts)] = self._merged(actions, starts, field, every)
            columns[field.path] = column
        if keys.CONTROL_HZ in metadata:
            metadata[keys.CONTROL_HZ] = metadata[keys.CONTROL_HZ] / every
        return Episode(columns, metadata)

    def _action_fields(self, schema: Schema) -> tuple[Field, ...]:
        if self.actions == "pose_delta":
            return action_fields(self.name, schema, self.rotation)
        paths = [path for path in (keys.ACTION, keys.ACTION_REQUESTED) if path in schema]
        read = vector_field if self.actions == "joint_delta" else field_of
        return tuple(read(self.name, schema, path) for path in paths or [keys.ACTION])

    def _merged(
        self, actions: np.ndarray, starts: np.ndarray, field: Field, every: int
    ) -> np.ndarray:
        """The action of each new step: (K, A)."""
        last = actions[np.append(starts[1:], len(actions)) - 1]
        if self.actions == "absolute":
            return last
        result = np.array(last, np.float64)
        physical = physical_values(actions, field, len(actions))
        if self.actions == "joint_delta":
            changed = slice(0, field.size - 1)
            result[:, changed] = np.add.reduceat(physical[:, changed], starts, axis=0)
        else:
            changed = slice(0, pose_size(self.rotation))
            deltas = read_poses(physical, self.rotation, field.path)
            together = composed(deltas, starts, self.frame)
            result[:, changed] = write_poses(together, self.rotation)
        if field.about.scale:
            scale = self._new_scale(field, every)
            result[:, changed] /= scale[changed]
            check_in_scale(result[:, changed], scale, field.path)
        return result.astype(actions.dtype)

    def _new_scale(self, field: Field, every: int) -> np.ndarray:
        """Physical value of 1.0 in each dimension (A,) where `every` old steps make a new one."""
        scale = np.array(scale_of(field))
        if self.actions == "joint_delta":
            scale[:-1] *= every
            return scale
        translation, rotation = slice(0, 3), slice(3, pose_size(self.rotation))
        if self.frame == "tool":
            scale[translation] = np.linalg.norm(scale[translation])
        scale[translation] *= every
        if self._turns_are_angles:
            scale[rotation] = self.scale_rad or every * np.linalg.norm(scale[rotation])
        return scale

    @property
    def _turns_are_angles(self) -> bool:
        return self.rotation != NO_ROTATION and rotation_unit(self.rotation) == "rad"

    def _factor(self, episode: Episode) -> int:
        rate = float(episode.metadata[keys.CONTROL_HZ])
        factor = round(rate / self.hz) if np.isfinite(rate) else 0
        if factor < 1 or abs(rate / self.hz - factor) > _RATE_TOLERANCE * factor:
            message = "the rate cannot be brought down by leaving out steps"
            expected = f"a whole multiple of {self.hz:g} Hz"
            raise BadEpisodeError(
                Finding(self.name, ERROR, message, None, keys.CONTROL_HZ, expected, f"{rate:g} Hz")
            )
        return factor
