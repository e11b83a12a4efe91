"""What `serlds runs` does: lists runs and compares them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..datasets.errors import DamagedDatasetError, UsageError
from .evaluation_results import newest_evaluation
from .metrics import ENV_STEPS, WALL_S, last_values, read_metrics
from .run_directory import CONFIG_FILE, RunDirectory

_COLUMNS = ("run", "algorithm", "task", "seed", "steps", "updates", "minutes", "success", "commit")


@dataclasses.dataclass(frozen=True)
class RunLine:
    """How one run stands."""

    path: Path
    cells: tuple[str, ...]
    """Text of each of `_COLUMNS`."""
    datasets: tuple[str, ...]
    """The demonstrations: name, version and the beginning of the digest."""


def list_runs(directories: Sequence[Path]) -> str:
    """A table of the runs in the directories, newest evaluation each, and their demonstrations.

    Runs whose files cannot be read are named below the others.

    Raises:
        UsageError: There is no run.
    """
    lines, unreadable = [], []
    for path in find_runs(directories):
        try:
            lines.append(_describe(RunDirectory(path)))
        except (DamagedDatasetError, UsageError) as error:
            unreadable.append(f"left out: {error}")
    if not lines and not unreadable:
        where = ", ".join(str(path) for path in directories)
        raise UsageError(f"{where}: no runs here; a run is the --out directory of a `serlds train`")
    table = [_COLUMNS, *(line.cells for line in lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in table]
    used: dict[str, list[str]] = {}
    for line in lines:
        for dataset in line.datasets:
            used.setdefault(dataset, []).append(str(line.path))
    text += ["", *unreadable, *(f"{dataset}: {', '.join(runs)}" for dataset, runs in used.items())]
    return "\n".join(row.rstrip() for row in text).rstrip()


def find_runs(directories: Iterable[Path]) -> list[Path]:
    """The runs among the directories and in them, each once, by path."""
    found = {
        config.parent
        for directory in directories
        for pattern in (CONFIG_FILE, f"*/{CONFIG_FILE}", f"*/*/{CONFIG_FILE}")
        for config in directory.glob(pattern)
        if (config.parent / "checkpoints").is_dir()
    }
    return sorted(found)


def _describe(directory: RunDirectory) -> RunLine:
    record, run = directory.read_record(), directory.read_record().run
    lines = [line for path in directory.metrics_files() for line in read_metrics(path)]
    values = last_values(sorted(lines, key=lambda line: line[WALL_S]))
    cells = (
        str(directory.path),
        run.algorithm,
        run.env_id.removeprefix("serlds/"),
        str(run.seed),
        f"{values.get(ENV_STEPS, 0):,.0f} of {run.schedule.env_steps:,}",
        f"{values.get('learner/updates', 0):,.0f}",
        f"{values.get(WALL_S, 0) / 60:.1f}",
        _success(directory, values.get("eval/success_rate")),
        record.git_commit[:10] + ("-dirty" if record.git_commit.endswith("-dirty") else ""),
    )
    datasets = tuple(f"{d.name} {d.version} ({d.digest[:12]})" for d in record.datasets)
    return RunLine(directory.path, cells, datasets)


def _success(directory: RunDirectory, while_training: float | None) -> str:
    """Of the newest evaluation, else of the last one while training."""
    if evaluation := newest_evaluation(directory.path):
        return f"{evaluation.success_rate:.0%} of {evaluation.episodes}"
    return "-" if while_training is None else f"{while_training:.0%} (training)"
