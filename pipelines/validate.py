"""`serlds validate`: is a dataset fit to train on?"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import keys
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Schema
from ..datasets.verdict import write_verdict
from .checks import arrays
from .checks.check import Evidence, Sums
from .checks.dataset_checks import check_records
from .checks.evidence import figures
from .checks.examination import Examiner, FindingList, judge, measurements
from .checks.fields import Fields
from .checks.options import CheckOptions
from .checks.reference import reference_colours
from .digests import digest_or_empty
from .engine.loading import load_episode
from .engine.parts import Part, RecordRef, Unreadable, locate_records, plan_parts
from .engine.results import read_results
from .engine.runner import Progress, RunnerOptions, run_parts
from .engine.scratch import scratch_directory
from .findings import ERROR, WARNING, Finding
from .validation_report import Report


@dataclasses.dataclass(frozen=True)
class ValidateJob:
    """Checks the episodes of a part and sums up what the checks of the dataset need."""

    schema: Schema
    options: CheckOptions

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"read", "measured", "steps", "findings", "counts", "sums", "control_hz"}`.

        `measured` are the positions in the part of the episodes that `sums` are of.
        """
        examiner, found = Examiner(self.schema, self.options), FindingList()
        measured: list[int] = []
        read, steps, control_hz = 0, 0, 0.0
        for position, ref in enumerate(part.records):
            episode = load_episode(ref, self.schema)
            if isinstance(episode, Finding):
                found.add(episode)
                continue
            read += 1
            steps += len(episode)
            fits = True
            for finding in examiner.findings(episode):
                found.add(finding.at(episode.episode_id, ref.file, ref.record))
                fits = fits and finding.check != "schema"
            if fits:
                measured.append(position)
            control_hz = control_hz or float(episode.metadata.get(keys.CONTROL_HZ, 0.0))
        return {
            "read": read,
            "measured": measured,
            "steps": steps,
            "findings": [finding.to_json() for finding in found.listed],
            "counts": [[*kind, count] for kind, count in found.counts.items()],
            "sums": {name: arrays.to_json(sums) for name, sums in examiner.sums().items()},
            "control_hz": control_hz,
        }


def validate(
    source: str | Path,
    *,
    checks: CheckOptions | None = None,
    json_path: str | Path | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> Report:
    """Checks every episode of a dataset, and the dataset as a whole.

    The checks are those of `checks.registry`; each states its rule. A damaged record is a finding
    and does not hide the other episodes. The data is not changed; the verdict is written beside it
    (`validation.json`), where that is allowed.

    Args:
      source: the dataset, `<data_dir>/<name>[/<version>]`.
      checks: which checks are made and how strictly; None: all, with their defaults.
      json_path: where to write the report as JSON, if anywhere.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.
      scratch: directory for intermediate results, which remote workers must see too; None: see
        `scratch_directory`.

    Raises:
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the dataset cannot be opened.
      UsageError: a wrong option.
      SerldsError: the pipeline failed.
    """
    options, chosen = RunnerOptions(workers, tuple(beam_args)), checks or CheckOptions()
    dataset = open_dataset(source)
    references = reference_colours(dataset.schema, chosen)
    by_split, unreadable = locate_records(dataset)
    parts = plan_parts(by_split)
    with scratch_directory(options, dataset.directory, scratch) as directory:
        run_parts(ValidateJob(dataset.schema, chosen), parts, directory, options, progress)
        results = list(read_results(directory, parts))
    report = _report(dataset, chosen, references, parts, results, unreadable)
    if json_path is not None:
        _write_report(report, Path(json_path))
    return report


def keep_verdict(report: Report) -> str:
    """Writes the verdict beside the data; returns why it could not be written, if so."""
    if not report.digest:
        return ""  # too damaged to be told from another dataset
    try:
        write_verdict(Path(report.dataset), report.verdict())
    except OSError as error:
        return f"the verdict could not be written beside the data: {error}"
    return ""


def _report(
    dataset: Dataset,
    options: CheckOptions,
    references: dict[str, np.ndarray],
    parts: tuple[Part, ...],
    results: list[dict[str, Any]],
    unreadable: list[Unreadable],
) -> Report:
    fields = Fields(dataset.schema)
    made = options.made(fields)
    found = FindingList()
    for result in results:
        for values in result["findings"]:
            found.keep(Finding.from_json(values))
        for check, severity, count in result["counts"]:
            found.counts[check, severity] += count
    sums: dict[str, Sums] = {
        one.name: one.fold(arrays.from_json(result["sums"][one.name]) for result in results)
        for one in measurements(made)
    }
    evidence = Evidence(
        schema=dataset.schema,
        fields=fields,
        sums=sums,
        control_hz=next((r["control_hz"] for r in results if r["control_hz"]), 0.0),
        references=references,
        name_episodes=_namer(dataset.schema, parts, results),
    )
    for finding in itertools.chain(check_records(unreadable), judge(made, evidence, options)):
        found.add(finding)
    # A record that cannot be read is told even where its check is skipped.
    names = dict.fromkeys((*(check.name for check in made), *(check for check, _ in found.counts)))
    return Report(
        dataset=str(dataset.directory),
        name=dataset.name,
        version=dataset.version,
        digest=digest_or_empty(dataset),
        num_episodes=sum(result["read"] for result in results),
        num_steps=sum(result["steps"] for result in results),
        findings=tuple(found.listed),
        tallies={
            name: {severity: found.counts[name, severity] for severity in (ERROR, WARNING)}
            for name in names
        },
        not_made={n: why for n, why in options.not_made(fields).items() if n not in names},
        thresholds={check.name: dict(options.limits_of(check)) for check in made},
        images=options.images,
        evidence=figures(sums, fields),
    )


def _namer(
    schema: Schema, parts: Sequence[Part], results: Sequence[dict[str, Any]]
) -> Callable[[Iterable[int]], list[tuple[str, str, int]]]:
    """Finds (episode id, file, record) of measured episodes by reading them again: they are few."""
    ends = list(itertools.accumulate(len(result["measured"]) for result in results))
    light = Schema(tuple(f for f in schema.steps if f.path == keys.IS_FIRST), schema.metadata)

    def ref_of(ordinal: int) -> RecordRef:
        at = bisect.bisect_right(ends, ordinal)
        position = ordinal - (ends[at - 1] if at else 0)
        return parts[at].records[results[at]["measured"][position]]

    def name_episodes(ordinals: Iterable[int]) -> list[tuple[str, str, int]]:
        named = []
        for ref in map(ref_of, ordinals):
            episode = load_episode(ref, light)
            episode_id = "" if isinstance(episode, Finding) else episode.episode_id
            named.append((episode_id, ref.file, ref.record))
        return named

    return name_episodes


def _write_report(report: Report, path: Path) -> None:
    try:
        path.write_text(report.to_json())
    except OSError as error:
        raise UsageError(f"the report cannot be written to {path}: {error}") from error
