"""Results of `serlds eval`, as they lie in RUN/evals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ..datasets.errors import DamagedDatasetError, UsageError


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The part of an evaluation's result that pages and exports show."""

    path: Path
    """Its file."""
    checkpoint: str
    """Directory of the checkpoint that acted."""
    success_rate: float
    success_interval: tuple[float, float]
    length_mean_steps: float
    episodes: int
    videos: tuple[tuple[Path, str], ...]
    """Each with a caption."""


def newest_evaluation(
    run: Path, checkpoint: Path | None = None, filmed: bool = False
) -> Evaluation | None:
    """The newest evaluation of a run; None when there is none yet.

    Args:
        run: The run's directory.
        checkpoint: Only evaluations of this checkpoint; by default of any.
        filmed: Only evaluations with videos.

    Raises:
        DamagedDatasetError: A file cannot be read.
    """
    paths = sorted((run / "evals").glob("*.json"), key=lambda path: -path.stat().st_mtime)
    for path in paths:
        evaluation = _read(path)
        is_of_it = checkpoint is None or Path(evaluation.checkpoint).name == checkpoint.name
        if is_of_it and (evaluation.videos or not filmed):
            return evaluation
    return None


def require_evaluation(run: Path) -> Evaluation:
    """The newest evaluation of a run.

    Raises:
        UsageError: The run has none yet.
        DamagedDatasetError: Its file cannot be read.
    """
    if evaluation := newest_evaluation(run):
        return evaluation
    raise UsageError(f"{run}: no evaluation of this run yet; run `serlds eval {run}` first")


def caption(number: int, actions: int, success: bool) -> str:
    """What stands under the video of an episode."""
    return f"episode {number}, {actions} actions, {'success' if success else 'failure'}"


def _read(path: Path) -> Evaluation:
    try:
        values = json.loads(path.read_text())
        return Evaluation(
            path=path,
            checkpoint=values["checkpoint"],
            success_rate=values["success_rate"],
            success_interval=tuple(values["success_interval"]),
            length_mean_steps=values["length_mean_steps"],
            episodes=values["episodes"],
            videos=tuple(
                (path.parent / Path(name).name, caption(number, values["lengths"][number], success))
                for number, (name, success) in enumerate(
                    zip(values["videos"], values["successes"], strict=False)
                )
            ),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DamagedDatasetError(f"{path}: not an evaluation's result: {error}") from error
