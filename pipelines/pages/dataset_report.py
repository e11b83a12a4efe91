"""`serlds report DATASET`: one self-contained page about a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import page
from ...datasets.durable_files import write_durably
from ...datasets.errors import UsageError
from ...datasets.intervals import wilson_interval
from ...datasets.reading import Dataset, open_dataset
from ..engine.runner import Progress, RunnerOptions
from ..validate import validate
from ..validation_report import Report
from .contact_sheet import SheetEpisode, contact_sheet
from .distributions import field_spreads, too_wide
from .findings_view import group_findings, verdict_tile
from .origin import origin_facts
from .sections import (
    day_rows,
    lengths_section,
    success_section,
    timing_section,
    traces_section,
    word_facts,
)
from .survey import FAILURE, SUCCESS, Survey
from .survey_job import survey_dataset
from .validation_page import alignment_plot

PAGE_FILE = "report.html"
_TEMPLATE = Path(__file__).with_name("dataset_report.html")


def write_dataset_report(
    source: str | Path,
    out: Path | None = None,
    *,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> Path:
    """Writes the page; everything on it is inside the one file.

    The dataset is validated, and its columns are read once more; images are decoded of six
    episodes only. What a dataset does not say (success, time, units) the page leaves out.

    Args:
      source: the dataset, `<data_dir>/<name>[/<version>]`.
      out: the HTML file; None: `report.html` in the dataset's directory.
      workers: local worker processes; None: see `RunnerOptions`.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread; every episode
        counts twice, once per pass.
      scratch: directory for intermediate results, which remote workers must see too; None: see
        `scratch_directory`.

    Returns:
      The file.

    Raises:
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the dataset cannot be opened.
      UsageError: a wrong option, or the file cannot be written.
      SerldsError: a pipeline failed.
    """
    dataset = open_dataset(source)
    path = out if out is not None else dataset.directory / PAGE_FILE
    options = RunnerOptions(workers, tuple(beam_args))
    survey = survey_dataset(dataset, options, _phase(progress, 0), scratch)
    report = validate(
        dataset.directory,
        workers=workers,
        beam_args=beam_args,
        progress=_phase(progress, 1),
        scratch=scratch,
    )
    text = page.render(_TEMPLATE, **_content(dataset, survey, report))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, text.encode())
    except OSError as error:
        raise UsageError(
            f"the page cannot be written to {path}: {error}; choose a place with --out"
        ) from error
    return path


def _phase(progress: Progress | None, phase: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(phase * total + done, 2 * total)


def _content(dataset: Dataset, survey: Survey, report: Report) -> dict[str, Any]:
    actions, states = field_spreads(survey.statistics, dataset.schema, survey.steps)
    return {
        "title": f"{dataset.name} {dataset.version}",
        "name": dataset.name,
        "version": dataset.version,
        "card": dataset.files.card,
        "tiles": _tiles(dataset, survey, report),
        "empty": not survey.num_episodes,
        "unreadable": survey.unreadable,
        "sheet": [_sheet_item(item) for item in contact_sheet(survey.looks, dataset.schema)],
        "lengths": lengths_section(survey),
        "success": success_section(survey),
        "days": day_rows(survey),
        "words": word_facts(survey),
        "actions": actions,
        "states": states,
        "too_wide": too_wide(dataset.schema),
        "traces": traces_section(dataset, survey),
        "timing": timing_section(survey.timing),
        "alignment": alignment_plot(report),
        "report": report,
        "findings": group_findings(report),
        "origin": origin_facts(dataset, survey.days),
        "fields": [_field_row(field) for field in dataset.schema.steps],
        "metadata": [_field_row(field) for field in dataset.schema.metadata],
    }


def _tiles(dataset: Dataset, survey: Survey, report: Report) -> list[dict[str, str]]:
    splits = dataset.splits
    detail = ", ".join(f"{page.count(number)} {name}" for name, number in splits.items())
    label = "episodes" + (f" ({detail})" if len(splits) > 1 else "")
    tiles = [{"value": page.count(survey.num_episodes), "label": label, "kind": ""}]
    seconds = survey.timing.sum_s
    time = f" in {page.duration(seconds)} of robot time" if seconds else ""
    tiles.append({"value": page.count(survey.steps), "label": f"steps{time}", "kind": ""})
    if known := sum(survey.outcomes.count(kind) for kind in (SUCCESS, FAILURE)):
        tiles.append(_success_tile(survey.outcomes.count(SUCCESS), known))
    label = f"in {page.counted(len(dataset.shards()), 'shard')}"
    tiles.append({"value": page.size(dataset.size_bytes), "label": label, "kind": ""})
    return [*tiles, verdict_tile(report)]


def _success_tile(successes: int, episodes: int) -> dict[str, str]:
    low, high = wilson_interval(successes, episodes)
    label = f"success (95 % interval {page.share(low)} to {page.share(high)})"
    return {"value": page.share(successes / episodes), "label": label, "kind": "good"}


def _sheet_item(item: SheetEpisode) -> dict[str, Any]:
    look = item.look
    words = [page.counted(look.actions, "action")]
    words += [look.collector] if look.collector else []
    words += [look.episode_id] if look.episode_id else []
    outcome = {SUCCESS: "success", FAILURE: "failure"}.get(look.outcome, "")
    return {
        "title": f"Episode {look.ordinal}",
        "outcome": outcome,
        "detail": ", ".join(words),
        "cameras": item.cameras,
    }


def _field_row(field: Any) -> tuple[str, ...]:
    shape = " \N{MULTIPLICATION SIGN} ".join(str(length) for length in field.shape)
    about = field.about
    units = ", ".join(dict.fromkeys(unit.strip() for unit in about.unit.split(",")))
    return (field.path, field.encoding or field.dtype, shape, units, about.frame, about.doc)
