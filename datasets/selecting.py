"""Which episodes of a dataset a person means: by ordinal, range, id or metadata."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import keys
from .errors import UsageError
from .reading import Dataset
from .schema import STRING, Field, Schema

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def metadata_of_episodes(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """The metadata of each episode, in order; of the steps next to nothing is decoded."""
    for episode in dataclasses.replace(dataset, schema=metadata_schema(dataset.schema)).episodes():
        yield episode.metadata


def metadata_schema(schema: Schema) -> Schema:
    """What of a schema must be decoded to have an episode's metadata."""
    first = tuple(field for field in schema.steps if field.path == keys.IS_FIRST)
    return Schema(first, schema.metadata)


def select_episodes(
    dataset: Dataset, episodes: Sequence[str], where: Mapping[str, str] | None = None
) -> list[int]:
    """The ordinals of the episodes that are meant, ascending.

    Args:
      dataset: what they are in.
      episodes: each an ordinal counted from 0, a range of them such as `3-7`, or an episode id;
        none for all episodes.
      where: values that metadata must have, as text; an episode must be in both selections.

    Raises:
      UsageError: there is no such episode or field, or an id stands for several.
      DamagedDatasetError: an episode cannot be read.
    """
    if not episodes and not where:
        raise UsageError(
            "no episodes are named: give ordinals, ranges such as 3-7, episode ids, or --where"
        )
    ordinals, ids = parse_numbers(episodes)
    for ordinal in ordinals:
        if ordinal >= dataset.num_episodes:
            raise UsageError(
                f"{dataset.directory}: there is no episode {ordinal}; it holds "
                f"{dataset.num_episodes}, numbered from 0"
            )
    wanted = {path: _parse_value(dataset, path, text) for path, text in (where or {}).items()}
    if not ids and not wanted:
        return sorted(ordinals)
    metadata = list(metadata_of_episodes(dataset))
    chosen = ordinals | _find_ids(dataset, metadata, ids)
    if not episodes:
        chosen = set(range(len(metadata)))
    return [
        ordinal
        for ordinal in sorted(chosen)
        if all(metadata[ordinal][path] == value for path, value in wanted.items())
    ]


def parse_numbers(texts: Sequence[str]) -> tuple[set[int], list[str]]:
    """Numbers and ranges such as `3-7`, each number of them; and the texts that are neither.

    Raises:
      UsageError: a range that ends before it begins.
    """
    numbers: set[int] = set()
    others = []
    for text in texts:
        match = _RANGE.fullmatch(text)
        if not match:
            others.append(text)
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"range {text}: ends before it begins")
        if last - first > 10_000_000:
            raise UsageError(f"range {text}: longer than any dataset")
        numbers.update(range(first, last + 1))
    return numbers, others


def _find_ids(
    dataset: Dataset, metadata: Sequence[Mapping[str, Any]], ids: Sequence[str]
) -> set[int]:
    places: dict[str, list[int]] = {name: [] for name in ids}
    for ordinal, values in enumerate(metadata):
        if (name := str(values.get(keys.EPISODE_ID, ""))) in places:
            places[name].append(ordinal)
    if missing := [name for name, found in places.items() if not found]:
        raise UsageError(
            f"{dataset.directory}: there is no episode {', '.join(map(repr, missing))}"
        )
    for name, found in places.items():
        if len(found) > 1:
            raise UsageError(
                f"{dataset.directory}: {len(found)} episodes have the id {name!r}; name the one "
                f"you mean by its ordinal: {', '.join(map(str, found))}"
            )
    return {found[0] for found in places.values()}


def _parse_value(dataset: Dataset, path: str, text: str) -> Any:
    fields = {field.path: field for field in dataset.schema.metadata}
    if path not in fields:
        raise UsageError(
            f"{dataset.directory}: there is no metadata field {path!r}; there are "
            f"{', '.join(fields) or 'none'}"
        )
    return _as_value(fields[path], text)


def _as_value(field: Field, text: str) -> Any:
    if field.dtype == STRING:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    fits = isinstance(value, bool) if field.dtype == "bool" else type(value) in (int, float)
    if not fits:
        example = "true" if field.dtype == "bool" else "1"
        raise UsageError(
            f"{field.path}={text}: expected {field.describe()}, e.g. {field.path}={example}"
        )
    return value
