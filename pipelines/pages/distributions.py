"""How the numbers of a field are spread, dimension by dimension, for a table with histograms."""

from __future__ import annotations

import dataclasses

import numpy as np

from ... import page
from ...datasets import keys
from ...datasets.schema import Field, Schema
from ..action_rows import is_about_action
from ..dimensions import dimension_names, dimension_units
from ..statistics.fields import Statistics, measured_fields
from ..statistics.moments import ColumnStatistics
from .survey_job import MAX_DIMENSIONS

BINS = 40
# A dimension that varies by less than this share of its size is a constant with rounding.
_CONSTANT = 1e-6
_MOST_TEXT = 240


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One number of a field over all steps: texts for the table.

    Attributes:
      name: or index.
      unit: or what 1 stands for.
      low, q01, mean, std, q99, high: its figures.
      constant: it never changes.
      bars: heights of the histogram from `low` to `high`, in 0 .. 1; empty where constant.
    """

    name: str
    unit: str
    low: str
    q01: str
    mean: str
    std: str
    q99: str
    high: str
    constant: bool
    bars: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class FieldSpread:
    """One field's dimensions.

    Attributes:
      path: of the field.
      about: its documentation and frame.
      rows: number of steps measured.
      left_out: steps left out because a number in them is not finite.
      dimensions: of the field; none where it holds no finite number.
    """

    path: str
    about: str
    rows: int
    left_out: int
    dimensions: tuple[Dimension, ...]


def field_spreads(
    statistics: Statistics, schema: Schema, steps: int
) -> tuple[list[FieldSpread], list[FieldSpread]]:
    """(actions and reward, observations) of the fields that were measured.

    Args:
      statistics: of the dataset.
      schema: of the dataset.
      steps: number of steps of all episodes.
    """
    actions, states = [], []
    for field in measured_fields(schema):
        if field.size > MAX_DIMENSIONS or not statistics.num_trajectories:
            continue
        about_action = is_about_action(field.path)
        expected = statistics.num_transitions if about_action else steps
        spread = _spread(field, statistics.columns.get(field.path), expected)
        (actions if about_action else states).append(spread)
    order = {keys.ACTION: 0, keys.REWARD: 2}
    return sorted(actions, key=lambda spread: order.get(spread.path, 1)), states


def too_wide(schema: Schema) -> list[Field]:
    """The numeric fields that have too many dimensions to list."""
    return [
        field
        for field in schema.steps
        if not field.is_image and field.dtype != "string" and field.size > MAX_DIMENSIONS
    ]


def _spread(field: Field, column: ColumnStatistics | None, expected: int) -> FieldSpread:
    frame = f"Frame: {field.about.frame}." if field.about.frame else ""
    about = f"{_shortened(field.about.doc)} {frame}".strip()
    if column is None:
        return FieldSpread(field.path, about, 0, expected, ())
    names, units = dimension_names(field), dimension_units(field)
    q01, q99 = column.quantile(0.01), column.quantile(0.99)
    dimensions = []
    for index in range(field.size):
        low, high, mean = column.low[index], column.high[index], column.mean[index]
        constant = bool(high - low <= _CONSTANT * max(1.0, abs(mean)))
        values = (low, q01[index], mean, column.std[index], q99[index], high)
        bars = () if constant else _bars(column.sample[:, index], low, high)
        texts = (page.figure_text(float(value)) for value in values)
        dimensions.append(Dimension(names[index], units[index], *texts, constant, bars))
    left_out = max(0, expected - column.count)
    return FieldSpread(field.path, about, column.count, left_out, tuple(dimensions))


def _shortened(text: str) -> str:
    # The whole of it is in the table of fields.
    return (
        text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT].rstrip()}\N{HORIZONTAL ELLIPSIS}"
    )


def _bars(values: np.ndarray, low: float, high: float) -> tuple[float, ...]:
    counts, _ = np.histogram(values, bins=BINS, range=(low, high))
    # A filled bin is always to be seen, be it next to one that is a thousand times as high.
    heights = np.where(counts, np.maximum(counts / max(1, counts.max()), 0.04), 0.0)
    return tuple(heights.round(3).tolist())
