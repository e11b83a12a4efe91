"""Writing a dataset: what the launcher does."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..datasets.dataset_files import (
    COUNTED_TEMPLATE,
    DatasetCard,
    DatasetFiles,
    SplitFiles,
    shard_name,
    write_metadata,
)
from ..datasets.durable_files import write_durably
from ..datasets.errors import SerldsError
from ..datasets.paths import DatasetPath
from ..datasets.provenance import Parent, Provenance, dataset_digest, write_provenance
from ..datasets.reading import Dataset
from .checks.dataset_checks import check_records
from .digests import digest_or_empty
from .engine.loading import EpisodeSource
from .engine.output import appearing_directory
from .engine.parts import Part, Unreadable
from .engine.results import read_results
from .engine.runner import Progress, RunnerOptions, run_parts
from .findings import Finding
from .statistics.fields import STATISTICS_FILE, Statistics, statistics_json, take_statistics
from .writing import EpisodeMap, WriteJob

DEAD_LETTER_FILE = "dead_letters.jsonl"
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class DeriveReport:
    """What came of writing a dataset.

    Attributes:
      dataset: directory of the new dataset.
      splits: number of episodes by split.
      num_steps: steps of these.
      left_out: number of episodes that a transform did not want, by its name.
      num_bad: episodes that could not be read or processed; each is in `dead_letters.jsonl`.
      findings: what was wrong with them.
      statistics: of the new dataset.
    """

    dataset: Path
    splits: dict[str, int]
    num_steps: int
    left_out: dict[str, int]
    num_bad: int
    findings: tuple[Finding, ...]
    statistics: Statistics

    @property
    def num_episodes(self) -> int:
        return sum(self.splits.values())

    @property
    def exit_code(self) -> int:
        """0, or 1 where an episode could not be read or processed."""
        return 1 if self.findings else 0

    def to_text(self) -> str:
        """For the terminal."""
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        lines = [f"{self.dataset}: {self.num_episodes} episodes ({splits}), {self.num_steps} steps"]
        lines += [f"left out by {name}: {count}" for name, count in self.left_out.items()]
        if self.findings:
            lines.append(f"{self.num_bad} bad episode(s), see {self.dataset / DEAD_LETTER_FILE}:")
            lines += [f"  {finding}" for finding in self.findings[:_SHOWN]]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Derivation:
    """A dataset to be written.

    Attributes:
      source: where its episodes come from.
      source_name: what that is, for messages.
      target: where the new one shall appear.
      mapping: what makes its episodes.
      parts: the plan; each part becomes a shard of its split.
      unreadable: records of the source that no part can reach.
      card: what `dataset_info.json` shall say.
      provenance: what `serlds.json` shall say.
      extra_files: gives further files of the directory, by name, from the statistics.
    """

    source: EpisodeSource
    source_name: str
    target: DatasetPath
    mapping: EpisodeMap
    parts: tuple[Part, ...]
    unreadable: Sequence[Unreadable]
    card: DatasetCard
    provenance: Provenance
    extra_files: Callable[[Statistics], dict[str, bytes]] | None = None


def derive(
    derivation: Derivation, options: RunnerOptions, progress: Progress | None = None
) -> DeriveReport:
    """Runs the pipeline and lets the new dataset appear, complete.

    Raises:
      UsageError: the target exists already.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    target = derivation.target
    with appearing_directory(target.directory) as directory:
        work = directory / "work"
        work.mkdir()
        job = WriteJob(derivation.source, derivation.mapping)
        run_parts(job, derivation.parts, work, options, progress)
        statistics, results = take_statistics(read_results(work, derivation.parts))
        report = _fold(derivation, results, statistics)
        if not report.num_episodes:
            raise SerldsError(_nothing_left(derivation, report))
        files = _place_shards(derivation, results, directory)
        shutil.rmtree(work)
        _write_beside(derivation, files, report, directory)
    return report


def derived_from(datasets: Sequence[Dataset], transform: dict[str, Any]) -> Provenance:
    """The provenance of a dataset made from others.

    It names an environment only where all of them were recorded in the same one.

    Args:
      datasets: the parents.
      transform: the verb and its options.
    """
    origins = [
        (one.provenance.env_id, one.provenance.env_args) if one.provenance else ("", {})
        for one in datasets
    ]
    env_id, env_args = origins[0] if all(one == origins[0] for one in origins) else ("", {})
    parents = tuple(
        Parent(str(one.directory), one.name, one.version, digest_or_empty(one)) for one in datasets
    )
    return Provenance(env_id=env_id, env_args=env_args, parents=parents, transform=transform)


def copy_card(source: Dataset, what: str) -> DatasetCard:
    """The source's card with a sentence on what was done to it."""
    description = f"{source.files.card.description}\n\n{what}".strip()
    return dataclasses.replace(source.files.card, description=description)


def _fold(
    derivation: Derivation, results: Sequence[dict[str, Any]], statistics: Statistics
) -> DeriveReport:
    splits: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for part, result in zip(derivation.parts, results, strict=True):
        splits[part.split] += result["episodes"]
        left_out.update(result["left_out"])
    findings = list(check_records(derivation.unreadable))
    findings += [Finding.from_json(values) for result in results for values in result["findings"]]
    return DeriveReport(
        dataset=derivation.target.directory,
        splits={split: count for split, count in splits.items() if count},
        num_steps=sum(result["steps"] for result in results),
        left_out=dict(left_out),
        num_bad=len(derivation.unreadable) + sum(result["bad"] for result in results),
        findings=tuple(findings),
        statistics=statistics,
    )


def _place_shards(
    derivation: Derivation, results: Sequence[dict[str, Any]], directory: Path
) -> DatasetFiles:
    """Gives the shards their final names, which carry the number of shards that are not empty."""
    by_split: dict[str, list[dict[str, Any]]] = {}
    for part, result in zip(derivation.parts, results, strict=True):
        if result["file"]:
            by_split.setdefault(part.split, []).append(result)
    target, splits = derivation.target, []
    for name, shards in by_split.items():
        split = SplitFiles(
            name,
            tuple(shard["episodes"] for shard in shards),
            sum(shard["bytes"] for shard in shards),
            COUNTED_TEMPLATE,
        )
        for index, shard in enumerate(shards):
            source = directory / "work" / shard["file"]
            source.rename(directory / shard_name(target.name, split, index))
        splits.append(split)
    return DatasetFiles(target.name, target.version, tuple(splits), derivation.card)


def _write_beside(
    derivation: Derivation, files: DatasetFiles, report: DeriveReport, directory: Path
) -> None:
    schema = derivation.mapping.schema
    shards = [path for split in files.splits for path in files.shard_paths(directory, split)]
    digest = dataset_digest(shards)
    write_durably(directory / STATISTICS_FILE, statistics_json(report.statistics, schema, digest))
    if report.findings:
        lines = (json.dumps(finding.to_json()) + "\n" for finding in report.findings)
        write_durably(directory / DEAD_LETTER_FILE, "".join(lines).encode())
    if derivation.extra_files:
        for name, content in derivation.extra_files(report.statistics).items():
            write_durably(directory / name, content)
    write_provenance(directory, derivation.provenance)
    write_metadata(directory, files, schema)


def _nothing_left(derivation: Derivation, report: DeriveReport) -> str:
    reasons = [f"{count} left out by {name}" for name, count in report.left_out.items()]
    reasons += [f"{report.num_bad} bad: {report.findings[0]}"] if report.findings else []
    episodes = sum(len(part.records) for part in derivation.parts)
    return (
        f"{derivation.source_name}: of {episodes} episodes none is left, so no dataset was "
        f"written: {'; '.join(reasons) or 'it is empty'}"
    )
