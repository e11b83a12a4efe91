"""Between actions that are poses to reach and actions that are displacements."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from ...datasets.episode import Episode
from ...datasets.errors import SchemaError
from ...datasets.schema import Field, FieldDoc, Schema
from ..action_rows import num_action_rows
from .physical import check_in_scale, rotation_finding
from .pose_actions import (
    NO_ROTATION,
    action_fields,
    physical_values,
    pose_size,
    pose_units,
    read_poses,
    rest_of_doc,
    write_poses,
)
from .poses import Frame, Poses, accumulated, displaced, displacement, stacked
from .rotations import MaybeRepresentation, RotationError, rotation_size, rotation_unit, to_rotation
from .rows import with_void_rows
from .schema_edits import replace_fields, scale_of, split_units, vector_field
from .transform import Transform

_AXES = {"base": "along the axes of the base", "tool": "along the axes of the tool"}
_FROM = {"state": "the pose observed in the same step", "command": "the pose commanded before"}


@dataclasses.dataclass(frozen=True)
class _PoseActionTransform(Transform):
    """What both directions share: where the pose is, and how actions and state tell it.

    Attributes:
      frame: axes of the displacements. `base`: those in which the position is given; position p and
        orientation R become p + d and D R. `tool`: those of the tool before the move: p + R d and
        R D.
      rotation: representation of the rotation in the action, from dimension 3 on, see
        `convert_rotation`; `none` where actions only translate.
      reference: what a displacement starts from. `state`: the pose observed in the same step.
        `command`: the pose that the action before commanded, for the first action the observed one;
        for controllers that move a commanded pose along, as serlds' own does.
      position: path of the observed tool position, in m.
      orientation: path of the observed tool orientation, relative to the same axes as in the
        action.
      orientation_as: representation of the observed orientation.
    """

    frame: Frame = "base"
    rotation: MaybeRepresentation = "rotvec"
    reference: Literal["state", "command"] = "state"
    position: str = "observation/state/tcp_pos"
    orientation: str = "observation/state/tcp_rotvec"
    orientation_as: MaybeRepresentation = "rotvec"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            "orientation_as",
            (self.orientation_as == NO_ROTATION) == (self.rotation == NO_ROTATION),
            f"a representation or none like rotation={self.rotation}",
        )
        self._require(
            "frame",
            self.frame == "base" or self.rotation != NO_ROTATION,
            "base where there is no rotation to turn a tool frame",
        )

    def _check_state(self, schema: Schema) -> tuple[Field, ...]:
        """The action fields; raises SchemaError where the state does not tell the pose."""
        needed = [(self.position, 3, "m")]
        if self.rotation != NO_ROTATION:
            kind = self.orientation_as
            needed.append((self.orientation, rotation_size(kind), rotation_unit(kind)))
        for path, size, unit in needed:
            field = vector_field(self.name, schema, path)
            if field.size != size:
                raise SchemaError(
                    f"{self.name}: {path}: expected {size} dimensions, found {field.describe()}"
                )
            if not {unit, ""} >= set(split_units(field)):
                raise SchemaError(
                    f"{self.name}: {path}: expected the unit {unit}, found {field.about.unit}"
                )
        return action_fields(self.name, schema, self.rotation)

    def _observed(self, episode: Episode, schema: Schema, rows: int) -> Poses:
        position = physical_values(episode.columns[self.position], schema[self.position], rows)
        if self.rotation == NO_ROTATION:
            return Poses(position, None)
        path = self.orientation
        values = physical_values(episode.columns[path], schema[path], rows)
        try:
            return Poses(position, to_rotation(values, self.orientation_as))
        except RotationError as error:
            raise rotation_finding(error, path, values[error.row]) from error

    def _frame_text(self, schema: Schema) -> str:
        return "tool" if self.frame == "tool" else schema[self.position].about.frame


@dataclasses.dataclass(frozen=True)
class ToDeltaActions(_PoseActionTransform):
    """Turns actions that are tool poses to reach into displacements of the tool pose.

    An action is a target position, 3 dimensions in m, then a target rotation, then anything else,
    such as the gripper, which stays as it is. The displacement of the rotation is an element of
    SO(3), held in the same representation. `to_absolute_actions` with the same parameters is the
    inverse, up to the rounding of float32. With `scale_m` and `scale_rad` the displacements are
    stored as fractions of these, as SERL has them, and the schema says so; one that is larger makes
    the episode a dead letter unless `clip` is set.

    Attributes:
      scale_m: translation in m that is stored as 1.0; 0: stored in m.
      scale_rad: angle in rad that is stored as 1.0; 0: stored in rad. Needs rotvec or euler_xyz.
        Both scales are given, or none.
      clip: cut what is larger than the scale to it. This loses motion.
    """

    name: ClassVar[str] = "to_delta_actions"
    example: ClassVar[str] = "to_delta_actions:frame=base,scale_m=0.05,scale_rad=0.25"
    scale_m: float = 0.0
    scale_rad: float = 0.0
    clip: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("scale_m", self.scale_m >= 0, "0 or more")
        self._require("scale_rad", self.scale_rad >= 0, "0 or more")
        angles = self.rotation != NO_ROTATION
        self._require(
            "scale_rad",
            (self.scale_rad > 0) == (self.scale_m > 0 and angles),
            "above 0 together with scale_m, where there is a rotation",
        )
        self._require(
            "rotation",
            not self.scale_rad or rotation_unit(self.rotation) == "rad",
            "rotvec or euler_xyz, which a scale in rad can measure",
        )
        self._require("clip", not self.clip or self.scale_m > 0, "false without a scale")

    def map_schema(self, schema: Schema) -> Schema:
        changed = {}
        for field in self._check_state(schema):
            doc = (
                f"Displacement of the tool pose from {_FROM[self.reference]}: translation"
                f"{'' if self.rotation == NO_ROTATION else f', then rotation ({self.rotation})'}, "
                f"{_AXES[self.frame]}{rest_of_doc(field, self.rotation)}"
            )
            units = pose_units(field, self.rotation)
            about = FieldDoc(doc, units, self._frame_text(schema), self._scale(field))
            changed[field.path] = dataclasses.replace(field, about=about)
        return replace_fields(schema, changed)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        rows = num_action_rows(episode)
        observed = self._observed(episode, schema, rows)
        columns = dict(episode.columns)
        for field in action_fields(self.name, schema, self.rotation):
            values = physical_values(episode.columns[field.path], field, rows)
            targets = read_poses(values, self.rotation, field.path)
            start = observed
            if self.reference == "command" and rows > 1:
                start = stacked([observed[:1], targets[:-1]])
            values[:, : pose_size(self.rotation)] = write_poses(
                displacement(start, targets, self.frame), self.rotation
            )
            if scale := self._scale(field):
                values = self._scaled(values, scale, field.path)
            columns[field.path] = with_void_rows(values.astype(field.dtype), len(episode))
        return Episode(columns, episode.metadata)

    def _scaled(self, values: np.ndarray, scale: tuple[float, ...], path: str) -> np.ndarray:
        values = values / np.array(scale)
        pose = slice(0, pose_size(self.rotation))
        if self.clip:
            values[:, pose] = np.clip(values[:, pose], -1, 1)
        check_in_scale(values[:, pose], scale, path)
        return values

    def _scale(self, field: Field) -> tuple[float, ...]:
        if not self.scale_m:
            return ()
        pose = pose_size(self.rotation)
        return (*(self.scale_m,) * 3, *(self.scale_rad,) * (pose - 3), *scale_of(field)[pose:])


@dataclasses.dataclass(frozen=True)
class ToAbsoluteActions(_PoseActionTransform):
    """Turns actions that are displacements of the tool pose into poses to reach.

    An action is a translation, 3 dimensions, then a rotation, then anything else, such as the
    gripper. Its scale in the schema is applied: the results are in m and in the unit of the
    rotation's representation, the rest in its documented unit, and the schema has no scale any
    more. `to_delta_actions` with the same parameters is the inverse, up to the rounding of float32.
    """

    name: ClassVar[str] = "to_absolute_actions"
    example: ClassVar[str] = "to_absolute_actions:frame=base,reference=command"

    def map_schema(self, schema: Schema) -> Schema:
        changed = {}
        for field in self._check_state(schema):
            doc = (
                "Absolute tool pose to reach: position"
                f"{'' if self.rotation == NO_ROTATION else f', then rotation ({self.rotation})'}"
                f"{rest_of_doc(field, self.rotation)}"
            )
            frame = schema[self.position].about.frame
            about = FieldDoc(doc, pose_units(field, self.rotation), frame)
            changed[field.path] = dataclasses.replace(field, about=about)
        return replace_fields(schema, changed)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        rows = num_action_rows(episode)
        observed = self._observed(episode, schema, rows)
        columns = dict(episode.columns)
        for field in action_fields(self.name, schema, self.rotation):
            values = physical_values(episode.columns[field.path], field, rows)
            deltas = read_poses(values, self.rotation, field.path)
            if self.reference == "command":
                reached = accumulated(observed[:1], deltas, self.frame)
            else:
                reached = displaced(observed, deltas, self.frame)
            values[:, : pose_size(self.rotation)] = write_poses(reached, self.rotation)
            columns[field.path] = with_void_rows(values.astype(field.dtype), len(episode))
        return Episode(columns, episode.metadata)
