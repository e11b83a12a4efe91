"""How two datasets differ: in their schemas, in which episodes they hold, and in the episodes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import keys
from .episode import Column, Episode
from .errors import DamagedDatasetError
from .reading import Dataset
from .records import decode_episode, read_record_at, record_spans
from .schema import Schema
from .schema_differences import schema_differences
from .selecting import metadata_schema


class EpisodePlace(NamedTuple):
    """An episode of one dataset: its id, ordinal and split."""

    episode_id: str
    ordinal: int
    split: str


@dataclasses.dataclass(frozen=True)
class FieldChange:
    """A field in which two episodes of one id differ.

    Attributes:
      path: of the field; `episode_metadata/...` for metadata.
      step: first step that differs; None for metadata and for another number of steps.
      a, b: what each has there, shortened.
    """

    path: str
    step: int | None
    a: str
    b: str

    def __str__(self) -> str:
        where = "" if self.step is None else f" from step {self.step}"
        return f"{self.path}{where}: {self.a} | {self.b}"


@dataclasses.dataclass(frozen=True)
class ChangedEpisode:
    """An episode that both datasets have, with other content."""

    episode_id: str
    ordinal_a: int
    ordinal_b: int
    fields: tuple[FieldChange, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How dataset B differs from dataset A; `dataclasses.asdict` of it is JSON.

    Attributes:
      a, b: directories.
      episodes_a, episodes_b: how many each holds.
      schema: the fields that differ, one line each.
      only_a, only_b: episodes that one of them holds.
      changed: episodes of both, with other content.
      moved: episodes of both, in another split.
      same: how many episodes have the same content.
      is_reordered: whether these come in another order.
    """

    a: str
    b: str
    episodes_a: int
    episodes_b: int
    schema: tuple[str, ...]
    only_a: tuple[EpisodePlace, ...]
    only_b: tuple[EpisodePlace, ...]
    changed: tuple[ChangedEpisode, ...]
    moved: tuple[tuple[EpisodePlace, EpisodePlace], ...]
    same: int
    is_reordered: bool

    @property
    def is_same(self) -> bool:
        """Whether nothing differs; shards and bytes of the encoding do not count."""
        differs = (self.schema, self.only_a, self.only_b, self.changed, self.moved)
        return not any(differs) and not self.is_reordered


class _Record(NamedTuple):
    path: Path
    offset: int
    content: tuple[int, int]
    """Length and CRC."""
    ordinal: int
    split: str


def compare(a: Dataset, b: Dataset) -> Comparison:
    """Compares two datasets; equal records are told by length and CRC and never decoded.

    Episodes of other content are paired by id. Memory holds a few numbers per episode and one pair
    of episodes at a time.

    Raises:
      DamagedDatasetError: a record that must be read is damaged, or a shard is torn.
    """
    pairs, rest_a, rest_b = _pair_equal(_records(a), _records(b))
    ids_a, ids_b = _by_id(a, rest_a), _by_id(b, rest_b)
    only_a, only_b = [], []
    changed = []
    for name in [*ids_a, *(name for name in ids_b if name not in ids_a)]:
        both = min(len(ids_a.get(name, ())), len(ids_b.get(name, ()))) if name else 0
        for one, other in zip(ids_a.get(name, ())[:both], ids_b.get(name, ())[:both], strict=True):
            if fields := _changes(_load(one, a.schema), _load(other, b.schema)):
                changed.append(ChangedEpisode(name, one.ordinal, other.ordinal, fields))
            else:
                pairs.append((one, other))
        only_a += [EpisodePlace(name, x.ordinal, x.split) for x in ids_a.get(name, ())[both:]]
        only_b += [EpisodePlace(name, x.ordinal, x.split) for x in ids_b.get(name, ())[both:]]
    pairs.sort(key=lambda pair: pair[0].ordinal)
    moved = [pair for pair in pairs if pair[0].split != pair[1].split]
    stayed = [pair[1].ordinal for pair in pairs if pair[0].split == pair[1].split]
    return Comparison(
        a=str(a.directory),
        b=str(b.directory),
        episodes_a=a.num_episodes,
        episodes_b=b.num_episodes,
        schema=tuple(
            one.to_text("A has", "B has") for one in schema_differences(a.schema, b.schema)
        ),
        only_a=tuple(sorted(only_a, key=lambda place: place.ordinal)),
        only_b=tuple(sorted(only_b, key=lambda place: place.ordinal)),
        changed=tuple(sorted(changed, key=lambda one: one.ordinal_a)),
        moved=tuple((_place(one, a.schema), _place(other, b.schema)) for one, other in moved),
        same=len(pairs),
        is_reordered=stayed != sorted(stayed),
    )


def _records(dataset: Dataset) -> list[_Record]:
    return [
        _Record(shard.path, offset, (length, crc), shard.first_episode + index, shard.split)
        for shard in dataset.shards()
        for index, (offset, length, crc) in enumerate(record_spans(shard.path))
    ]


def _pair_equal(
    a: Sequence[_Record], b: Iterable[_Record]
) -> tuple[list[tuple[_Record, _Record]], list[_Record], list[_Record]]:
    """Pairs the records of equal content, in order; gives also what is left of both."""
    waiting: dict[tuple[int, int], collections.deque[_Record]] = collections.defaultdict(
        collections.deque
    )
    for record in a:
        waiting[record.content].append(record)
    pairs, rest_b = [], []
    for record in b:
        found = waiting.get(record.content)
        if found:
            pairs.append((found.popleft(), record))
        else:
            rest_b.append(record)
    rest_a = sorted(
        (record for records in waiting.values() for record in records), key=lambda x: x.ordinal
    )
    return pairs, rest_a, rest_b


def _by_id(dataset: Dataset, records: Iterable[_Record]) -> dict[str, list[_Record]]:
    found: dict[str, list[_Record]] = {}
    for record in records:
        found.setdefault(_place(record, dataset.schema).episode_id, []).append(record)
    return found


def _place(record: _Record, schema: Schema) -> EpisodePlace:
    episode = _load(record, metadata_schema(schema))
    return EpisodePlace(episode.episode_id, record.ordinal, record.split)


def _load(record: _Record, schema: Schema) -> Episode:
    try:
        return decode_episode(read_record_at(record.path, record.offset), schema)
    except DamagedDatasetError as error:
        raise DamagedDatasetError(f"{record.path}, episode {record.ordinal}: {error}") from error


def _changes(a: Episode, b: Episode) -> tuple[FieldChange, ...]:
    """The fields of both episodes that differ; a field of one alone is the schema's affair."""
    changes = list(_metadata_changes(a, b))
    if len(a) != len(b):
        changes.append(FieldChange(keys.STEPS, None, f"{len(a)} steps", f"{len(b)} steps"))
    for path in sorted(a.columns.keys() & b.columns.keys()):
        step = _first_difference(a[path], b[path])
        if step is not None:
            changes.append(FieldChange(path, step, _shown(a[path][step]), _shown(b[path][step])))
    return tuple(changes)


def _metadata_changes(a: Episode, b: Episode) -> Iterator[FieldChange]:
    for name in sorted(a.metadata.keys() & b.metadata.keys()):
        one, other = a.metadata[name], b.metadata[name]
        if not _equal(one, other):
            yield FieldChange(f"{keys.EPISODE_METADATA}/{name}", None, _shown(one), _shown(other))


def _first_difference(a: Column, b: Column) -> int | None:
    """The first step, of those that both have, whose values differ."""
    steps = range(min(len(a), len(b)))
    return next((step for step in steps if not _equal(a[step], b[step])), None)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, (str, bytes)) or isinstance(b, (str, bytes)):
        return a == b
    one, other = np.asarray(a), np.asarray(b)
    is_float = one.dtype.kind == "f" and other.dtype.kind == "f"
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=is_float)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} encoded bytes"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=6, threshold=12, separator=", ")
    return str(value) if isinstance(value, str) else repr(np.asarray(value).item())
