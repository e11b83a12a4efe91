"""Changing how a field holds its rotation."""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import numpy as np

from ...datasets.episode import Episode
from ...datasets.errors import SchemaError
from ...datasets.schema import Field, Schema
from ..action_rows import is_about_action, num_action_rows
from .physical import check_in_scale, rotation_finding
from .rotations import (
    Representation,
    RotationError,
    from_rotation,
    rotation_doc,
    rotation_size,
    rotation_unit,
    to_rotation,
)
from .rows import with_void_rows
from .schema_edits import (
    joined_units,
    replace_fields,
    scale_of,
    split_units,
    vector_field,
)
from .transform import Transform

_REMARK = re.compile(r" ?Dimensions? \d+ to \d+: [^.]*(?:et al\. [^.]*)?\.$")
_MOST_RAD = 3.2
"""Scale of angles where none was before: no rotation vector or Euler angle is larger."""


@dataclasses.dataclass(frozen=True)
class ConvertRotation(Transform):
    """Changes the representation of the rotation in a state field or an action.

    Representations: `quat_xyzw` and `quat_wxyz` (unit quaternions, real part last or first),
    `euler_xyz` (roll, pitch, yaw in rad about the fixed axes x, y, z in this order, R = Rz Ry Rx),
    `rotvec` (axis times angle, rad), `rot6d` (first and second column of the matrix, Zhou et al.
    2019, "On the Continuity of Rotation Representations in Neural Networks") and `matrix` (row by
    row). Written quaternions never flip their sign from one step to the next. Units in the schema
    follow. In a field with a scale, angles keep theirs when made from angles, get 3.2 rad
    otherwise, and other representations get 1.

    Attributes:
      field: path of the field, e.g. `observation/state/tcp_rotvec` or `action`.
      source: representation that the field has.
      target: representation that it shall have.
      start: first dimension of the rotation in the field, counted from 0; 3 in a pose or an action
        whose translation comes first.
    """

    name: ClassVar[str] = "convert_rotation"
    example: ClassVar[str] = (
        "convert_rotation:field=observation/state/tcp_rotvec,source=rotvec,target=rot6d"
    )
    field: str
    source: Representation
    target: Representation
    start: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("start", self.start >= 0, "0 or more")

    def map_schema(self, schema: Schema) -> Schema:
        old = vector_field(self.name, schema, self.field)
        size = rotation_size(self.source)
        if self.start + size > old.size:
            raise SchemaError(
                f"{self.name}: {self.field}: {self.source} at dimension {self.start} needs "
                f"{self.start + size} dimensions, found {old.describe()}"
            )
        end = self.start + rotation_size(self.target)
        units, scale = split_units(old), self._new_scale(old)
        wrong = set(units[self.start : self.start + size]) - {rotation_unit(self.source), ""}
        if wrong:
            raise SchemaError(
                f"{self.name}: {self.field}: {self.source} at dimension {self.start} has the unit "
                f"{rotation_unit(self.source)}, found {', '.join(sorted(wrong))}"
            )
        unit = (rotation_unit(self.target),) * rotation_size(self.target)
        about = dataclasses.replace(
            old.about,
            doc=f"{_REMARK.sub('', old.about.doc)} Dimensions {self.start} to {end - 1}: "
            f"{rotation_doc(self.target)}.".strip(),
            unit=joined_units((*units[: self.start], *unit, *units[self.start + size :])),
            scale=scale,
        )
        shape = (old.size - size + rotation_size(self.target),)
        return replace_fields(
            schema, {self.field: dataclasses.replace(old, shape=shape, about=about)}
        )

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        field = schema[self.field]
        rows = num_action_rows(episode) if is_about_action(self.field) else len(episode)
        values = np.asarray(episode.columns[self.field], np.float64)[:rows]
        stop = self.start + rotation_size(self.source)
        physical = values[:, self.start : stop] * np.array(scale_of(field)[self.start : stop])
        try:
            rotated = from_rotation(to_rotation(physical, self.source), self.target)
        except RotationError as error:
            raise rotation_finding(error, self.field, physical[error.row]) from error
        if scale := self._new_scale(field):
            rotated = rotated / np.array(
                scale[self.start : self.start + rotation_size(self.target)]
            )
        result = np.concatenate([values[:, : self.start], rotated, values[:, stop:]], axis=1)
        if scale:
            check_in_scale(result, scale, self.field)
        column = with_void_rows(result.astype(field.dtype), len(episode))
        return Episode({**episode.columns, self.field: column}, episode.metadata)

    def _new_scale(self, field: Field) -> tuple[float, ...]:
        """Scale of the changed field; empty where it has none."""
        if not field.about.scale:
            return ()
        old, size = scale_of(field), rotation_size(self.source)
        part = old[self.start : self.start + size]
        if rotation_unit(self.target) != "rad":
            new = (1.0,) * rotation_size(self.target)
        else:
            new = part if rotation_unit(self.source) == "rad" else (_MOST_RAD,) * 3
        return (*old[: self.start], *new, *old[self.start + size :])
