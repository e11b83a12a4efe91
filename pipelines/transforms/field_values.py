"""Choosing dimensions of step fields and changing their type."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from ...datasets.episode import Episode
from ...datasets.errors import SchemaError
from ...datasets.schema import STEP_FIELDS, Schema
from ..findings import ERROR, BadEpisodeError, Finding
from .schema_edits import (
    field_of,
    is_numeric,
    joined_units,
    replace_fields,
    scale_of,
    split_units,
)
from .transform import Transform

NumericType = Literal["float32", "float64", "int32", "int64", "uint8", "uint16", "bool"]
# What every reader takes for granted about these.
_FIXED = {field.path: field.dtype for field in STEP_FIELDS}


@dataclasses.dataclass(frozen=True)
class SelectDimensions(Transform):
    """Keeps some dimensions of a vector field, in a given order; units and scale follow.

    Attributes:
      field: path of the field.
      dims: the dimensions, counted from 0, with spaces between.
    """

    name: ClassVar[str] = "select_dimensions"
    example: ClassVar[str] = "select_dimensions:field=action,dims=0 1 2 6"
    field: str
    dims: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        distinct = len(set(self.dims)) == len(self.dims)
        self._require("dims", bool(self.dims) and distinct, "dimensions, each once")

    def map_schema(self, schema: Schema) -> Schema:
        old = field_of(self.name, schema, self.field)
        if len(old.shape) != 1 or not is_numeric(old):
            raise SchemaError(
                f"{self.name}: {self.field}: expected a vector of numbers, found {old.describe()}"
            )
        beyond = [dim for dim in self.dims if not 0 <= dim < old.size]
        if beyond:
            raise SchemaError(
                f"{self.name}: {self.field} has the dimensions 0 to {old.size - 1}, not "
                f"{', '.join(map(str, beyond))}"
            )
        units, scale = split_units(old), scale_of(old)
        about = dataclasses.replace(
            old.about,
            unit=joined_units([units[dim] for dim in self.dims]),
            scale=tuple(scale[dim] for dim in self.dims) if old.about.scale else (),
        )
        new = dataclasses.replace(old, shape=(len(self.dims),), about=about)
        return replace_fields(schema, {self.field: new})

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        column = np.asarray(episode.columns[self.field])[:, list(self.dims)]
        return Episode({**episode.columns, self.field: column}, episode.metadata)


@dataclasses.dataclass(frozen=True)
class CastField(Transform):
    """Changes the type of a numeric field; a value that the new type cannot hold is refused.

    Attributes:
      field: path of the field.
      dtype: the new type. Whole-number types hold no fractions, `bool` holds 0 and 1; in the files,
        a float64 has the precision of a float32, whatever its declared type.
    """

    name: ClassVar[str] = "cast_field"
    example: ClassVar[str] = "cast_field:field=observation/state/gripper_pos,dtype=float64"
    field: str
    dtype: NumericType

    def map_schema(self, schema: Schema) -> Schema:
        old = field_of(self.name, schema, self.field)
        if not is_numeric(old):
            raise SchemaError(
                f"{self.name}: {self.field}: expected numbers, found {old.describe()}"
            )
        if _FIXED.get(self.field, self.dtype) != self.dtype:
            raise SchemaError(
                f"{self.name}: {self.field} is {_FIXED[self.field]} in every RLDS dataset of "
                f"serlds; add a field of another name instead"
            )
        new = dataclasses.replace(old, dtype=self.dtype)
        return replace_fields(schema, {self.field: new})

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        if schema[self.field].dtype == self.dtype:
            return episode
        values = np.asarray(episode.columns[self.field])
        try:
            column = cast_values(values, self.dtype)
        except ValueError as error:
            wrong = ~_representable(values, self.dtype)
            step = int(np.flatnonzero(wrong.reshape(len(values), -1).any(axis=1))[0])
            found = str(values[step][wrong[step]].flat[0])
            raise BadEpisodeError(
                Finding(self.name, ERROR, str(error), step, self.field, self.dtype, found)
            ) from error
        return Episode({**episode.columns, self.field: column}, episode.metadata)


def _representable(values: np.ndarray, dtype: str) -> np.ndarray:
    """Which values a type can hold, floats up to their rounding."""
    if dtype == "bool":
        return np.isin(values, (0, 1))
    if values.dtype.kind == "b":
        return np.ones(values.shape, bool)
    if dtype.startswith("float"):
        with np.errstate(over="ignore"):
            return np.isfinite(values.astype(dtype)) | ~np.isfinite(values)
    limits = np.iinfo(dtype)
    # In float64 the largest int64 is rounded up to a number that does not fit any more.
    below = values < float(limits.max) + 1 if values.dtype.kind == "f" else values <= limits.max
    whole = values == np.floor(values) if values.dtype.kind == "f" else True
    return (values >= limits.min) & below & whole


def cast_values(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values in another type; raises ValueError where it cannot hold one."""
    if not _representable(values, dtype).all():
        raise ValueError("the new type cannot hold a value")
    return values.astype(dtype)
