"""`serlds merge`: one dataset made of several that share a schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ..datasets import keys
from ..datasets.errors import SchemaError, UsageError
from ..datasets.paths import DatasetPath
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema_differences import FieldDifference, schema_differences
from .convert import Chain
from .derive import Derivation, DeriveReport, copy_card, derive, derived_from
from .engine.loading import DatasetSource
from .engine.output import check_absent
from .engine.parts import RecordRef, Unreadable, locate_records, plan_parts
from .engine.runner import Progress, RunnerOptions
from .episode_labels import read_labels

Duplicates = Literal["error", "first"]
_SHOWN = 5


def merge(
    destination: str | Path,
    sources: Sequence[str | Path],
    *,
    duplicates: Duplicates = "error",
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeriveReport:
    """Makes one dataset of the episodes of several; it appears complete or not at all.

    The episodes come source by source, in their order, each in the split it was in. Images are
    copied as they are encoded.

    Args:
      destination: the dataset to write; it must not exist.
      sources: the datasets to read; their schemas must be equal.
      duplicates: where an episode id occurs twice: refuse (`error`), or keep the `first` episode.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      SchemaError: the schemas differ; the message names each field and the transform that helps.
      UsageError: duplicated episodes, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError: a source cannot be opened.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    options = RunnerOptions(workers, tuple(beam_args))
    if len(sources) < 2:
        raise UsageError("merge: name at least two datasets to merge, after the destination")
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    datasets = [open_dataset(source) for source in sources]
    if len({dataset.directory.resolve() for dataset in datasets}) < len(datasets):
        raise UsageError("merge: a dataset is named twice")
    first = datasets[0]
    for other in datasets[1:]:
        _check_same_schema(first, other)
    by_split, unreadable = _locate(datasets)
    if keys.EPISODE_ID in {field.path for field in first.schema.metadata}:
        by_split = _without_duplicates(by_split, first, duplicates, options)
    names = " and ".join(f"{dataset.name} {dataset.version}" for dataset in datasets)
    derivation = Derivation(
        source=DatasetSource(first.schema),
        source_name=names,
        target=target,
        mapping=Chain.over((), first.schema),
        parts=plan_parts(by_split),
        unreadable=unreadable,
        card=copy_card(first, f"Merged from {names}."),
        provenance=derived_from(datasets, {"verb": "merge", "duplicates": duplicates}),
    )
    return derive(derivation, options, progress)


def _locate(
    datasets: Sequence[Dataset],
) -> tuple[dict[str, list[RecordRef]], list[Unreadable]]:
    by_split: dict[str, list[RecordRef]] = {}
    unreadable: list[Unreadable] = []
    for dataset in datasets:
        found, damage = locate_records(dataset)
        unreadable += damage
        for split, records in found.items():
            by_split.setdefault(split, []).extend(records)
    return by_split, unreadable


def _without_duplicates(
    by_split: dict[str, list[RecordRef]],
    first: Dataset,
    duplicates: Duplicates,
    options: RunnerOptions,
) -> dict[str, list[RecordRef]]:
    """Leaves out each record whose episode id came before; ids that are empty tell nothing."""
    labels = read_labels(by_split, first.schema, keys.EPISODE_ID, first.directory, options)
    seen: dict[str, RecordRef] = {}
    repeated: dict[RecordRef, RecordRef] = {}
    for ref, name in labels.items():
        if name and seen.setdefault(name, ref) is not ref:
            repeated[ref] = seen[name]
    if repeated and duplicates == "error":
        shown = [
            f"{labels[ref]!r}: record {before.record} of {before.file} and record {ref.record} of "
            f"{ref.file}"
            for ref, before in list(repeated.items())[:_SHOWN]
        ]
        raise UsageError(
            f"{len(repeated)} episode id(s) occur more than once:\n  "
            + "\n  ".join(shown)
            + "\nLook at the difference with `serlds diff`; --duplicates first keeps the first of "
            "each."
        )
    return {
        split: [ref for ref in records if ref not in repeated]
        for split, records in by_split.items()
    }


def _check_same_schema(first: Dataset, other: Dataset) -> None:
    differences = schema_differences(first.schema, other.schema)
    if not differences:
        return
    a, b = (f"{dataset.name} {dataset.version}" for dataset in (first, other))
    lines = [
        f"{one.to_text(f'{a} has', f'{b} has')}{''.join(f'; {hint}' for hint in _hints(one, a, b))}"
        for one in differences
    ]
    raise SchemaError(
        f"{first.directory} and {other.directory} cannot be merged, their schemas differ:\n  "
        + "\n  ".join(lines)
        + "\nMake them equal with `serlds convert`, then merge the results."
    )


def _hints(difference: FieldDifference, a: str, b: str) -> Iterator[str]:
    """What `serlds convert --apply` can do about a difference."""
    one, other, path = difference.first, difference.second, difference.path
    if difference.kind != "step field":
        return
    if one is None or other is None:
        yield f"drop_field:path={path} on {b if one is None else a} (or rename_field)"
        return
    if one.is_image and other.is_image:
        if one.shape != other.shape:
            yield f"resize_images:height={one.shape[0]},width={one.shape[1]} on {b}"
        if one.encoding != other.encoding:
            yield f"encode_images:encoding={one.encoding} on {b}"
    elif one.shape != other.shape:
        yield "select_dimensions makes dimensions fewer"
    elif one.dtype != other.dtype:
        yield f"cast_field:field={path},dtype={one.dtype} on {b}"
    else:
        yield "the numbers mean something else: convert them, not only their description"
