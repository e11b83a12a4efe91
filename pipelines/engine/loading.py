"""From a record's place to its episode, or to a finding that says why there is none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

from ...datasets.episode import Episode
from ...datasets.errors import DamagedDatasetError
from ...datasets.records import decode_episode, read_record_at
from ...datasets.schema import Schema
from ..checks.dataset_checks import RECORDS
from ..findings import ERROR, Finding
from .parts import RecordRef


class EpisodeSource(Protocol):
    """Where the episodes of a pipeline come from. It must survive pickling."""

    @property
    def schema(self) -> Schema:
        """The schema of the episodes."""
        ...

    def load(self, ref: RecordRef) -> Episode | Finding:
        """The episode at a place, or what is wrong with it."""
        ...


@dataclasses.dataclass(frozen=True)
class DatasetSource:
    """The records of RLDS datasets that share a schema."""

    schema: Schema

    def load(self, ref: RecordRef) -> Episode | Finding:
        """See `load_episode`."""
        return load_episode(ref, self.schema)


def load_episode(ref: RecordRef, schema: Schema) -> Episode | Finding:
    """Reads and decodes one record; what is wrong with it becomes a finding.

    Raises:
      OSError: the file cannot be read at all.
    """
    try:
        payload = read_record_at(Path(ref.file), ref.offset)
    except DamagedDatasetError as error:
        return Finding(RECORDS, ERROR, str(error)).at("", ref.file, ref.record)
    try:
        return decode_episode(payload, schema)
    except Exception as error:  # a record may hold anything: one bad episode must not end a run
        message = f"the record does not fit the schema: {error}"
        return Finding("schema", ERROR, message).at("", ref.file, ref.record)
