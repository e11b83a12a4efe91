"""Changes of schemas that several transforms make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ...datasets import keys
from ...datasets.errors import SchemaError, UsageError
from ...datasets.schema import METADATA_FIELDS, STRING, Field, Schema
from .transform import Transform

_REQUIRED = (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL)


def field_of(transform: str, schema: Schema, path: str) -> Field:
    """The step field at `path`; raises SchemaError naming the transform and what there is."""
    if path not in schema:
        listed = ", ".join(field.path for field in schema.steps)
        raise SchemaError(f"{transform}: there is no step field {path!r}; the fields are {listed}")
    return schema[path]


def vector_field(transform: str, schema: Schema, path: str) -> Field:
    """The step field at `path`, which must be a vector of floats; errors as `field_of`."""
    field = field_of(transform, schema, path)
    if len(field.shape) != 1 or not field.dtype.startswith("float"):
        raise SchemaError(
            f"{transform}: {path}: expected a vector of floats, found {field.describe()}"
        )
    return field


def check_droppable(transform: str, schema: Schema, path: str) -> None:
    """Checks that a step field is there and that an episode can do without it."""
    field_of(transform, schema, path)
    if path in _REQUIRED:
        raise SchemaError(f"{transform}: {path!r} is what makes an episode RLDS; it must stay")


def check_path(transform: Transform, parameter: str) -> None:
    """Checks that a parameter can be the path of a field; raises UsageError."""
    path = getattr(transform, parameter)
    if not all(path.split("/")) or "[" in path:
        raise UsageError(
            f"{transform.name}: {parameter}: expected a path such as observation/image/front, "
            f"found {path!r}"
        )


def check_free(transform: str, paths: Sequence[str], new: str) -> None:
    """Checks that a field can be named `new` beside those at `paths`.

    Raises:
      SchemaError: there is one of that name, or one would lie inside the other.
    """
    for path in paths:
        if path == new or path.startswith(f"{new}/") or new.startswith(f"{path}/"):
            raise SchemaError(f"{transform}: {new!r} collides with the field {path!r}")


def replace_fields(schema: Schema, fields: Mapping[str, Field]) -> Schema:
    """The schema with the step fields at the given paths replaced, each in its place."""
    return Schema(tuple(fields.get(field.path, field) for field in schema.steps), schema.metadata)


def add_fields(transform: str, schema: Schema, *fields: Field) -> Schema:
    """The schema with further step fields; raises SchemaError where a name is taken."""
    steps = schema.steps
    for field in fields:
        check_free(transform, [one.path for one in steps], field.path)
        steps = (*steps, field)
    return Schema(steps, schema.metadata)


def metadata_field(transform: str, schema: Schema, name: str) -> Field:
    """A field of the metadata; raises SchemaError naming those there are."""
    for field in schema.metadata:
        if field.path == name:
            return field
    listed = ", ".join(field.path for field in schema.metadata) or "none"
    raise SchemaError(
        f"{transform}: the episodes have no metadata field {name!r}; the metadata fields are "
        f"{listed}"
    )


def with_metadata(schema: Schema, name: str) -> Schema:
    """The schema with a standard metadata field, where it does not have it yet."""
    if any(field.path == name for field in schema.metadata):
        return schema
    (field,) = (field for field in METADATA_FIELDS if field.path == name)
    return Schema(schema.steps, (*schema.metadata, field))


def check_reward_fields(transform: str, schema: Schema) -> None:
    """Checks that reward and discount are there; raises SchemaError."""
    for path in (keys.REWARD, keys.DISCOUNT):
        field_of(transform, schema, path)


def split_units(field: Field) -> tuple[str, ...]:
    """The unit of each dimension of a vector."""
    units = tuple(unit.strip() for unit in field.about.unit.split(","))
    return units if len(units) == field.size else (field.about.unit,) * field.size


def joined_units(units: Sequence[str]) -> str:
    """Inverse of `split_units`; one unit where all dimensions have the same."""
    return units[0] if len(set(units)) == 1 else ", ".join(units)


def scale_of(field: Field) -> tuple[float, ...]:
    """Physical value of 1.0 in each dimension; 1 where the values are physical already."""
    scale = field.about.scale
    return scale if len(scale) == field.size else (1.0,) * field.size


def is_numeric(field: Field) -> bool:
    """Whether the values are numbers or truth values, not images or text."""
    return not field.is_image and field.dtype != STRING


def with_about(field: Field, **changes: object) -> Field:
    """The field with parts of its documentation changed."""
    return dataclasses.replace(field, about=dataclasses.replace(field.about, **changes))
