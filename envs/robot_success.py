"""When a task on a robot has succeeded: a person says so, or a function of what is measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

import numpy as np

from ..datasets.errors import UsageError

State = Mapping[str, np.ndarray]
"""The `state` of an observation."""
Progress = Callable[[State], float]
"""One episode's judge: the state of each observation in turn -> how far the task is, from 0 to 1;
1 is success."""

LOW_M = 0.05
"""A tool below this, above the table, is where things are grasped."""
LIFTED_M = 0.14
"""A tool above this has lifted what it holds."""
CLOSED_M = 0.03
"""Fingers nearer to the middle than this hold something, or nothing: it is not seen."""
_START_M = 0.15


class Lifted:
    """Every gripper has closed near the table and been lifted, closed.

    Of each arm 0.3 is for getting down, 0.3 for closing there, 0.4 for the way up.
    """

    def __init__(self) -> None:
        """An episode begins."""
        self._grasped: set[str] = set()

    def __call__(self, state: State) -> float:
        """Takes the next state."""
        arms = [name.removesuffix("gripper_pos") for name in state if name.endswith("gripper_pos")]
        return float(np.mean([self._arm(arm, state) for arm in arms]))

    def _arm(self, arm: str, state: State) -> float:
        height_m = float(state[arm + "tcp_pos"][2])
        if float(state[arm + "gripper_pos"][0]) >= CLOSED_M:
            self._grasped.discard(arm)
            return 0.3 * _part(_START_M - height_m, _START_M - LOW_M)
        if height_m < LOW_M:
            self._grasped.add(arm)
        if arm not in self._grasped:
            return 0.0
        return 0.6 + 0.4 * _part(height_m - LOW_M, LIFTED_M - LOW_M)


def _part(value: float, whole: float) -> float:
    return min(max(value / whole, 0.0), 1.0)


def nobody() -> Progress:
    """Never by itself: a person says so, or a classifier (`--reward classifier:DIR`)."""
    return lambda state: 0.0


JUDGES: Mapping[str, Callable[[], Progress]] = {"person": nobody, "lifted": Lifted}
"""By name, what makes the judge of an episode; any other name is `module:function`."""


def judge_named(name: str) -> Callable[[], Progress]:
    """What makes the judge of each episode.

    Raises:
      UsageError: `module:function` that cannot be imported.
    """
    if name in JUDGES:
        return JUDGES[name]
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"success={name!r}: cannot be imported: {error}") from error
    if not callable(found):
        raise UsageError(f"success={name!r}: is no function")
    return lambda: found
