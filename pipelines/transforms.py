"""The named transforms: pure functions of episodes with parameters, usable without Beam.

Each maps a schema to the schema of its results, and an episode to an episode, or to None where the
episode is to be left out. Parameters are the fields of the class; text such as
`resize_images:height=64,width=64` is read by `transform_text`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..datasets import keys
from ..datasets.episode import Episode
from ..datasets.errors import SchemaError, UsageError
from ..datasets.schema import Schema
from .noops import DropNoops
from .resizing import ResizeImages
from .transform import Transform, replace_fields

_REQUIRED = (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL)


@dataclasses.dataclass(frozen=True)
class OnlySuccessful(Transform):
    """Keeps the episodes whose metadata say `success`."""

    name: ClassVar[str] = "only_successful"

    def map_schema(self, schema: Schema) -> Schema:
        if keys.SUCCESS not in {field.path for field in schema.metadata}:
            raise SchemaError(f"{self.name}: the episodes have no metadata field {keys.SUCCESS!r}")
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        return episode if episode.success else None


@dataclasses.dataclass(frozen=True)
class RenameField(Transform):
    """Gives a step field another path.

    Attributes:
      old: path of the field.
      new: path it shall have.
    """

    name: ClassVar[str] = "rename_field"
    old: str
    new: str

    def __post_init__(self) -> None:
        if not all(self.new.split("/")):
            raise UsageError(
                f"{self.name}: new: expected a path such as observation/image/front, found "
                f"{self.new!r}"
            )

    def map_schema(self, schema: Schema) -> Schema:
        _check_droppable(self.name, schema, self.old)
        for path in (field.path for field in schema.steps if field.path != self.old):
            if _collide(path, self.new):
                raise SchemaError(f"{self.name}: {self.new!r} collides with the field {path!r}")
        renamed = dataclasses.replace(schema[self.old], path=self.new)
        return replace_fields(schema, {self.old: renamed})

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        columns = {
            self.new if path == self.old else path: column
            for path, column in episode.columns.items()
        }
        return Episode(columns, episode.metadata)


@dataclasses.dataclass(frozen=True)
class DropField(Transform):
    """Leaves out a step field.

    Attributes:
      path: path of the field.
    """

    name: ClassVar[str] = "drop_field"
    path: str

    def map_schema(self, schema: Schema) -> Schema:
        _check_droppable(self.name, schema, self.path)
        kept = tuple(field for field in schema.steps if field.path != self.path)
        return Schema(kept, schema.metadata)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        columns = {path: column for path, column in episode.columns.items() if path != self.path}
        return Episode(columns, episode.metadata)


TRANSFORMS: dict[str, type[Transform]] = {
    transform.name: transform
    for transform in (OnlySuccessful, DropNoops, ResizeImages, RenameField, DropField)
}


def _check_droppable(transform: str, schema: Schema, path: str) -> None:
    """Checks that a step field is there and that an episode can do without it.

    Raises:
      SchemaError: naming the fields there are.
    """
    if path not in schema:
        listed = ", ".join(field.path for field in schema.steps)
        raise SchemaError(f"{transform}: there is no step field {path!r}; the fields are {listed}")
    if path in _REQUIRED:
        raise SchemaError(f"{transform}: {path!r} is what makes an episode RLDS; it must stay")


def _collide(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")
