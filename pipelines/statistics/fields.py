"""Statistics of a dataset's actions, states and rewards, and how they are written down."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Field, Schema
from ..action_rows import is_about_action, num_action_rows
from .moments import ColumnStatistics, row_hashes

STATISTICS_FILE = "statistics.json"
_FIGURES = ("mean", "std", "min", "max", "q01", "q99")
# Rows held back before they are summed up: enough to make sorting cheap, few megabytes.
_BUFFERED_ROWS = 2**15


def measured_fields(schema: Schema) -> tuple[Field, ...]:
    """The fields that statistics are kept of: actions, numbers observed, reward."""
    return tuple(
        field
        for field in schema.steps
        if field.dtype.startswith("float")
        and field.path != keys.DISCOUNT
        and (is_about_action(field.path) or field.path.startswith(f"{keys.OBSERVATION}/"))
    )


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics over episodes; those of two sets of episodes merge.

    Attributes:
      num_trajectories: number of episodes.
      num_transitions: number of actions.
      columns: by field path; rows with a number that is not finite are left out.
    """

    num_trajectories: int = 0
    num_transitions: int = 0
    columns: dict[str, ColumnStatistics] = dataclasses.field(default_factory=dict)

    def merge(self, other: Statistics) -> Statistics:
        """Of the episodes of both."""
        columns = dict(self.columns)
        for path, column in other.columns.items():
            columns[path] = columns[path].merge(column) if path in columns else column
        return Statistics(
            self.num_trajectories + other.num_trajectories,
            self.num_transitions + other.num_transitions,
            columns,
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` restores every bit."""
        return {
            "num_trajectories": self.num_trajectories,
            "num_transitions": self.num_transitions,
            "columns": {path: column.to_json() for path, column in self.columns.items()},
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Statistics:
        columns = {
            path: ColumnStatistics.from_json(column) for path, column in values["columns"].items()
        }
        return cls(values["num_trajectories"], values["num_transitions"], columns)


class StatisticsBuilder:
    """Gathers the statistics of episodes, one after the other."""

    def __init__(self, schema: Schema):
        self._fields = measured_fields(schema)
        self._done = Statistics()
        self._values: dict[str, list[np.ndarray]] = {field.path: [] for field in self._fields}
        self._hashes: list[np.ndarray] = []
        self._trajectories = self._transitions = self._rows = 0

    def add(self, episode: Episode) -> None:
        """Adds an episode: actions and rewards without a void last row, observations with it."""
        actions = num_action_rows(episode)
        self._hashes.append(row_hashes(episode.episode_id, len(episode)))
        for field in self._fields:
            values = np.array(episode.columns[field.path]).reshape(len(episode), -1)
            if is_about_action(field.path):
                values = values.astype(np.float64)
                values[actions:] = np.nan
            self._values[field.path].append(values)
        self._trajectories += 1
        self._transitions += actions
        self._rows += len(episode)
        if self._rows >= _BUFFERED_ROWS:
            self._flush()

    def build(self) -> Statistics:
        """The statistics of all episodes added so far."""
        self._flush()
        return self._done

    def _flush(self) -> None:
        columns = {}
        if self._hashes:
            hashes = np.concatenate(self._hashes)
            for path, parts in self._values.items():
                values = np.concatenate(parts)
                finite = np.isfinite(values).all(axis=1)
                if finite.any():
                    columns[path] = ColumnStatistics.of_rows(values[finite], hashes[finite])
        self._done = self._done.merge(Statistics(self._trajectories, self._transitions, columns))
        self._values = {field.path: [] for field in self._fields}
        self._hashes = []
        self._trajectories = self._transitions = self._rows = 0


def merge_all(several: Iterable[Statistics]) -> Statistics:
    """Merges in the order given."""
    merged = Statistics()
    for statistics in several:
        merged = merged.merge(statistics)
    return merged


def take_statistics(
    results: Iterable[dict[str, Any]],
) -> tuple[Statistics, list[dict[str, Any]]]:
    """Merges what workers left under `statistics`, and gives their results without it.

    One result at a time: the samples for the quantiles are megabytes in each of them, and there
    are thousands of parts in a large run.
    """
    merged, rest = Statistics(), []
    for result in results:
        merged = merged.merge(Statistics.from_json(result["statistics"]))
        rest.append({name: value for name, value in result.items() if name != "statistics"})
    return merged, rest


def summary(column: ColumnStatistics, shape: tuple[int, ...]) -> dict[str, Any]:
    """mean, std, min, max, q01 and q99 of a field with the given shape, as JSON values."""
    figures = {
        "mean": column.mean,
        "std": column.std,
        "min": column.low,
        "max": column.high,
        "q01": column.quantile(0.01),
        "q99": column.quantile(0.99),
    }
    return {name: figure.reshape(shape).tolist() for name, figure in figures.items()}


def statistics_json(statistics: Statistics, schema: Schema, digest: str) -> bytes:
    """The text of `statistics.json`.

    `{"digest", "num_trajectories", "num_transitions", "fields": {path: {"mean", "std", "min",
    "max", "q01", "q99"}}}`; the digest is that of the dataset they were taken from.
    """
    values = {
        "digest": digest,
        "num_trajectories": statistics.num_trajectories,
        "num_transitions": statistics.num_transitions,
        "fields": {
            field.path: summary(statistics.columns[field.path], field.shape)
            for field in measured_fields(schema)
            if field.path in statistics.columns
        },
    }
    return (json.dumps(values, indent=2) + "\n").encode()


def statistics_table(statistics: Statistics, schema: Schema) -> list[tuple[str, ...]]:
    """Rows for a person: a header, then field, dimension, unit and the six figures."""
    rows: list[tuple[str, ...]] = [("field", "dim", "unit", *_FIGURES)]
    for field in measured_fields(schema):
        if field.path not in statistics.columns:
            continue
        figures = summary(statistics.columns[field.path], (field.size,))
        for dimension in range(field.size):
            unit = _unit(field, dimension)
            values = (f"{figures[name][dimension]:.4g}" for name in _FIGURES)
            rows.append((field.path, str(dimension), unit, *values))
    return rows


def _unit(field: Field, dimension: int) -> str:
    """The unit of one dimension; of a normalised one, what 1 stands for."""
    units = [unit.strip() for unit in field.about.unit.split(",")]
    unit = units[dimension] if len(units) == field.size else field.about.unit
    if len(field.about.scale) == field.size and unit:
        return f"{field.about.scale[dimension]:g} {unit}"
    return unit
