"""One metadata field of every episode, before a plan that depends on it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.errors import SchemaError
from ..datasets.schema import Schema
from ..datasets.selecting import metadata_schema
from .engine.loading import load_episode
from .engine.parts import Part, RecordRef, plan_parts
from .engine.results import read_results
from .engine.runner import RunnerOptions, run_parts
from .engine.scratch import scratch_directory
from .findings import Finding


@dataclasses.dataclass(frozen=True)
class LabelJob:
    """Reads one metadata field of the episodes of a part; of the steps next to nothing."""

    schema: Schema
    field: str

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"labels"}`: one per record in order; null where the record cannot be read."""
        light = metadata_schema(self.schema)
        return {"labels": [self._label(ref, light) for ref in part.records]}

    def _label(self, ref: RecordRef, light: Schema) -> str | None:
        episode = load_episode(ref, light)
        return None if isinstance(episode, Finding) else str(episode.metadata[self.field])


def read_labels(
    by_split: Mapping[str, Sequence[RecordRef]],
    schema: Schema,
    field: str,
    dataset: Path,
    options: RunnerOptions,
) -> dict[RecordRef, str | None]:
    """The value of a metadata field, as text, for each record; None where it cannot be read.

    Args:
      by_split: the records.
      schema: of the episodes.
      field: name of the metadata field.
      dataset: directory of a dataset that they are in, which all workers see.
      options: where to run.

    Raises:
      SchemaError: the episodes have no such metadata field.
      SerldsError: the pipeline failed.
    """
    names = [one.path for one in schema.metadata]
    if field not in names:
        raise SchemaError(
            f"{dataset}: the episodes have no metadata field {field!r}; they have "
            f"{', '.join(names) or 'none'}"
        )
    parts = plan_parts({split: list(records) for split, records in by_split.items()})
    with scratch_directory(options, dataset) as directory:
        run_parts(LabelJob(schema, field), parts, directory, options)
        results = list(read_results(directory, parts))
    return {
        ref: label
        for part, result in zip(parts, results, strict=True)
        for ref, label in zip(part.records, result["labels"], strict=True)
    }
