"""What `serlds eval` does: a run's policy on fresh episodes, without exploration."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from ..datasets.provenance import utc_now_text
from ..envs.dm_adapter import GymAsDmEnv
from ..envs.rollout import EpisodeResult, run_episode
from ..envs.tasks import make_env
from ..envs.video import Film, write_video
from .run_directory import RunDirectory
from .run_policy import load_policy

__all__ = ["EvaluationResult", "evaluate", "load_policy", "wilson_interval"]

_Z_95 = 1.959964


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
    result = _summarise(results, policy.checkpoint, config.env_id, seed, tuple(files), path)
    values = {**asdict(result), "episodes": episodes, "env_args": dict(config.env_args)}
    write_durably(path, (json.dumps(values, indent=2) + "\n").encode())
    return result


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a probability (Wilson 1927, JASA 22:209).

    Args:
        successes: How often it happened.
        trials: Out of how many, at least 1.
    """
    share, z2 = successes / trials, _Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = share * (1 - share) / trials + z2 / (4 * trials**2)
    half = _Z_95 * math.sqrt(spread) / (1 + z2 / trials)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _summarise(
    results: list[EpisodeResult],
    checkpoint: str,
    env_id: str,
    seed: int,
    videos: tuple[str, ...],
    path: Path,
) -> EvaluationResult:
    successes = tuple(result.success for result in results)
    count = len(results)
    return EvaluationResult(
        checkpoint=checkpoint,
        env_id=env_id,
        seed=seed,
        success_rate=sum(successes) / count,
        success_interval=wilson_interval(sum(successes), count),
        return_mean=sum(result.episode_return for result in results) / count,
        length_mean_steps=sum(result.length for result in results) / count,
        successes=successes,
        returns=tuple(result.episode_return for result in results),
        lengths=tuple(result.length for result in results),
        videos=videos,
        created_utc=utc_now_text(),
        path=str(path),
    )
