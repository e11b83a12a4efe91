"""The one loop in which a policy acts in an environment.

Recording, evaluation and the actor of a training run all go through `run_episode`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import dm_env
import numpy as np

Observation = dict[str, Any]
OnStep = Callable[[dm_env.TimeStep, np.ndarray | None], None]
"""Called with each time step and the action that led to it, None for the first."""

SENT_ACTION = "sent_action"
"""In an environment's `info`: the action that a robot took where it clamped the one asked for."""
STEP_FIELDS = "step_fields"
"""Beside it: fields for the log that tell what became of the action."""
OBSERVED_FIELDS = "observed_fields"
"""In `info`, also of a reset: fields for the log that tell how the observation was made."""
_POLICY_STREAM = 1


class Policy(Protocol):
    """Something that chooses actions."""

    def reset(self, seed: int | None = None) -> None:
        """Forgets the last episode; a seed makes what is random in it repeat."""

    def __call__(self, observation: Observation) -> np.ndarray:
        """The action (A,) float32 for an observation of the environment."""


class EpisodeEnv(Protocol):
    """What the loop needs: a `GymAsDmEnv`, or EnvLogger around one, which forwards to it."""

    info: dict[str, Any]

    def seed_next_episode(self, seed: int) -> None: ...

    def reset(self) -> dm_env.TimeStep: ...

    def step(self, action: np.ndarray) -> dm_env.TimeStep: ...


@dataclasses.dataclass(frozen=True)
class EpisodeResult:
    """How an episode went.

    Attributes:
      seed: of the environment's reset.
      length: number of actions N.
      episode_return: undiscounted sum of rewards.
      success: the task was achieved at the end.
      terminated: it ended by itself, not at the time limit.
    """

    seed: int
    length: int
    episode_return: float
    success: bool
    terminated: bool


class Pacer:
    """Keeps a loop at a fixed rate, on a robot or wherever time is real.

    Ticks are due at fixed times from the start. After a tick that came more than a period late
    the due times start anew from there, so that a stall is not followed by a burst of actions.

    Attributes:
      late_ticks: how many ticks came more than a period late.
      worst_lateness_s: how late the latest one came.
    """

    def __init__(
        self,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period_s = period_s
        self._clock = clock
        self._sleep = sleep
        self._due_s = clock()
        self.late_ticks = 0
        self.worst_lateness_s = 0.0

    def start(self) -> None:
        """Makes the next tick due one period from now."""
        self._due_s = self._clock() + self._period_s

    def wait(self) -> None:
        """Returns when the next tick is due, at once if it is late."""
        ahead_s = self._due_s - self._clock()
        if ahead_s > 0.0:
            self._sleep(ahead_s)
        else:
            self.worst_lateness_s = max(self.worst_lateness_s, -ahead_s)
        if ahead_s < -self._period_s:
            self.late_ticks += 1
            self.start()
        else:
            self._due_s += self._period_s


class RandomPolicy:
    """Uniformly random actions in [-1, 1]."""

    def __init__(self, action_dim: int, seed: int = 0) -> None:
        self._action_dim = action_dim
        self._rng = np.random.default_rng(seed)

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; a seed makes its actions repeat."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)

    def __call__(self, observation: Observation) -> np.ndarray:
        return self._rng.uniform(-1.0, 1.0, self._action_dim).astype(np.float32)


def policy_seed(seed: int) -> int:
    """The policy's seed in the episode of a seed.

    It is another one because two generators of the same seed draw the same bits: the noise of the
    policy would be a function of where the environment put things.
    """
    return int(np.random.SeedSequence((seed, _POLICY_STREAM)).generate_state(1, np.uint32)[0])


def run_episode(
    env: EpisodeEnv,
    policy: Policy,
    seed: int,
    on_step: OnStep | None = None,
    pacer: Pacer | None = None,
) -> EpisodeResult:
    """Runs one episode to its end.

    Args:
      env: a `GymAsDmEnv`, or EnvLogger around one.
      policy: who acts; it is reset with `policy_seed(seed)`.
      seed: of the episode.
      on_step: called with every time step, e.g. to film it or to send it to replay.
      pacer: keeps actions at their rate on a robot; None runs as fast as the simulator can.
    """
    env.seed_next_episode(seed)
    policy.reset(policy_seed(seed))
    timestep = env.reset()
    if on_step:
        on_step(timestep, None)
    if pacer:
        pacer.start()
    length, episode_return = 0, 0.0
    while not timestep.last():
        action = policy(timestep.observation)
        timestep = env.step(action)
        action = env.info.get(SENT_ACTION, action)
        length += 1
        episode_return += float(timestep.reward)
        if on_step:
            on_step(timestep, action)
        if pacer:
            pacer.wait()
    return EpisodeResult(
        seed=seed,
        length=length,
        episode_return=episode_return,
        success=bool(env.info.get("success", False)),
        terminated=float(timestep.discount) == 0.0,
    )


def run_episodes(
    env: EpisodeEnv,
    policy: Policy,
    seeds: Iterable[int],
    on_step: OnStep | None = None,
    on_episode: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """Runs one episode per seed and returns how each went.

    Args:
      env: as for `run_episode`.
      policy: who acts.
      seeds: one per episode.
      on_step: as for `run_episode`.
      on_episode: called with the result of each episode when it ends.
    """
    results = []
    for seed in seeds:
        results.append(run_episode(env, policy, seed, on_step))
        if on_episode:
            on_episode(results[-1])
    return results
