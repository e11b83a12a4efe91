"""What `serlds report RUN` does: one self-contained page about a run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import page
from ..datasets import keys
from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from ..datasets.summary import Summary, summarize
from ..envs.video import write_video
from . import run_plots
from .evaluation_results import Evaluation, caption, require_evaluation
from .metrics import ENV_STEPS, WALL_S, Line, read_metrics
from .run_directory import RunDirectory, RunRecord
from .run_plots import Curve, Group, Level

_TEMPLATE = Path(__file__).with_name("run_report.html")
_VIDEOS_PER_GROUP = 4


def write_report(
    run: Path,
    out: Path,
    baselines: Sequence[Path] = (),
    datasets: Sequence[str] = (),
    timing: Path | None = None,
    seeds: Sequence[Path] = (),
) -> Path:
    """Writes the page; everything on it is inside the one file.

    Args:
      run: a training run; its newest evaluation is the headline.
      out: the HTML file.
      baselines: other runs to compare with; those of one algorithm are one line.
      datasets: further datasets to list beside the run's own.
      timing: JSON file with seconds of wall time by phase.
      seeds: further runs of the same algorithm and task, shown as one with it.

    Raises:
      UsageError: there is no run, or no evaluation of it.
    """
    directory = RunDirectory.open(run)
    record = directory.read_record()
    actor, learner = (
        read_metrics(directory.metrics("actor")),
        read_metrics(directory.metrics("learner")),
    )
    same = [_Compared.read(path) for path in (run, *seeds)]
    others = _by_algorithm(_Compared.read(path) for path in baselines)
    _check_same_task(same, seeds)
    evaluation = same[0].evaluation
    other = next((found[0].evaluation for found in others.values()), None)
    demos = [open_dataset(item.path) for item in record.datasets]
    listed = [*demos, *_online(directory), *(open_dataset(path) for path in datasets)]
    values = {
        "title": f"{record.run.algorithm.upper()} on {record.run.env_id.removeprefix('serlds/')}",
        "subtitle": _subtitle(record, demos),
        "tiles": _tiles(same, others, actor, learner),
        "plots": _plots(actor, learner, same, others, timing),
        "video_groups": _video_groups(demos, evaluation, other),
        "tables": [_dataset_table([summarize(dataset) for dataset in listed])],
    }
    write_durably(out, page.render(_TEMPLATE, **values).encode())
    return out


def _online(directory: RunDirectory) -> list[Dataset]:
    path = directory.episodes.directory
    return [open_dataset(path)] if path.is_dir() else []


def _subtitle(record: RunRecord, demos: Sequence[Dataset]) -> str:
    learned = f"Learned from {sum(dataset.num_episodes for dataset in demos)} demonstrations. "
    began = datetime.fromisoformat(record.created_utc)
    return f"{learned if demos else ''}Training began on {began:%Y-%m-%d at %H:%M} UTC."


@dataclasses.dataclass(frozen=True)
class _Compared:
    """A run as the page compares it with others."""

    path: Path
    algorithm: str
    env_id: str
    evaluation: Evaluation
    curves: tuple[Curve, Curve] | None
    """(success, return) of the evaluations while it trained online; None when there were none."""

    @classmethod
    def read(cls, path: Path) -> _Compared:
        directory = RunDirectory.open(path)
        run = directory.read_record().run
        lines = read_metrics(directory.metrics("actor"))
        measured = [line for line in lines if "eval/success_rate" in line]
        curves = (_curve(measured, "eval/success_rate"), _curve(measured, "eval/return"))
        return cls(
            path=path,
            algorithm=run.algorithm.upper(),
            env_id=run.env_id,
            evaluation=require_evaluation(path),
            curves=curves if measured else None,
        )


def _by_algorithm(runs: Iterable[_Compared]) -> dict[str, list[_Compared]]:
    found: dict[str, list[_Compared]] = {}
    for run in runs:
        found.setdefault(run.algorithm, []).append(run)
    return found


def _check_same_task(same: Sequence[_Compared], seeds: Sequence[Path]) -> None:
    for run, path in zip(same[1:], seeds, strict=True):
        if (run.algorithm, run.env_id) != (same[0].algorithm, same[0].env_id):
            raise UsageError(
                f"--seeds {path}: {run.algorithm} on {run.env_id}, but {same[0].path} is "
                f"{same[0].algorithm} on {same[0].env_id}; compare it by --baseline"
            )


def _tiles(
    same: Sequence[_Compared],
    others: Mapping[str, Sequence[_Compared]],
    actor: Sequence[Line],
    learner: Sequence[Line],
) -> list[dict[str, str]]:
    tiles = [_success_tile(same, "success", "good")]
    for name, runs in others.items():
        tiles.append(_success_tile(runs, f"success of the baseline, {name}", "base"))
    lines = [*actor, *learner]
    if lines:
        steps = max(line[ENV_STEPS] for line in lines)
        minutes = max(line[WALL_S] for line in lines) / 60
        if steps:
            label = "environment steps of online training"
            tiles.append({"value": f"{steps:,.0f}", "label": label})
        tiles.append({"value": f"{minutes:.1f} min", "label": "wall time of training"})
    return tiles


def _success_tile(runs: Sequence[_Compared], label: str, kind: str) -> dict[str, str]:
    rates = [run.evaluation.success_rate for run in runs]
    low, high = runs[0].evaluation.success_interval
    episodes = sum(run.evaluation.episodes for run in runs)
    detail = f"{label} over {episodes} fresh episodes "
    if len(runs) == 1:
        detail += f"(95 % interval {low:.0%} to {high:.0%})"
    else:
        detail += f"of {len(runs)} runs ({min(rates):.0%} to {max(rates):.0%})"
    return {"value": f"{sum(rates) / len(rates):.0%}", "label": detail, "kind": kind}


def _levels(others: Mapping[str, Sequence[_Compared]]) -> list[Level]:
    """What has no curve over environment steps is a level."""
    return [
        Level(name, sum(run.evaluation.success_rate for run in runs) / len(runs))
        for name, runs in others.items()
        if not any(run.curves for run in runs)
    ]


def _groups(same: Sequence[_Compared], others: Mapping[str, Sequence[_Compared]]) -> list[Group]:
    named = [("evaluation", same), *others.items()]
    groups = []
    for (name, runs), colour in zip(named, itertools.cycle(run_plots.COLOURS), strict=False):
        if curves := tuple(run.curves for run in runs if run.curves):
            label = f"{name}, {len(curves)} runs" if len(curves) > 1 else name
            groups.append(Group(label, colour, curves))
    return groups


def _plots(
    actor: Sequence[Line],
    learner: Sequence[Line],
    same: Sequence[_Compared],
    others: Mapping[str, Sequence[_Compared]],
    timing: Path | None,
) -> list[dict[str, str]]:
    plots = []
    if groups := _groups(same, others):
        episodes = [line for line in actor if "train/success" in line]
        source = run_plots.success_and_return(
            groups,
            (_curve(episodes, "train/success"), _curve(episodes, "train/return")),
            _levels(others),
        )
        text = (
            "Evaluations act without exploration, on episodes that are not trained on; training "
            "episodes explore."
            + (" Bands reach from the lowest to the highest run." if len(same) > 1 else "")
        )
        plots.append(_plot("Success and return", text, source))
    if stored := [line for line in learner if "replay/online" in line and line[ENV_STEPS] > 0]:
        source = run_plots.replay_composition(
            *(np.array([line[name] for line in stored])
              for name in (ENV_STEPS, "replay/demos", "replay/online"))
        )  # fmt: skip
        text = "Transitions that the learner can draw from; each batch takes a fixed share of each."
        plots.append(_plot("Replay composition", text, source))
    if timing and (phases := json.loads(timing.read_text())):
        plots.append(_plot("Where the time went", "", run_plots.phase_bars(list(phases.items()))))
    return plots


def _curve(lines: Sequence[Line], name: str) -> Curve:
    steps, wall_s, value = (
        np.array([line[key] for line in lines]) for key in (ENV_STEPS, WALL_S, name)
    )
    return Curve(steps, wall_s, value)


def _plot(title: str, text: str, source: str) -> dict[str, str]:
    return {"title": title, "text": text, "source": source}


def _video_groups(
    demos: Sequence[Dataset], evaluation: Evaluation, other: Evaluation | None
) -> list[dict[str, Any]]:
    groups = []
    for title, text, videos in (
        ("Demonstrations", "The first ones, as recorded.", _demo_videos(demos)),
        ("The trained policy", "Fresh episodes.", _files(evaluation)),
        ("The baseline", "The same episodes.", _files(other)),
    ):
        if videos:
            groups.append({"title": title, "text": text, "videos": videos})
    return groups


def _files(evaluation: Evaluation | None) -> list[dict[str, str]]:
    videos = evaluation.videos[:_VIDEOS_PER_GROUP] if evaluation else ()
    return [_video(path.read_bytes(), caption) for path, caption in videos]


def _demo_videos(demos: Sequence[Dataset]) -> list[dict[str, str]]:
    with_images = next((dataset for dataset in demos if dataset.schema.image_fields), None)
    if with_images is None:
        return []
    camera = with_images.schema.image_fields[0].path
    videos = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(min(_VIDEOS_PER_GROUP, with_images.num_episodes)):
            episode = with_images.episode(number)
            path = Path(folder) / f"{number}.mp4"
            frames = episode.pixels(camera)
            rate_hz = float(episode.metadata.get(keys.CONTROL_HZ) or 10.0)
            write_video(path, [*frames, *[frames[-1]] * 5], rate_hz)
            text = caption(number, episode.num_transitions, episode.success)
            videos.append(_video(path.read_bytes(), text))
    return videos


def _video(content: bytes, caption: str) -> dict[str, str]:
    return {"source": page.data_uri("video/mp4", content), "caption": caption}


def _dataset_table(summaries: Sequence[Summary]) -> dict[str, Any]:
    rows = []
    for summary in summaries:
        successes = sum(part.successes for part in summary.success_by_collector.values())
        share = f"{successes / summary.episodes:.0%}" if summary.success_by_collector else "-"
        rows.append((
            summary.directory,
            f"{summary.episodes:,}",
            f"{summary.steps:,}",
            share,
            ", ".join(sorted(summary.success_by_collector)) or "-",
            f"{summary.size_bytes / 1e6:.1f} MB",
        ))  # fmt: skip
    columns = ("dataset", "episodes", "steps", "success", "collector", "size")
    text = "RLDS on disk; tfds.builder_from_directory opens each of them."
    return {"title": "Datasets", "text": text, "columns": columns, "rows": rows}
