"""Recording the episodes of a person at a device."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import gymnasium

from ..datasets.store import EpisodeStore
from .dm_adapter import GymAsDmEnv
from .recording import RecordingResult, open_store, recording
from .rejudging import rejudged, rejudged_result
from .robot_env import RobotManipulation
from .rollout import EpisodeResult, Pacer, run_episode
from .tasks import make_env
from .teleoperation import DeviceDriver, EpisodeAbandoned, TeleopPolicy, TeleopStopped

DECIDE_S = 5.0
"""How long a person has for another decision on an episode that ended by itself or by them."""
_PROGRESS_S = 1.0


class Screen(Protocol):
    """Where a person sees what their hands do now."""

    def state(self, name: str, text: str) -> None:
        """From now on it is so: RESET, RECORDING, DRIVING or DECIDE, and what that means."""

    def progress(self, text: str) -> None:
        """How far that is; the next one takes its place."""

    def note(self, text: str) -> None:
        """Something that has happened."""


def record_teleoperation(
    env_id: str,
    env_args: Mapping[str, Any],
    dataset: str | Path | None,
    *,
    by: str,
    episodes: int,
    screen: Screen,
    decide_s: float = DECIDE_S,
    seed: int | None = None,
    label: str = "",
) -> RecordingResult | None:
    """Lets a person act in a task at its control rate and appends each episode that they keep.

    An episode ends as the task says, or as the person does. Then they decide: keep it, keep it with
    another verdict, or have it once more. One that terminated is kept after `decide_s` of silence;
    one that ran into the time limit waits for them, so that nobody records an empty chair.

    Args:
      env_id, env_args, seed, label: as of `record_episodes`.
      episodes: how many to keep.
      dataset: as there; None: nothing is recorded, until the person stops it.
      by: name of the device.
      screen: shows the person what happens.
      decide_s: see above; 0 asks nobody.

    Raises:
      UsageError: the device cannot be opened, or as `record_episodes`.
      RobotError: the device or the robot is gone; finished episodes are recorded.
    """
    with contextlib.ExitStack() as opened:
        env = opened.enter_context(contextlib.closing(make_env(env_id, **env_args)))
        driver = opened.enter_context(contextlib.closing(DeviceDriver(by, env, can_redo=True)))
        store = None
        logger: Any = GymAsDmEnv(env)
        if dataset is not None:
            store = opened.enter_context(open_store(env, dataset, label))
            logger = opened.enter_context(
                recording(env, store, lambda: "teleop", has_intervened=lambda: True, label=label)
            )
        first = seed if seed is not None else store.num_recorded if store else 0
        session = _Session(env, driver, logger, store, screen, decide_s, first)
        wanted = None if store is None else episodes
        with contextlib.suppress(TeleopStopped):
            while wanted is None or len(session.kept) < wanted:
                session.run_one(wanted)
        if store is None:
            return None
        kept = tuple(session.kept)
        return RecordingResult(store.directory, kept, store.num_episodes, store.notices)


class _Session:
    """A person's episodes, one after the other."""

    def __init__(
        self,
        env: gymnasium.Env,
        driver: DeviceDriver,
        logger: Any,
        store: EpisodeStore | None,
        screen: Screen,
        decide_s: float,
        first_seed: int,
    ) -> None:
        self.kept: list[EpisodeResult] = []
        self._driver, self._logger, self._store = driver, logger, store
        self._screen, self._decide_s, self._first_seed = screen, decide_s, first_seed
        self._policy = TeleopPolicy(driver, env.action_space.shape[0] // 7)
        self._hz = env.unwrapped.control_hz
        self._keeps_rate = isinstance(env.unwrapped, RobotManipulation)

    def run_one(self, wanted: int | None) -> None:
        """One attempt at the next episode; raises TeleopStopped when the person ends it all."""
        screen = self._screen
        screen.state("RESET", "the arms go to the start; put the scene right")
        number = f"episode {len(self.kept) + 1}" + (f" of {wanted}" if wanted else "")
        progress = _Progress(screen, "RECORDING" if self._store else "DRIVING", number)
        try:
            result = run_episode(
                self._logger,
                self._policy,
                self._first_seed + len(self.kept),
                on_step=progress,
                pacer=None if self._keeps_rate else Pacer(1.0 / self._hz),
            )
            rate = result.length / progress.elapsed_s()
            screen.note(f"{_outcome(result)}, {result.length} steps, {rate:.1f} of {self._hz:g} Hz")
            self.kept.append(result)
            if self._store is not None:
                self._decide(self._store, result)
        except EpisodeAbandoned:
            screen.note("not kept; once more")
        except TeleopStopped:
            screen.note("stopped")
            raise

    def _decide(self, store: EpisodeStore, result: EpisodeResult) -> None:
        # The episode is on the disk, and stays whatever happens to this process: only a decision
        # changes it, by changes that are done or undone after a crash, and `serlds restore` takes
        # back. To write it after the decision would lose it to a crash during the wait.
        if self._decide_s == 0.0:
            return
        waits = f"kept in {self._decide_s:g} s" if result.terminated else "waits for you"
        self._screen.state(
            "DECIDE", f"enter or a motion keeps it, y success, n failure, u once more; {waits}"
        )
        decision = self._driver.decide(
            result.success, self._decide_s if result.terminated else None
        )
        if not decision.keep:
            store.drop_newest("a person did not keep it")
            self.kept.pop()
            raise EpisodeAbandoned
        if decision.success != result.success:
            store.amend_newest(rejudged(store.newest(), decision.success))
            self.kept[-1] = rejudged_result(result, decision.success)
        self._screen.note(f"kept: {_outcome(self.kept[-1])}")


def _outcome(result: EpisodeResult) -> str:
    return "success" if result.success else "no success"


@dataclasses.dataclass
class _Progress:
    """Says when the first observation is there, since now actions count, and how it goes on."""

    screen: Screen
    state: str
    text: str
    started_s: float = 0.0
    steps: int = 0
    told_s: float = 0.0

    def __call__(self, timestep: Any, action: Any) -> None:
        if action is None:
            self.started_s = self.told_s = time.monotonic()
            self.screen.state(self.state, self.text)
            return
        self.steps += 1
        if time.monotonic() - self.told_s >= _PROGRESS_S:
            self.told_s = time.monotonic()
            elapsed_s = self.elapsed_s()
            rate = self.steps / elapsed_s
            self.screen.progress(f"{elapsed_s:.0f} s, {self.steps} steps, {rate:.1f} Hz")

    def elapsed_s(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.started_s
