"""A scripted motion for real arms, which see no objects: down, close, up."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets.keys import ACTION
from .expert import CLOSED, OPEN
from .robot_env import RobotManipulation
from .robot_success import CLOSED_M, LIFTED_M, LOW_M

_DOWN_M = LOW_M - 0.015
_UP_M = LIFTED_M + 0.03
_SPREAD_M = 0.04
_NEAR_M = 0.015
_GAIN = 0.5
"""Of the way to the goal: the arm is a step or two behind what it is sent."""


class PickMotion:
    """Every arm goes down at a point near the middle of its work area, closes, and comes up.

    Where each arm is in that decides what it does, so that it goes on from anywhere. Gaussian noise
    makes its episodes differ; the noisy action is what it returns.
    """

    def __init__(self, env: RobotManipulation, noise: float, seed: int) -> None:
        """`noise` is the standard deviation added per step, in units of the action."""
        self._arms = env.arms
        scale = env.field_docs[ACTION].scale
        self._step_m, self._step_rad = scale[0], scale[3]
        self._noise = noise
        self._rng = np.random.default_rng(seed)
        self._spots = [np.zeros(2) for _ in self._arms]
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; a seed makes its points and its noise repeat."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        for index, arm in enumerate(self._arms):
            centre = np.array(arm.mount.arm.work_centre_m)
            self._spots[index] = centre + self._rng.uniform(-_SPREAD_M, _SPREAD_M, 2)
        self._has_closed = [False] * len(self._arms)

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (7 * number of arms,) float32 for what the arms measure now."""
        parts = [self._arm(index) for index in range(len(self._arms))]
        return np.clip(np.concatenate(parts), -1.0, 1.0).astype(np.float32)

    def _arm(self, index: int) -> np.ndarray:
        arm = self._arms[index]
        assert arm.report is not None
        pos_m, gripper_m = arm.pose[:3], arm.report.gripper_m
        goal = np.array([*self._spots[index], _UP_M])
        is_closed = gripper_m < CLOSED_M
        is_down = pos_m[2] < LOW_M
        if is_closed and is_down:
            self._has_closed[index] = True
        elif not is_closed and not is_down:
            self._has_closed[index] = False
        gripper = CLOSED
        if not self._has_closed[index]:
            is_above = np.abs(pos_m[:2] - goal[:2]).max() < _NEAR_M
            goal[2] = _DOWN_M if is_above or is_down else pos_m[2]
            gripper = CLOSED if is_down else OPEN
        motion = np.zeros(6)
        motion[:3] = _GAIN * (goal - pos_m) / self._step_m
        motion[3:] = -_GAIN * arm.pose[3:] / self._step_rad
        if self._noise > 0.0:
            motion += self._noise * self._rng.standard_normal(6)
        return np.append(np.clip(motion, -1.0, 1.0), gripper)
