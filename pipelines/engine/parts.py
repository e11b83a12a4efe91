"""The plan of a run: where each record of a dataset is, and which worker takes which."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ...datasets.dataset_files import MAX_SHARDS
from ...datasets.errors import DamagedDatasetError, UsageError
from ...datasets.reading import Dataset, Shard
from ...datasets.records import record_spans

MAX_PART_BYTES = 128 * 2**20
MIN_PART_BYTES = 8 * 2**20
# Below MAX_PART_BYTES per part, a run is cut into this many so that workers can share it.
_PARTS_OF_A_SMALL_RUN = 16


class RecordRef(NamedTuple):
    """One episode's place on disk."""

    file: str
    record: int
    """Index in the file."""
    offset: int
    """Byte at which the record begins."""
    size: int
    """Bytes of its payload."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What one worker does in one go: consecutive records that become one shard or one result.

    Attributes:
      index: position of the part in the run; results are folded in this order.
      split: the split its records go to.
      records: in the order of the source.
    """

    index: int
    split: str
    records: tuple[RecordRef, ...]


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Records that cannot be reached because the file is damaged before them."""

    file: str
    record: int
    message: str


def locate_records(dataset: Dataset) -> tuple[dict[str, list[RecordRef]], list[Unreadable]]:
    """Finds all records of a dataset, by split and in order, and what cannot be reached."""
    by_split: dict[str, list[RecordRef]] = {split: [] for split in dataset.splits}
    unreadable = []
    for shard in dataset.shards():
        records, damage = _locate_in_shard(shard)
        by_split[shard.split].extend(records)
        if damage:
            unreadable.append(damage)
    return by_split, unreadable


def plan_parts(
    by_split: dict[str, list[RecordRef]], part_bytes: int | None = None
) -> tuple[Part, ...]:
    """Cuts the records of each split into parts of about equal size, keeping their order.

    The cut depends on the records alone and never on the number of workers, so that every run
    over the same dataset gives the same files.

    Args:
      by_split: records in order, by the split they go to.
      part_bytes: bytes of source records per part; None: a sixteenth of all, but at least 8 MiB
        and at most 128 MiB. Parts become larger where a split would have more than TFDS can number.

    Raises:
      UsageError: `part_bytes` is not positive.
    """
    if part_bytes is not None and part_bytes <= 0:
        raise UsageError(f"bytes per shard: expected a positive number, found {part_bytes}")
    total = sum(record.size for records in by_split.values() for record in records)
    target = part_bytes or min(MAX_PART_BYTES, max(MIN_PART_BYTES, total // _PARTS_OF_A_SMALL_RUN))
    parts: list[Part] = []
    for split, records in by_split.items():
        for group in _cut(records, target):
            parts.append(Part(len(parts), split, group))
    return tuple(parts)


def _cut(records: Sequence[RecordRef], target: int) -> list[tuple[RecordRef, ...]]:
    total = sum(record.size for record in records)
    count = min(MAX_SHARDS, max(1, -(-total // target)))
    groups: list[list[RecordRef]] = [[] for _ in range(count)]
    before = 0
    for record in records:
        middle = before + record.size // 2
        groups[min(count - 1, middle * count // max(1, total))].append(record)
        before += record.size
    return [tuple(group) for group in groups if group]


def _locate_in_shard(shard: Shard) -> tuple[list[RecordRef], Unreadable | None]:
    file, expected = str(shard.path), shard.num_episodes
    records: list[RecordRef] = []
    message = ""
    try:
        for index, (offset, size, _) in enumerate(record_spans(shard.path)):
            records.append(RecordRef(file, index, offset, size))
    except DamagedDatasetError as error:
        message = f"{error}; {max(1, expected - len(records))} of {expected} records are lost"
    if not message and len(records) != expected:
        message = (
            f"{file}: expected {expected} records as dataset_info.json says, found {len(records)}"
        )
    damage = Unreadable(file, min(len(records), expected), message) if message else None
    return records, damage
