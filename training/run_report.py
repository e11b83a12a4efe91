"""What `serlds report RUN` does: one self-contained page about a run."""

from __future__ import annotations

import base64
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import keys
from ..datasets.durable_files import write_durably
from ..datasets.errors import DamagedDatasetError, UsageError
from ..datasets.reading import Dataset, open_dataset
from ..datasets.summary import Summary, summarize
from ..envs.video import write_video
from . import run_plots
from .metrics import ENV_STEPS, WALL_S, Line, read_metrics
from .run_directory import RunDirectory, RunRecord
from .run_plots import Curve, Level

_TEMPLATE = Path(__file__).with_name("run_report.html")
_VIDEOS_PER_GROUP = 4


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The part of an evaluation's result that the page shows."""

    success_rate: float
    success_interval: tuple[float, float]
    length_mean_steps: float
    episodes: int
    videos: tuple[tuple[Path, str], ...]
    """Each with a caption."""


def write_report(
    run: Path,
    out: Path,
    baseline: Path | None = None,
    datasets: Sequence[str] = (),
    timing: Path | None = None,
) -> Path:
    """Writes the page; everything on it is inside the one file.

    Args:
      run: a training run; its newest evaluation is the headline.
      out: the HTML file.
      baseline: another run to compare with, by its newest evaluation.
      datasets: further datasets to list beside the run's own.
      timing: JSON file with seconds of wall time by phase.

    Raises:
      UsageError: there is no run, or no evaluation of it.
    """
    directory = RunDirectory.open(run)
    record = directory.read_record()
    actor, learner = (
        read_metrics(directory.metrics("actor")),
        read_metrics(directory.metrics("learner")),
    )
    evaluation = newest_evaluation(run)
    other = newest_evaluation(baseline) if baseline else None
    demos = [open_dataset(item.path) for item in record.datasets]
    listed = [*demos, *_online(directory), *(open_dataset(path) for path in datasets)]
    page = {
        "title": f"{record.run.algorithm.upper()} on {record.run.env_id.removeprefix('serlds/')}",
        "subtitle": _subtitle(record, demos),
        "tiles": _tiles(evaluation, other, baseline, actor, learner),
        "plots": _plots(actor, learner, _levels(other, baseline), timing),
        "video_groups": _video_groups(demos, evaluation, other),
        "tables": [_dataset_table([summarize(dataset) for dataset in listed])],
    }
    write_durably(out, _render(page).encode())
    return out


def newest_evaluation(run: Path) -> Evaluation:
    """The newest evaluation of a run.

    Raises:
      UsageError: the run has none yet.
      DamagedDatasetError: its file cannot be read.
    """
    paths = sorted((run / "evals").glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not paths:
        raise UsageError(f"{run}: no evaluation of this run yet; run `serlds eval {run}` first")
    try:
        values = json.loads(paths[-1].read_text())
        return Evaluation(
            success_rate=values["success_rate"],
            success_interval=tuple(values["success_interval"]),
            length_mean_steps=values["length_mean_steps"],
            episodes=values["episodes"],
            videos=tuple(
                (paths[-1].parent / name, _caption(number, values["lengths"][number], success))
                for number, (name, success) in enumerate(
                    zip(values["videos"], values["successes"], strict=False)
                )
            ),
        )
    except (KeyError, ValueError) as error:
        raise DamagedDatasetError(f"{paths[-1]}: not an evaluation's result: {error}") from error


def _caption(number: int, actions: int, success: bool) -> str:
    return f"episode {number}, {actions} actions, {'success' if success else 'failure'}"


def _online(directory: RunDirectory) -> list[Dataset]:
    path = directory.episodes.directory
    return [open_dataset(path)] if path.is_dir() else []


def _subtitle(record: RunRecord, demos: Sequence[Dataset]) -> str:
    learned = f"Learned from {sum(dataset.num_episodes for dataset in demos)} demonstrations. "
    began = datetime.fromisoformat(record.created_utc)
    return f"{learned if demos else ''}Training began on {began:%Y-%m-%d at %H:%M} UTC."


def _tiles(
    evaluation: Evaluation,
    other: Evaluation | None,
    baseline: Path | None,
    actor: Sequence[Line],
    learner: Sequence[Line],
) -> list[dict[str, str]]:
    tiles = [_success_tile(evaluation, "success", "good")]
    if other and baseline:
        name = _algorithm(baseline)
        tiles.append(_success_tile(other, f"success of the baseline, {name}", "base"))
    lines = [*actor, *learner]
    if lines:
        steps = max(line[ENV_STEPS] for line in lines)
        minutes = max(line[WALL_S] for line in lines) / 60
        tiles.append({"value": f"{steps:,.0f}", "label": "environment steps of online training"})
        tiles.append({"value": f"{minutes:.1f} min", "label": "wall time of training"})
    return tiles


def _success_tile(evaluation: Evaluation, label: str, kind: str) -> dict[str, str]:
    low, high = evaluation.success_interval
    detail = (
        f"{label} over {evaluation.episodes} fresh episodes (95 % interval {low:.0%} to {high:.0%})"
    )
    return {"value": f"{evaluation.success_rate:.0%}", "label": detail, "kind": kind}


def _algorithm(run: Path) -> str:
    return RunDirectory.open(run).read_record().run.algorithm.upper()


def _levels(other: Evaluation | None, baseline: Path | None) -> list[Level]:
    return [Level(_algorithm(baseline), other.success_rate)] if other and baseline else []


def _plots(
    actor: Sequence[Line], learner: Sequence[Line], levels: Sequence[Level], timing: Path | None
) -> list[dict[str, str]]:
    plots = []
    if evaluations := [line for line in actor if "eval/success_rate" in line]:
        episodes = [line for line in actor if "train/success" in line]
        svg = run_plots.success_and_return(
            (_curve(evaluations, "eval/success_rate"), _curve(evaluations, "eval/return")),
            (_curve(episodes, "train/success"), _curve(episodes, "train/return")),
            levels,
        )
        text = (
            "Evaluations act without exploration, on episodes that are not trained on; training "
            "episodes explore."
        )
        plots.append(_plot("Success and return", text, svg))
    if stored := [line for line in learner if "replay/online" in line and line[ENV_STEPS] > 0]:
        svg = run_plots.replay_composition(
            *(np.array([line[name] for line in stored])
              for name in (ENV_STEPS, "replay/demos", "replay/online"))
        )  # fmt: skip
        text = "Transitions that the learner can draw from; each batch takes a fixed share of each."
        plots.append(_plot("Replay composition", text, svg))
    if timing and (phases := json.loads(timing.read_text())):
        plots.append(_plot("Where the time went", "", run_plots.phase_bars(list(phases.items()))))
    return plots


def _curve(lines: Sequence[Line], name: str) -> Curve:
    steps, wall_s, value = (
        np.array([line[key] for line in lines]) for key in (ENV_STEPS, WALL_S, name)
    )
    return Curve(steps, wall_s, value)


def _plot(title: str, text: str, svg: str) -> dict[str, str]:
    return {"title": title, "text": text, "source": _data_url("image/svg+xml", svg.encode())}


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
            caption = _caption(number, episode.num_transitions, episode.success)
            videos.append(_video(path.read_bytes(), caption))
    return videos


def _video(content: bytes, caption: str) -> dict[str, str]:
    return {"source": _data_url("video/mp4", content), "caption": caption}


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


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _render(page: dict[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page["tiles"] = [{"kind": "", **tile} for tile in page["tiles"]]
    return environment.from_string(_TEMPLATE.read_text()).render(**page)
