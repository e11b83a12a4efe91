"""Actions that are poses or displacements of the tool: translation, rotation, then the rest.

The first three dimensions are the translation, the next ones the rotation; the others, such as the
gripper, are left as they are.
"""

from __future__ import annotations

import re

import numpy as np

from ...datasets import keys
from ...datasets.errors import SchemaError
from ...datasets.schema import Field, Schema
from .physical import rotation_finding
from .poses import Poses
from .rotations import RotationError, from_rotation, rotation_size, rotation_unit, to_rotation
from .schema_edits import joined_units, scale_of, split_units, vector_field

NO_ROTATION = "none"
# The clause about the gripper: how it opens is told there, and nowhere else.
_GRIPPER = re.compile(r"[;,.] *([^;,.]*\bgripper\b.*)$", re.IGNORECASE | re.DOTALL)


def pose_size(representation: str) -> int:
    """How many dimensions translation and rotation take."""
    return 3 + (0 if representation == NO_ROTATION else rotation_size(representation))


def pose_units(field: Field, representation: str) -> str:
    """The units of an action whose translation is in m."""
    rotation: tuple[str, ...] = ()
    if representation != NO_ROTATION:
        rotation = (rotation_unit(representation),) * rotation_size(representation)
    rest = split_units(field)[3 + len(rotation) :]
    return joined_units(("m", "m", "m", *rotation, *rest))


def rest_of_doc(field: Field, representation: str) -> str:
    """What the schema says of the gripper, as the end of a new sentence; else that it stays."""
    if clause := _GRIPPER.search(field.about.doc):
        return f"; {clause[1]}"
    return "." if field.size == pose_size(representation) else "; the rest as recorded."


def action_fields(transform: str, schema: Schema, representation: str) -> tuple[Field, ...]:
    """The action and, where there is one, the requested action, checked to begin with a pose.

    Raises:
      SchemaError: naming what an action needs and what was found.
    """
    fields = tuple(
        vector_field(transform, schema, path)
        for path in (keys.ACTION, keys.ACTION_REQUESTED)
        if path == keys.ACTION or path in schema
    )
    size = pose_size(representation)
    for field in fields:
        if field.size < size:
            raise SchemaError(
                f"{transform}: {field.path}: a translation and a rotation as {representation} need "
                f"{size} dimensions, found {field.describe()}"
            )
        check_pose_units(transform, field, representation)
    return fields


def check_pose_units(transform: str, field: Field, representation: str) -> None:
    """Checks that a pose is in m and in the unit of its rotation, where units are told.

    Raises:
      SchemaError: naming the dimension that has another unit.
    """
    expected = ["m"] * 3
    if representation != NO_ROTATION:
        expected += [rotation_unit(representation)] * rotation_size(representation)
    for dimension, (unit, found) in enumerate(zip(expected, split_units(field), strict=False)):
        if found not in (unit, ""):
            raise SchemaError(
                f"{transform}: {field.path}: dimension {dimension}: expected the unit {unit}, "
                f"found {found}"
            )


def read_poses(values: np.ndarray, representation: str, path: str) -> Poses:
    """The poses at the beginning of physical values (N, D).

    Raises:
      BadEpisodeError: a rotation is none; names the field and the step.
    """
    if representation == NO_ROTATION:
        return Poses(values[:, :3], None)
    part = values[:, 3 : pose_size(representation)]
    try:
        return Poses(values[:, :3], to_rotation(part, representation))
    except RotationError as error:
        raise rotation_finding(error, path, part[error.row]) from error


def write_poses(poses: Poses, representation: str) -> np.ndarray:
    """Inverse of `read_poses`: (N, pose_size)."""
    if poses.rotation is None:
        return poses.position
    return np.concatenate([poses.position, from_rotation(poses.rotation, representation)], axis=1)


def physical_values(column: np.ndarray, field: Field, rows: int) -> np.ndarray:
    """The first rows of a field in physical units: (rows, D) float64."""
    return np.asarray(column, np.float64)[:rows] * np.array(scale_of(field))
