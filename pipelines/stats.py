"""`serlds stats`: mean, deviation, bounds and quantiles of each dimension of a dataset's fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Schema
from .checks.dataset_checks import check_records
from .digests import digest_or_empty
from .engine.loading import load_episode
from .engine.parts import Part, locate_records, plan_parts
from .engine.results import read_results
from .engine.runner import Progress, RunnerOptions, run_parts
from .engine.scratch import scratch_directory
from .findings import Finding
from .statistics.fields import (
    STATISTICS_FILE,
    Statistics,
    StatisticsBuilder,
    statistics_json,
    statistics_table,
    take_statistics,
)


@dataclasses.dataclass(frozen=True)
class StatisticsJob:
    """Takes the statistics of the episodes of a part."""

    schema: Schema

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"statistics", "findings"}`; an unreadable episode is a finding."""
        builder, findings = StatisticsBuilder(self.schema), []
        for ref in part.records:
            episode = load_episode(ref, self.schema)
            if isinstance(episode, Finding):
                findings.append(episode.to_json())
            else:
                builder.add(episode)
        return {"statistics": builder.build().to_json(), "findings": findings}


@dataclasses.dataclass(frozen=True)
class StatisticsReport:
    """Statistics of a dataset.

    Attributes:
      dataset: what was read.
      path: the file they were written to.
      statistics: the figures.
      findings: records that could not be read.
    """

    dataset: Dataset
    path: Path
    statistics: Statistics
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a record could not be read."""
        return 1 if self.findings else 0

    def to_text(self) -> str:
        """A table for the terminal."""
        rows = statistics_table(self.statistics, self.dataset.schema)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if index in (0, 2) else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines += [str(finding) for finding in self.findings]
        lines.append(
            f"{self.statistics.num_trajectories} episodes, {self.statistics.num_transitions} "
            f"transitions; written to {self.path}"
        )
        return "\n".join(lines)


def statistics(
    source: str | Path,
    *,
    json_path: str | Path | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> StatisticsReport:
    """Takes the statistics of a dataset's actions, states and rewards, and writes them down.

    The void last row of an episode is left out for actions and rewards, and rows with a number that
    is not finite everywhere. Quantiles are exact up to 32768 rows and from a fixed sample of that
    many above.

    Args:
      source: the dataset, `<data_dir>/<name>[/<version>]`.
      json_path: the file to write; None: `statistics.json` in the dataset's directory.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.
      scratch: directory for intermediate results, which remote workers must see too; None: see
        `scratch_directory`.

    Raises:
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the dataset cannot be opened.
      UsageError: a wrong option, or the file cannot be written.
      SerldsError: the pipeline failed.
    """
    options = RunnerOptions(workers, tuple(beam_args))
    dataset = open_dataset(source)
    by_split, unreadable = locate_records(dataset)
    parts = plan_parts(by_split)
    with scratch_directory(options, dataset.directory, scratch) as directory:
        run_parts(StatisticsJob(dataset.schema), parts, directory, options, progress)
        taken, results = take_statistics(read_results(directory, parts))
    findings = list(check_records(unreadable))
    findings += [Finding.from_json(values) for result in results for values in result["findings"]]
    path = Path(json_path) if json_path is not None else dataset.directory / STATISTICS_FILE
    try:
        write_durably(path, statistics_json(taken, dataset.schema, digest_or_empty(dataset)))
    except OSError as error:
        raise UsageError(f"the statistics cannot be written to {path}: {error}") from error
    return StatisticsReport(dataset, path, taken, tuple(findings))
