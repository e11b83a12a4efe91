"""Renaming and leaving out step fields."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ...datasets.episode import Episode
from ...datasets.schema import Schema
from .schema_edits import check_droppable, check_free, check_path, replace_fields
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class RenameField(Transform):
    """Gives a step field another path.

    Attributes:
      old: path of the field.
      new: path it shall have.
    """

    name: ClassVar[str] = "rename_field"
    example: ClassVar[str] = "rename_field:old=observation/image/front,new=observation/image/main"
    old: str
    new: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_path(self, "new")

    def map_schema(self, schema: Schema) -> Schema:
        check_droppable(self.name, schema, self.old)
        others = [field.path for field in schema.steps if field.path != self.old]
        check_free(self.name, others, self.new)
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
    example: ClassVar[str] = "drop_field:path=observation/image/wrist"
    path: str

    def map_schema(self, schema: Schema) -> Schema:
        check_droppable(self.name, schema, self.path)
        kept = tuple(field for field in schema.steps if field.path != self.path)
        return Schema(kept, schema.metadata)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        columns = {path: column for path, column in episode.columns.items() if path != self.path}
        return Episode(columns, episode.metadata)
