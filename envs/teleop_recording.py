"""Recording the episodes of a person at a device."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .dm_adapter import GymAsDmEnv
from .recording import RecordingResult, open_store, recording
from .robot_env import RobotManipulation
from .rollout import EpisodeResult, Pacer, run_episode
from .tasks import make_env
from .teleoperation import DeviceDriver, EpisodeAbandoned, TeleopPolicy, TeleopStopped

Say = Callable[[str], None]


def record_teleoperation(
    env_id: str,
    env_args: Mapping[str, Any],
    dataset: str | Path | None,
    *,
    by: str,
    episodes: int,
    say: Say,
    seed: int | None = None,
    label: str = "",
) -> RecordingResult | None:
    """Lets a person act in a task at its control rate and appends each finished episode.

    An episode ends as the task says, or as the person does; one that they want again is not kept.

    Args:
      env_id, env_args, episodes, seed, label: as of `record_episodes`.
      dataset: as there; None: nothing is recorded, until the person stops it.
      by: name of the device.
      say: told what happens, line by line.

    Raises:
      UsageError: the device cannot be opened, or as `record_episodes`.
      RobotError: the device or the robot is gone; finished episodes are recorded.
    """
    with contextlib.ExitStack() as opened:
        env = opened.enter_context(contextlib.closing(make_env(env_id, **env_args)))
        driver = opened.enter_context(contextlib.closing(DeviceDriver(by, env, can_redo=True)))
        policy = TeleopPolicy(driver, env.action_space.shape[0] // 7)
        store = None
        logger: Any = GymAsDmEnv(env)
        if dataset is not None:
            store = opened.enter_context(open_store(env, dataset, label))
            logger = opened.enter_context(
                recording(env, store, lambda: "teleop", has_intervened=lambda: True, label=label)
            )
        is_paced = isinstance(env.unwrapped, RobotManipulation)  # it keeps its rate itself
        hz = env.unwrapped.control_hz
        results: list[EpisodeResult] = []
        first = seed if seed is not None else store.num_recorded if store else 0
        while dataset is None or len(results) < episodes:
            say("RESET: the arms go to the start; put the scene right")
            number = f"episode {len(results) + 1}" + (f" of {episodes}" if store else "")
            begin = _Beginning(say, f"{'RECORDING' if store else 'DRIVING'}: {number}")
            try:
                result = run_episode(
                    logger,
                    policy,
                    first + len(results),
                    on_step=begin,
                    pacer=None if is_paced else Pacer(1.0 / hz),
                )
            except EpisodeAbandoned:
                say("not kept; once more")
                continue
            except TeleopStopped:
                say("stopped")
                break
            results.append(result)
            outcome = "success" if result.success else "no success"
            rate = result.length / begin.elapsed_s()
            say(f"{outcome}, {result.length} steps, {rate:.1f} of {hz:g} Hz")
        if store is None:
            return None
        return RecordingResult(store.directory, tuple(results), store.num_episodes, store.notices)


@dataclasses.dataclass
class _Beginning:
    """Says when the first observation is there: now actions count."""

    say: Say
    text: str
    started_s: float = 0.0

    def __call__(self, timestep: Any, action: Any) -> None:
        if action is None:
            self.started_s = time.monotonic()
            self.say(self.text)

    def elapsed_s(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.started_s
