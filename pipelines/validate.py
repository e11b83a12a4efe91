"""`serlds validate`: is a dataset fit to train on?"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..datasets import keys
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Schema
from .alignment import AlignmentSums, alignment_sums, can_align
from .checks import CHECKS, check_one
from .dataset_checks import DATASET_CHECKS, check_dataset
from .digests import digest_or_empty
from .field_statistics import Statistics, StatisticsBuilder, merge_all
from .findings import Finding, Report
from .loading import load_episode
from .parts import Part, Unreadable, locate_records, plan_parts
from .results import read_results
from .runner import Progress, RunnerOptions, run_parts


@dataclasses.dataclass(frozen=True)
class ValidateJob:
    """Checks the episodes of a part and sums up what the checks of the dataset need."""

    schema: Schema

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"episode_ids", "steps", "findings", "alignment", "statistics", "control_hz"}`."""
        align = can_align(self.schema)
        sums, action = AlignmentSums(), StatisticsBuilder(_action_alone(self.schema))
        findings: list[Finding] = []
        episode_ids: list[str | None] = []
        steps, control_hz = 0, 0.0
        for ref in part.records:
            episode = load_episode(ref, self.schema)
            if isinstance(episode, Finding):
                findings.append(episode)
                episode_ids.append(None)
                continue
            found = check_one(episode, self.schema)
            findings.extend(one.at(episode.episode_id, ref.file, ref.record) for one in found)
            action.add(episode)
            sums += alignment_sums(episode, self.schema) if align else AlignmentSums()
            episode_ids.append(episode.episode_id)
            steps += len(episode)
            control_hz = control_hz or float(episode.metadata.get(keys.CONTROL_HZ, 0.0))
        return {
            "episode_ids": episode_ids,
            "steps": steps,
            "findings": [finding.to_json() for finding in findings],
            "alignment": sums.to_json(),
            "statistics": action.build().to_json(),
            "control_hz": control_hz,
        }


def validate(
    source: str | Path,
    *,
    json_path: str | Path | None = None,
    workers: int = 1,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> Report:
    """Checks every episode of a dataset, and the dataset as a whole.

    The checks are those of `checks.CHECKS` and `dataset_checks`; each states its rule. A damaged
    record is a finding and does not hide the other episodes. The dataset is not changed.

    Args:
      source: the dataset, `<data_dir>/<name>[/<version>]`.
      json_path: where to write the report as JSON, if anywhere.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.
      scratch: directory for intermediate results, which remote workers must see too; None: the
        system's directory for temporary files.

    Raises:
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the dataset cannot be opened.
      UsageError: a wrong option.
      SerldsError: the pipeline failed.
    """
    options = RunnerOptions(workers, tuple(beam_args))
    dataset = open_dataset(source)
    by_split, unreadable = locate_records(dataset)
    parts = plan_parts(by_split)
    with tempfile.TemporaryDirectory(prefix="serlds-validate-", dir=scratch) as directory:
        run_parts(ValidateJob(dataset.schema), parts, Path(directory), options, progress)
        results = list(read_results(Path(directory), parts))
    report = _report(dataset, parts, results, unreadable)
    if json_path is not None:
        _write_report(report, Path(json_path))
    return report


def _report(
    dataset: Dataset,
    parts: tuple[Part, ...],
    results: list[dict[str, Any]],
    unreadable: list[Unreadable],
) -> Report:
    episodes = [
        (episode_id, ref.file, ref.record)
        for part, result in zip(parts, results, strict=True)
        for ref, episode_id in zip(part.records, result["episode_ids"], strict=True)
        if episode_id is not None
    ]
    findings = [Finding.from_json(values) for result in results for values in result["findings"]]
    findings += check_dataset(
        dataset.schema,
        unreadable,
        episodes,
        (AlignmentSums.from_json(result["alignment"]) for result in results),
        merge_all(Statistics.from_json(result["statistics"]) for result in results),
        next((result["control_hz"] for result in results if result["control_hz"]), 0.0),
    )
    return Report(
        dataset=str(dataset.directory),
        name=dataset.name,
        version=dataset.version,
        digest=digest_or_empty(dataset),
        num_episodes=len(episodes),
        num_steps=sum(result["steps"] for result in results),
        checks=(*CHECKS, *DATASET_CHECKS),
        findings=tuple(findings),
    )


def _action_alone(schema: Schema) -> Schema:
    return Schema(steps=tuple(field for field in schema.steps if field.path == keys.ACTION))


def _write_report(report: Report, path: Path) -> None:
    try:
        path.write_text(report.to_json())
    except OSError as error:
        raise UsageError(f"the report cannot be written to {path}: {error}") from error
