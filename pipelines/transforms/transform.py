"""What a transform of episodes is."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from ...datasets.episode import Episode
from ...datasets.errors import UsageError
from ...datasets.schema import Schema
from .parameters import check_value, parameters_of


@dataclasses.dataclass(frozen=True)
class Transform(abc.ABC):
    """A change of episodes; subclasses are frozen dataclasses of their parameters.

    It never changes what it is given: columns that it does not touch are handed on as they are, the
    others are made anew. The docstring of a subclass is its help: what it does, and under
    `Attributes:` each parameter with its unit.

    Raises:
      UsageError: a parameter has a value that it cannot have.
    """

    name: ClassVar[str]
    example: ClassVar[str]
    """One way to write it on the command line."""

    def __post_init__(self) -> None:
        for parameter, kind in parameters_of(type(self)).items():
            check_value(f"{self.name}: {parameter}", getattr(self, parameter), kind)

    @abc.abstractmethod
    def map_schema(self, schema: Schema) -> Schema:
        """The schema of the results.

        Raises:
          SchemaError: the transform cannot be applied to episodes of this schema.
        """

    @abc.abstractmethod
    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        """The changed episode, or None to leave it out; `schema` is that of `episode`.

        Raises:
          BadEpisodeError: the episode cannot be changed so; names step and field.
        """

    def _require(self, parameter: str, holds: bool, expected: str) -> None:
        """Checks the value of a parameter beyond its type."""
        if not holds:
            found = getattr(self, parameter)
            raise UsageError(f"{self.name}: {parameter}: expected {expected}, found {found!r}")
