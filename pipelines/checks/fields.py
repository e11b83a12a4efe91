"""Which fields of a dataset are what: told by unit, frame and scale, and by conventional names."""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Field, Schema
from ..dimensions import dimension_names, dimension_units

_TOOL = r"(tcp|tool|eef?|end_?effector|hand|robot\d?_eef|cartesian)"
_POSITION = re.compile(rf"^{_TOOL}_(pos|position|xyz)$", re.IGNORECASE)
_POSE = re.compile(rf"^{_TOOL}_pose$", re.IGNORECASE)
_QUATERNION = re.compile(r"quat", re.IGNORECASE)
_ANGLES = re.compile(r"(rotvec|axis_angle|euler|rpy)", re.IGNORECASE)
_JOINTS = re.compile(r"^(robot\d?_)?joint_?(pos|position|positions|angles?)?s?$", re.IGNORECASE)
_GRIPPER = re.compile(r"gripper", re.IGNORECASE)
_RATE = re.compile(r"(vel|force|torque|current|effort)", re.IGNORECASE)
_UNUSED = re.compile(r"\bunused\b", re.IGNORECASE)
_ABSOLUTE = re.compile(r"\b(absolute|target)\b", re.IGNORECASE)
_FROM_GRIPPER = re.compile(r"((absolute|target)\s+)?gripper.*", re.IGNORECASE | re.DOTALL)
_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
# "1 open", "+1 = open", "0: closed"
_STATES = re.compile(rf"{_NUMBER}\s*(?:=|:|is|means)?\s*(open|closed?)\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Some dimensions of a field, side by side.

    Attributes:
      field: the field.
      start, stop: its dimensions.
      scale: physical value of 1.0, one per dimension; ones where values are physical.
    """

    field: Field
    start: int
    stop: int
    scale: tuple[float, ...]

    @property
    def path(self) -> str:
        return self.field.path

    def raw(self, episode: Episode) -> np.ndarray:
        """(T, stop - start) float64, as stored."""
        values = np.asarray(episode.columns[self.path], np.float64)
        return values.reshape(len(values), -1)[:, self.start : self.stop]

    def physical(self, episode: Episode) -> np.ndarray:
        """(T, stop - start) float64, in the documented unit."""
        return self.raw(episode) * self.scale


@dataclasses.dataclass(frozen=True)
class Fields:
    """The roles that fields of a schema play; None or nothing where none plays a role."""

    schema: Schema

    @functools.cached_property
    def position(self) -> Columns | None:
        """Position of the tool in m, three dimensions.

        A field of its own, or dimensions of a flat state that its documentation names so, as an
        RT-X export has them.
        """
        for field in self._observed:
            if (_POSITION.match(_name(field)) and field.size >= 3) or _is_pose(field):
                return _columns(field, 0, 3)
        named = (_named_position(field) for field in self._observed if len(field.shape) == 1)
        return next((columns for columns in named if columns), None)

    @functools.cached_property
    def quaternions(self) -> tuple[Columns, ...]:
        """Rotations as four numbers: fields named so, or the end of a pose of seven numbers."""
        named = [_columns(f, 0, 4) for f in self._numbers if _is_quaternion(f)]
        poses = [_columns(f, 3, 7) for f in self._observed if _is_pose(f) and f.size == 7]
        return (*named, *poses)

    @functools.cached_property
    def angles(self) -> tuple[Columns, ...]:
        """Rotations as three angles or a rotation vector, and joint positions, in rad."""
        found = [
            _columns(field, 0, field.size)
            for field in self._observed
            if (_ANGLES.search(_name(field)) or _JOINTS.match(_name(field)))
            and not _RATE.search(_name(field))
        ]
        poses = [_columns(f, 3, 6) for f in self._observed if _is_pose(f) and f.size == 6]
        return (*found, *poses)

    @functools.cached_property
    def rotation(self) -> Columns | None:
        """The tool's rotation: a quaternion, or three angles of one."""
        three = [
            c for c in self.angles if c.stop - c.start == 3 and not _JOINTS.match(_name(c.field))
        ]
        tool = [c for c in self.quaternions if c.path.startswith(keys.OBSERVATION)]
        return next(iter((*tool, *three)), None)

    @functools.cached_property
    def joints(self) -> Columns | None:
        """Positions of the joints."""
        found = (f for f in self._observed if _JOINTS.match(_name(f)))
        return next((_columns(field, 0, field.size) for field in found), None)

    @functools.cached_property
    def gripper(self) -> Columns | None:
        """How far the gripper is open."""
        for field in self._observed:
            if _GRIPPER.search(_name(field)) and not _RATE.search(_name(field)) and field.size <= 2:
                return _columns(field, 0, field.size)
        return None

    @functools.cached_property
    def action(self) -> Field | None:
        """The action, where it is one vector of numbers."""
        if keys.ACTION not in self.schema:
            return None
        action = self.schema.action
        return action if action.dtype.startswith("float") and len(action.shape) == 1 else None

    @functools.cached_property
    def translation(self) -> Columns | None:
        """Dimensions of the action that say, in m, where the tool goes: the first three."""
        units = _units(self.action)
        return _columns(self.action, 0, 3) if self.action and units[:3] == ["m"] * 3 else None

    @functools.cached_property
    def turn(self) -> Columns | None:
        """Dimensions of the action that say, in rad or degrees, how the tool turns."""
        units = _units(self.action)
        angular = units[3:6] in (["rad"] * 3, ["deg"] * 3, ["degrees"] * 3)
        return _columns(self.action, 3, 6) if self.action and self.translation and angular else None

    @functools.cached_property
    def gripper_command(self) -> Columns | None:
        """Dimension of the action that opens and closes the gripper.

        The one whose unit names an opening or the gripper, else the last behind a motion of the
        tool: the end-effector action of Open X-Embodiment.
        """
        action, units = self.action, _units(self.action)
        if action is None:
            return None
        for dimension, unit in enumerate(units):
            if "opening" in unit or "gripper" in unit:
                return _columns(action, dimension, dimension + 1)
        if self.translation and action.size >= 4 and units[-1] not in ("m", "rad"):
            return _columns(action, action.size - 1, action.size)
        return None

    @property
    def targets_absolute(self) -> bool:
        """Whether the action is documented as where to go, not how far."""
        about = self.action.about.doc if self.action else ""
        # What is said of the gripper does not count: it is absolute in most datasets.
        return bool(_ABSOLUTE.search(_FROM_GRIPPER.sub("", about)))

    @functools.cached_property
    def embeddings(self) -> tuple[Field, ...]:
        """Language embeddings."""
        return tuple(f for f in self._numbers if "embedding" in _name(f) and len(f.shape) == 1)

    @functools.cached_property
    def measured(self) -> tuple[Field, ...]:
        """Actions and numbers observed, few enough to look at each dimension."""
        others = (f for f in self._observed if f not in self.embeddings and f.size <= 64)
        return (*((self.action,) if self.action else ()), *others)

    @functools.cached_property
    def _numbers(self) -> tuple[Field, ...]:
        return tuple(field for field in self.schema.steps if field.dtype.startswith("float"))

    @functools.cached_property
    def _observed(self) -> tuple[Field, ...]:
        return tuple(f for f in self._numbers if f.path.startswith(f"{keys.OBSERVATION}/"))


def is_unused(field: Field) -> bool:
    """Whether the field says that its values mean nothing."""
    return bool(_UNUSED.search(field.about.doc))


def open_and_closed(columns: Columns) -> tuple[float, float] | None:
    """The documented values of an open and a closed gripper; None where nothing says them."""
    values = {
        word.lower()[:4]: float(value) for value, word in _STATES.findall(columns.field.about.doc)
    }
    if {"open", "clos"} <= values.keys() and values["open"] != values["clos"]:
        return values["open"], values["clos"]
    return None


def dimension_name(field: Field, dimension: int) -> str:
    """`action[3]`, or the field's own name where it has one dimension."""
    return f"{field.path}[{dimension}]" if field.size > 1 else field.path


def _name(field: Field) -> str:
    return field.path.rpartition("/")[2]


def _is_pose(field: Field) -> bool:
    return bool(_POSE.match(_name(field)) or _name(field) == "cartesian_position") and (
        field.size in (6, 7)
    )


def _named_position(field: Field) -> Columns | None:
    """The dimensions named, e.g., `tcp_pos.0`, `tcp_pos.1`, `tcp_pos.2`, side by side and in m."""
    names, units = dimension_names(field), dimension_units(field)
    stems = [name.rpartition(".")[0] for name in names]
    for start, (name, stem) in enumerate(zip(names, stems, strict=True)):
        size = stems.count(stem)
        known = (_POSITION.match(stem) and size == 3) or (_POSE.match(stem) and size in (6, 7))
        wanted = [f"{stem}.{dimension}" for dimension in range(3)]
        if known and name == wanted[0] and names[start : start + 3] == wanted:
            return _columns(field, start, start + 3) if units[start] in ("m", "") else None
    return None


def _is_quaternion(field: Field) -> bool:
    return bool(_QUATERNION.search(_name(field))) and field.shape == (4,)


def _units(field: Field | None) -> list[str]:
    if field is None:
        return []
    units = [unit.strip() for unit in field.about.unit.split(",")]
    return units if len(units) == field.size else units * field.size if len(units) == 1 else []


def _columns(field: Field, start: int, stop: int) -> Columns:
    scale = field.about.scale if len(field.about.scale) == field.size else (1.0,) * field.size
    return Columns(field, start, stop, tuple(scale[start:stop]))
