"""What scripted experts share: from where the tools should go to noisy actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..datasets.keys import ACTION
from ..hardware import rotations
from ..hardware.arm import TOOL_DOWN_QUAT_WXYZ
from .manipulation import Manipulation

OPEN, CLOSED = 1.0, -1.0
"""Actions of a gripper."""


class Goal(NamedTuple):
    """Where a tool should go, in the scene's frame, and the action of its gripper."""

    pos_m: np.ndarray
    quat_wxyz: np.ndarray
    gripper: float


class ScriptedExpert:
    """Moves the tools of a task to goals that it finds from the simulator's truth.

    The goals are a function of the state, so an expert tries again after it failed. Gaussian noise
    on the motion dimensions makes its episodes differ. The noisy action is what it returns, so
    what is recorded is what was done.

    A subclass says, in `goals`, where the tools should go.
    """

    def __init__(self, env: Manipulation, noise: float, seed: int) -> None:
        """`noise` is the standard deviation added per step, in units of the action."""
        self._arms = env.arms
        self._noise = noise
        scale = env.field_docs[ACTION].scale
        self._step_m, self._step_rad = scale[0], scale[3]
        self._is_motion = np.arange(len(scale)) % 7 != 6
        self._rng = np.random.default_rng(seed)

    def goals(self) -> list[Goal]:
        """One goal per arm for the simulator's present state."""
        raise NotImplementedError

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; a seed makes its noise repeat."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (7 * number of arms,) float32 for the simulator's present state."""
        action = np.empty(len(self._is_motion))
        for index, (arm, goal) in enumerate(zip(self._arms, self.goals(), strict=True)):
            tool, part = arm.tool(), action[7 * index : 7 * index + 7]
            turn = rotations.multiply(goal.quat_wxyz, rotations.conjugate(tool.quat_wxyz))
            part[:3] = arm.to_base(goal.pos_m - tool.pos_m) / self._step_m
            part[3:6] = arm.to_base(rotations.rotvec_of_quat(turn)) / self._step_rad
            part[6] = goal.gripper
        if self._noise > 0.0:
            noise = self._rng.standard_normal(np.count_nonzero(self._is_motion))
            action[self._is_motion] += self._noise * noise
        return np.clip(action, -1.0, 1.0).astype(np.float32)


def tool_down_quat(yaw_rad: float) -> np.ndarray:
    """Quaternion (4,) of a tool that points straight down, turned about z."""
    return rotations.multiply(rotations.quat_of_yaw(yaw_rad), TOOL_DOWN_QUAT_WXYZ)
