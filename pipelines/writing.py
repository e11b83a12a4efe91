"""Writing a dataset: the part that a worker does."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Protocol

from ..datasets.episode import Episode
from ..datasets.errors import SchemaError
from ..datasets.records import encode_in_pieces, write_record
from ..datasets.schema import Schema
from .checks.episode_checks import check_one
from .engine.loading import EpisodeSource
from .engine.parts import Part, RecordRef
from .engine.results import unique_name
from .findings import ERROR, Finding
from .statistics.fields import StatisticsBuilder


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """An episode that is not wanted in the result, and who did not want it."""

    by: str


class EpisodeMap(Protocol):
    """What makes an episode of the result from one of the source. It must survive pickling."""

    @property
    def schema(self) -> Schema:
        """The schema of the results."""
        ...

    def __call__(self, episode: Episode, ref: RecordRef) -> Episode | LeftOut | Finding:
        """The new episode, or why there is none: not wanted, or wrong."""
        ...


@dataclasses.dataclass(frozen=True)
class WriteJob:
    """Checks, maps and writes the episodes of a part as one shard.

    Attributes:
      source: where the episodes come from.
      mapping: what makes the new ones.
    """

    source: EpisodeSource
    mapping: EpisodeMap

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"file", "episodes", "steps", "bytes", "left_out", "bad", "findings", "statistics"}`.

        `file` is empty where no episode is left.
        """
        statistics = StatisticsBuilder(self.mapping.schema)
        findings: list[Finding] = []
        left_out: dict[str, int] = {}
        episodes = steps = size = bad = 0
        path = directory / unique_name(f"part-{part.index:05d}", ".tfrecord")
        with path.open("wb") as file:
            for ref in part.records:
                made = self._make(ref)
                if isinstance(made, LeftOut):
                    left_out[made.by] = left_out.get(made.by, 0) + 1
                elif isinstance(made, list):
                    findings.extend(made)
                    bad += 1
                else:
                    episode, record = made
                    statistics.add(episode)
                    size += write_record(file, record)
                    episodes += 1
                    steps += len(episode)
            file.flush()
            os.fsync(file.fileno())
        if not episodes:
            path.unlink()
        return {
            "file": path.name if episodes else "",
            "episodes": episodes,
            "steps": steps,
            "bytes": size,
            "left_out": left_out,
            "bad": bad,
            "findings": [finding.to_json() for finding in findings],
            "statistics": statistics.build().to_json(),
        }

    def _make(self, ref: RecordRef) -> tuple[Episode, list[bytes]] | LeftOut | list[Finding]:
        source = self.source.load(ref)
        if isinstance(source, Finding):
            return [source]
        where = (source.episode_id, ref.file, ref.record)
        wrong = [one for one in check_one(source, self.source.schema) if one.severity == ERROR]
        if wrong:
            return [finding.at(*where) for finding in wrong]
        made = self.mapping(source, ref)
        if isinstance(made, LeftOut):
            return made
        if isinstance(made, Finding):
            return [made.at(*where)]
        try:
            return made, encode_in_pieces(made, self.mapping.schema)
        except SchemaError as error:
            return [Finding("schema", ERROR, f"the result does not fit: {error}").at(*where)]
