"""Taking over from a policy: at any step somebody else may choose the action instead."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import numpy as np

from ..datasets.errors import UsageError
from ..hardware.teleoperation.device import DEVICES, kind_of
from .rollout import Observation, Policy
from .tasks import make_expert
from .teleoperation import DeviceDriver


class Driver(Protocol):
    """Who may take over: a person at a device, or the expert that stands for one."""

    def reset(self, seed: int | None = None) -> None:
        """An episode begins."""

    def __call__(self, observation: Observation, proposed: np.ndarray) -> np.ndarray | None:
        """The action (A,) float32 to take instead of the policy's `proposed`; None leaves it."""

    def watch(self) -> None:
        """Called at every step of an evaluation, where nobody takes over: it may stop a robot."""

    def close(self) -> None:
        """Frees what it holds."""


class Takeover:
    """A policy with a driver beside it.

    The policy is asked at every step, also while the driver acts: it keeps its pace.

    Attributes:
        has_intervened: The driver chose the newest action.
        steps: Actions in the episode so far.
        intervened_steps: How many of them the driver chose.
    """

    def __init__(self, policy: Policy, driver: Driver | None) -> None:
        """`driver`: None never takes over."""
        self._policy = policy
        self._driver = driver
        self.has_intervened = False
        self.steps = self.intervened_steps = 0

    @property
    def intervened_share(self) -> float:
        """Share of the episode's actions that the driver chose."""
        return self.intervened_steps / max(self.steps, 1)

    @property
    def collector(self) -> str:
        """Who acted in the episode: `policy`, or `mixed` where the driver took over."""
        return "mixed" if self.intervened_steps else "policy"

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode."""
        self.has_intervened = False
        self.steps = self.intervened_steps = 0
        self._policy.reset(seed)
        if self._driver:
            self._driver.reset(seed)

    def __call__(self, observation: Observation) -> np.ndarray:
        """The action (A,) float32: the driver's while it takes over, else the policy's."""
        action = self._policy(observation)
        driven = self._driver(observation, action) if self._driver else None
        self.has_intervened = driven is not None
        self.steps += 1
        self.intervened_steps += self.has_intervened
        return action if driven is None else driven


class ExpertDriver:
    """Takes over as a person does who watches: when nothing comes forward, until something has.

    The task's scripted expert stands for the person, the task's potential for what they see.
    """

    PATIENCE_STEPS = 6
    """Actions without a better potential after which it takes over."""
    HELP = 0.25
    """Potential by which it brings the task forward before it lets go again."""
    _LEAST_GAIN = 0.02

    def __init__(self, env: gymnasium.Env) -> None:
        """Watches and drives `env`, made by `make_env`.

        Raises:
            UsageError: The task has no expert or no potential.
        """
        task = env.unwrapped
        if not hasattr(task, "potential"):
            raise UsageError(f"{task}: does not tell how far it is, so that nobody can watch it")
        self._task: Any = task
        self._expert = make_expert(env)
        self._begin()

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode."""
        self._expert.reset(seed)
        self._begin()

    def __call__(self, observation: Observation, proposed: np.ndarray) -> np.ndarray | None:
        """The expert's action (A,) float32 while it drives."""
        potential = self._task.potential()
        if potential > self._best + self._LEAST_GAIN:
            self._best, self._idle_steps = potential, 0
        else:
            self._idle_steps += 1
        if self._until is None and self._idle_steps > self.PATIENCE_STEPS:
            self._until = potential + self.HELP
        elif self._until is not None and potential >= self._until:
            self._until, self._idle_steps = None, 0
        return None if self._until is None else self._expert(observation)

    def watch(self) -> None:
        """Nothing to tell."""

    def close(self) -> None:
        """Nothing to free."""

    def _begin(self) -> None:
        self._best = -np.inf
        self._idle_steps = 0
        self._until: float | None = None


EXPERT = "expert"
DRIVERS = (EXPERT, *DEVICES)
"""Who can take over, by name; a device's name may have addresses behind it."""


def check_driver(name: str) -> None:
    """Checks that somebody of that name can take over.

    Raises:
        UsageError: There is nobody.
    """
    if name != EXPERT and not kind_of(name):
        raise UsageError(f"{name!r} cannot take over; expected one of {', '.join(DRIVERS)}")


def make_driver(name: str, env: gymnasium.Env) -> Driver | None:
    """The driver of that name for an environment; None for an empty name.

    Raises:
        UsageError: There is none of that name, or it cannot drive this task.
    """
    if not name:
        return None
    check_driver(name)
    return ExpertDriver(env) if name == EXPERT else DeviceDriver(name, env)
