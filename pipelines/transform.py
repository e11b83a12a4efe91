"""What a transform of episodes is."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from ..datasets.episode import Episode
from ..datasets.schema import Field, Schema


@dataclasses.dataclass(frozen=True)
class Transform(abc.ABC):
    """A change of episodes; subclasses are frozen dataclasses of their parameters."""

    name: ClassVar[str]

    @abc.abstractmethod
    def map_schema(self, schema: Schema) -> Schema:
        """The schema of the results.

        Raises:
          SchemaError: the transform cannot be applied to episodes of this schema.
        """

    @abc.abstractmethod
    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        """The changed episode, or None to leave it out; `schema` is that of `episode`."""


def replace_fields(schema: Schema, fields: Mapping[str, Field]) -> Schema:
    """The schema with the step fields at the given paths replaced, each in its place."""
    return Schema(tuple(fields.get(field.path, field) for field in schema.steps), schema.metadata)
