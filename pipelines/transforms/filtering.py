"""Keeping some of the episodes."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import UsageError
from ...datasets.schema import STRING, Schema
from ..action_rows import num_action_rows
from ..findings import ERROR, BadEpisodeError, Finding
from .expressions import NUMBER, TEXT, Expression, ExpressionError
from .schema_edits import metadata_field
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class OnlySuccessful(Transform):
    """Keeps the episodes whose metadata say `success`."""

    name: ClassVar[str] = "only_successful"
    example: ClassVar[str] = "only_successful"

    def map_schema(self, schema: Schema) -> Schema:
        metadata_field(self.name, schema, keys.SUCCESS)
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        return episode if episode.success else None


@dataclasses.dataclass(frozen=True)
class KeepIf(Transform):
    """Keeps the episodes of which an expression is true.

    The expression is made of numbers, texts in quotation marks, true, false, the comparisons == !=
    < <= > >=, `in` and `not in` (a list such as ('a', 'b'), or a text), `and`, `or`, `not`,
    + - * / // %, brackets, and names. A name is a field of the episode's metadata (success, task,
    collector, ...) or one of these figures, where the dataset has what they need:
    num_steps (rows, as `inspect` counts them), num_actions, episode_return (undiscounted),
    duration_s, terminated, intervened_share (of the actions, 0 to 1).

    Attributes:
      where: the expression.
    """

    name: ClassVar[str] = "keep_if"
    example: ClassVar[str] = "keep_if:where=success and num_steps > 10 and collector != 'random'"
    where: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expression  # noqa: B018 - reads it, so that an error comes now

    @functools.cached_property
    def _expression(self) -> Expression:
        try:
            return Expression.parse(self.where)
        except ExpressionError as error:
            raise UsageError(f"{self.name}: where: {error}") from error

    def map_schema(self, schema: Schema) -> Schema:
        kinds = {
            field.path: TEXT if field.dtype == STRING else NUMBER
            for field in schema.metadata
            if not field.shape
        }
        kinds |= dict.fromkeys(_figures_of(schema), NUMBER)
        try:
            self._expression.check(kinds)
        except ExpressionError as error:
            raise UsageError(f"{self.name}: where: {error}") from error
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        values = dict(episode.metadata)
        # Metadata fields come first: a dataset may have one that is named as a figure.
        for name in self._expression.names - set(values):
            values[name] = _FIGURES[name][0](episode)
        try:
            return episode if self._expression.value(values) else None
        except ArithmeticError as error:
            message = f"{self.where!r} has no value: {error}"
            raise BadEpisodeError(Finding(self.name, ERROR, message)) from error


def _episode_return(episode: Episode) -> float:
    rewards = np.asarray(episode.columns[keys.REWARD])[: num_action_rows(episode)]
    return float(np.sum(rewards, dtype=np.float64))


def _duration_s(episode: Episode) -> float:
    times = np.asarray(episode.columns[keys.TIMESTAMP_S], np.float64)
    return float(times[-1] - times[0])


def _intervened_share(episode: Episode) -> float:
    return float(np.mean(episode.columns[keys.INTERVENED][: num_action_rows(episode)]))


# Each figure with the step field it needs.
_FIGURES = {
    "num_steps": (len, keys.IS_FIRST),
    "num_actions": (num_action_rows, keys.IS_FIRST),
    "episode_return": (_episode_return, keys.REWARD),
    "duration_s": (_duration_s, keys.TIMESTAMP_S),
    "terminated": (lambda episode: bool(episode.columns[keys.IS_TERMINAL][-1]), keys.IS_TERMINAL),
    "intervened_share": (_intervened_share, keys.INTERVENED),
}


def _figures_of(schema: Schema) -> list[str]:
    return [name for name, (_, needed) in _FIGURES.items() if needed in schema]
