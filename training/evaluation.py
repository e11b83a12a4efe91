"""What `serlds eval` does: a run's policy on fresh episodes, without exploration."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from ..datasets.intervals import wilson_interval
from ..datasets.provenance import utc_now_text
from ..envs.dm_adapter import GymAsDmEnv
from ..envs.rollout import EpisodeResult, run_episode
from ..envs.tasks import make_env
from ..envs.video import Film, write_video
from .run_directory import RunDirectory
from .run_policy import load_policy

__all__ = ["EvaluationResult", "evaluate", "evaluate_seeds", "load_policy"]


@dataclass(frozen=True)
class EvaluationResult:
    """How a policy did."""

    checkpoint: str
    """The checkpoint that acted."""
    env_id: str
    """The task."""
    seed: int
    """Seed of the first episode; the next ones count on."""
    success_rate: float
    """Share of the episodes that achieved the task."""
    success_interval: tuple[float, float]
    """95 % confidence interval of the success rate (Wilson)."""
    return_mean: float
    """Mean sum of rewards."""
    length_mean_steps: float
    """Mean environment steps."""
    successes: tuple[bool, ...]
    """Of each episode."""
    returns: tuple[float, ...]
    """Of each episode."""
    lengths: tuple[int, ...]
    """Environment steps of each episode."""
    videos: tuple[str, ...]
    """File names of the videos, beside the result's file; of the first episodes, in order."""
    created_utc: str
    """When the evaluation ended."""
    path: str
    """File that holds this."""

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.successes)

    def __str__(self) -> str:
        low, high = self.success_interval
        lines = [
            f"success {self.success_rate:.1%} ({sum(self.successes)} of {self.episodes} episodes, "
            f"95 % interval {low:.1%} to {high:.1%})",
            f"return {self.return_mean:.3f}, length {self.length_mean_steps:.1f} steps",
            f"checkpoint {self.checkpoint}",
            f"written to {self.path}",
        ]
        return "\n".join(
            [*lines, *(f"video {Path(self.path).with_name(name)}" for name in self.videos)]
        )


def evaluate(
    run: Path,
    episodes: int = 50,
    *,
    seed: int = 10_000,
    checkpoint: str | None = None,
    video: bool = False,
    videos: int = 4,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Runs episodes with the run's policy and writes `RUN/evals/<name>.json`.

    Args:
        run: The run's directory.
        episodes: How many; their seeds are `seed`, `seed` + 1, ...
        seed: Of the first episode.
        checkpoint: Number of updates of the checkpoint; by default the newest.
        video: Also write videos.
        videos: How many episodes to film, the first ones.
        name: Of the result; by default from the checkpoint's updates and the seed.
        progress: Called with (done, total) after each episode.

    Raises:
        UsageError: There is no such run or checkpoint, or nothing to do.
        SerldsError: A video was asked for and this machine cannot render.
    """
    if episodes < 1:
        raise UsageError(f"episodes={episodes}: expected at least 1")
    if seed < 0:
        raise UsageError(f"seed={seed}: expected 0 or more")
    directory, policy = RunDirectory.open(run), load_policy(run, checkpoint)
    name = name or f"updates-{int(Path(policy.checkpoint).name)}-seed-{seed}"
    files = [f"{name}-{index}.mp4" for index in range(min(videos, episodes) if video else 0)]
    config = directory.read_record().run
    render = {"render_mode": "rgb_array"} if files else {}
    results: list[EpisodeResult] = []
    with contextlib.closing(make_env(config.env_id, **{**config.env_args, **render})) as env:
        wrapped = GymAsDmEnv(env)
        for index in range(episodes):
            film = Film(env.render) if index < len(files) else None
            results.append(run_episode(wrapped, policy, seed + index, on_step=film))
            if film:
                write_video(directory.evals / files[index], film.frames, env.unwrapped.control_hz)
            if progress:
                progress(len(results), episodes)
    path = directory.evals / f"{name}.json"
    result = _summarise(
        [result.success for result in results],
        [result.episode_return for result in results],
        [result.length for result in results],
        policy.checkpoint, config.env_id, seed, files, path,
    )  # fmt: skip
    _write(result, config.env_args, [seed])
    return result


def evaluate_seeds(
    run: Path,
    episodes: int,
    seeds: Sequence[int],
    *,
    checkpoint: str | None = None,
    video: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[EvaluationResult], EvaluationResult]:
    """Evaluates on several sets of episodes, and pools them in one more result.

    Args:
        run: The run's directory.
        episodes: How many of each seed.
        seeds: Of the first episode of each set; the sets share no episode.
        checkpoint: As for `evaluate`.
        video: Also write videos, of the first seed's episodes.
        progress: Called with (done, total) after each episode.

    Returns:
        The result of each seed, and the one of all their episodes, which is the newest then.

    Raises:
        UsageError: Two sets share episodes; else as `evaluate`.
    """
    for low, high in itertools.pairwise(sorted(seeds)):
        if high - low < episodes:
            apart = ", ".join(str(seeds[0] + index * episodes) for index in range(len(seeds)))
            raise UsageError(
                f"seeds {low} and {high} share episodes: {episodes} episodes take the seeds {low} "
                f"to {low + episodes - 1}; give seeds at least that far apart, e.g. {apart}"
            )
    results: list[EvaluationResult] = []

    def count(done: int, total: int) -> None:
        if progress:
            progress(len(results) * episodes + done, len(seeds) * episodes)

    for seed in seeds:
        options = {"seed": seed, "checkpoint": checkpoint, "video": video and not results}
        results.append(evaluate(run, episodes, progress=count, **options))
    first = results[0]
    path = Path(first.path).with_name(
        f"updates-{int(Path(first.checkpoint).name)}-seeds-{'-'.join(map(str, seeds))}.json"
    )
    pooled = _summarise(
        [success for result in results for success in result.successes],
        [value for result in results for value in result.returns],
        [length for result in results for length in result.lengths],
        first.checkpoint, first.env_id, first.seed, first.videos, path,
    )  # fmt: skip
    _write(pooled, RunDirectory.open(run).read_record().run.env_args, seeds)
    return results, pooled


def _write(result: EvaluationResult, env_args: Mapping[str, Any], seeds: Sequence[int]) -> None:
    values = {
        **asdict(result),
        "episodes": result.episodes,
        "env_args": dict(env_args),
        "seeds": list(seeds),
    }
    write_durably(Path(result.path), (json.dumps(values, indent=2) + "\n").encode())


def _summarise(
    successes: Sequence[bool],
    returns: Sequence[float],
    lengths: Sequence[int],
    checkpoint: str,
    env_id: str,
    seed: int,
    videos: Sequence[str],
    path: Path,
) -> EvaluationResult:
    count = len(successes)
    return EvaluationResult(
        checkpoint=checkpoint,
        env_id=env_id,
        seed=seed,
        success_rate=sum(successes) / count,
        success_interval=wilson_interval(sum(successes), count),
        return_mean=sum(returns) / count,
        length_mean_steps=sum(lengths) / count,
        successes=tuple(successes),
        returns=tuple(returns),
        lengths=tuple(lengths),
        videos=tuple(videos),
        created_utc=utc_now_text(),
        path=str(path),
    )
