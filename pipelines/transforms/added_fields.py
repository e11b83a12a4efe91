"""Adding step fields."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar, Literal

import numpy as np

from ...datasets.episode import Column, Episode
from ...datasets.errors import UsageError
from ...datasets.schema import STRING, Field, FieldDoc, Schema
from .field_values import NumericType, cast_values
from .schema_edits import add_fields, check_path, metadata_field
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class AddField(Transform):
    """Adds a step field that has the same value in every step.

    Attributes:
      path: path of the new field.
      value: a number, true or false, a list of numbers as in [0.1, 0.2], or, with type `string`,
        any text.
      dtype: type of the field.
      unit: unit of the values, for the schema.
      doc: what the field is, for the schema.
    """

    name: ClassVar[str] = "add_field"
    example: ClassVar[str] = "add_field:path=observation/state/table_height,value=0.72,unit=m"
    path: str
    value: str
    dtype: Literal[NumericType, "string"] = "float32"
    unit: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self, "path")
        self._constant()

    def map_schema(self, schema: Schema) -> Schema:
        shape = np.shape(self._constant())
        about = FieldDoc(self.doc, self.unit)
        return add_fields(self.name, schema, Field(self.path, self.dtype, shape, None, about))

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        constant, steps = self._constant(), len(episode)
        column: Column
        if isinstance(constant, str):
            column = [constant] * steps
        else:
            column = np.broadcast_to(constant, (steps, *constant.shape))
        return Episode({**episode.columns, self.path: column}, episode.metadata)

    def _constant(self) -> np.ndarray | str:
        if self.dtype == STRING:
            return self.value
        try:
            value = np.array(json.loads(self.value))
            if value.dtype.kind in "bif":
                return cast_values(value, self.dtype)
        except (ValueError, OverflowError):
            pass
        raise UsageError(
            f"{self.name}: value: expected {self.dtype}, a number or a list of numbers such as "
            f"[0.1, 0.2], found {self.value!r}"
        )


@dataclasses.dataclass(frozen=True)
class FieldFromMetadata(Transform):
    """Adds a step field that has, in every step, a value of the episode's metadata.

    Attributes:
      metadata: name of the metadata field.
      path: path of the new step field.
    """

    name: ClassVar[str] = "field_from_metadata"
    example: ClassVar[str] = "field_from_metadata:metadata=task,path=task_name"
    metadata: str
    path: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self, "path")

    def map_schema(self, schema: Schema) -> Schema:
        source = metadata_field(self.name, schema, self.metadata)
        return add_fields(self.name, schema, dataclasses.replace(source, path=self.path))

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        field = metadata_field(self.name, schema, self.metadata)
        value, steps = episode.metadata[self.metadata], len(episode)
        column: Column
        if field.dtype == STRING and not field.shape:
            column = [value] * steps
        else:
            dtype = object if field.dtype == STRING else field.dtype
            column = np.broadcast_to(np.asarray(value, dtype), (steps, *field.shape))
        return Episode({**episode.columns, self.path: column}, episode.metadata)
