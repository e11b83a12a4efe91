"""The rules that a dataset must keep as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..datasets import keys
from ..datasets.schema import Schema
from .alignment import AlignmentSums, check_alignment
from .field_statistics import Statistics
from .findings import ERROR, WARNING, Finding
from .parts import Unreadable

# Names of the checks made here, in the order of the report.
RECORDS = "records"
DATASET_CHECKS = (RECORDS, "required_fields", "duplicates", "alignment", "constant_action")
# A field that varies by less is a constant with rounding.
CONSTANT_STD = 1e-6
MIN_TRANSITIONS = 20


def check_required_fields(schema: Schema) -> Iterator[Finding]:
    """The schema has what RLDS asks of each step.

    Rule: the flags must be there (error); `action`, `reward` and `discount` should be (warning).
    Source: RLDS ("Dataset format").
    """
    paths = {field.path for field in schema.steps}
    for path in (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL):
        if path not in paths:
            yield Finding("required_fields", ERROR, "the schema has no such field", None, path)
    for path in (keys.ACTION, keys.REWARD, keys.DISCOUNT):
        if path not in paths and not any(other.startswith(f"{path}/") for other in paths):
            yield Finding("required_fields", WARNING, "the schema has no such field", None, path)


def check_records(unreadable: Iterable[Unreadable]) -> Iterator[Finding]:
    """All records that `dataset_info.json` counts can be reached.

    Rule: exact. A damaged length hides all records after it.
    """
    for damage in unreadable:
        yield Finding(RECORDS, ERROR, damage.message, file=damage.file, record=damage.record)


def check_duplicates(episodes: Iterable[tuple[str, str, int]]) -> Iterator[Finding]:
    """No two episodes have the same id.

    Rule: exact; of several, all but the first are reported.

    Args:
      episodes: (episode id, file, record) of each; episodes without an id are not compared.
    """
    first: dict[str, tuple[str, int]] = {}
    for episode_id, file, record in episodes:
        if not episode_id:
            continue
        if episode_id in first:
            other, index = first[episode_id]
            message = f"the same id as in {other}, record {index}"
            yield Finding("duplicates", ERROR, message).at(episode_id, file, record)
        else:
            first[episode_id] = (file, record)


def check_constant_action(statistics: Statistics, schema: Schema) -> Iterator[Finding]:
    """Each dimension of the action is used.

    Rule: standard deviation above 1e-6 over all transitions, given 20 of them. A reader that
    normalises by the deviation or the range divides by zero.
    """
    column = statistics.columns.get(keys.ACTION)
    if column is None or column.count < MIN_TRANSITIONS:
        return
    for dimension in np.flatnonzero(column.std <= CONSTANT_STD):
        message = f"dimension {dimension} is always {column.mean[dimension]:g}"
        expected, found = f"above {CONSTANT_STD:g}", f"{column.std[dimension]:.2g}"
        yield Finding(
            "constant_action", WARNING, message, None, keys.ACTION, f"a deviation {expected}", found
        )


def check_dataset(
    schema: Schema,
    unreadable: Iterable[Unreadable],
    episodes: Iterable[tuple[str, str, int]],
    alignment: Iterable[AlignmentSums],
    statistics: Statistics,
    control_hz: float,
) -> Iterator[Finding]:
    """All findings about a dataset as a whole, from what its episodes left."""
    yield from check_records(unreadable)
    yield from check_required_fields(schema)
    yield from check_duplicates(episodes)
    yield from check_alignment(alignment, control_hz)
    yield from check_constant_action(statistics, schema)
