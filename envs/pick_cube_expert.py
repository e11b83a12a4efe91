"""A scripted expert for the cube task. It reads the simulator's truth, not the observation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets.keys import ACTION
from . import rotations
from .pick_cube import Truth, WidowXPickCube
from .widowx import TOOL_DOWN_QUAT_WXYZ

_OPEN, _CLOSED = 1.0, -1.0
_TIP_BELOW_CENTRE_M = 0.006
_ALIGNED_M = 0.012
_ALIGNED_RAD = 0.2
_AT_DEPTH_M = 0.008
_DESCENT_SLOPE = 1.5
_CLEAR_M = 0.05
_WIDE_OPEN_M = 0.032
_LIFT_Z_M = 0.16


class PickCubeExpert:
    """Grasps and lifts the cube from anywhere; a function of the state, so it tries again.

    Gaussian noise on the six motion dimensions makes its episodes differ. The noisy action is
    what it returns, so what is recorded is what was done.
    """

    def __init__(self, env: WidowXPickCube, noise: float, seed: int) -> None:
        """`noise` is the standard deviation added per step, in units of the action."""
        self._env = env
        self._noise = noise
        scale = env.field_docs[ACTION].scale
        self._step_m, self._step_rad = scale[0], scale[3]
        self._rng = np.random.default_rng(seed)

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; a seed makes its noise repeat."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (7,) float32 for the simulator's present state."""
        truth = self._env.truth()
        goal_m, gripper = _goal(truth)
        action = np.empty(7)
        action[:3] = (goal_m - truth.tcp_pos_m) / self._step_m
        action[3:6] = _turn_to_goal(truth) / self._step_rad
        action[6] = gripper
        if self._noise > 0.0:
            action[:6] += self._noise * self._rng.standard_normal(6)
        return np.clip(action, -1.0, 1.0).astype(np.float32)


def _goal(truth: Truth) -> tuple[np.ndarray, float]:
    """Where the tool should go (3,) in m, and the gripper's action."""
    tcp, cube = truth.tcp_pos_m, truth.cube_pos_m
    if truth.is_held:
        return np.array([tcp[0], tcp[1], _LIFT_Z_M]), _CLOSED
    distance = float(np.hypot(*(cube - tcp)[:2]))
    depth = cube[2] - _TIP_BELOW_CENTRE_M
    aligned = distance < _ALIGNED_M and abs(truth.turn_to_cube_rad) < _ALIGNED_RAD
    if aligned and tcp[2] < depth + _AT_DEPTH_M:
        return np.array([cube[0], cube[1], depth]), _CLOSED
    if truth.gripper_m < _WIDE_OPEN_M:
        height = _CLEAR_M  # closed fingers would push the cube away
    elif abs(truth.turn_to_cube_rad) < 2 * _ALIGNED_RAD:
        height = _DESCENT_SLOPE * max(0.0, distance - _ALIGNED_M)
    else:
        height = _CLEAR_M
    return np.array([cube[0], cube[1], depth + height]), _OPEN


def _turn_to_goal(truth: Truth) -> np.ndarray:
    """Rotation vector (3,) in the base frame from the tool to straight down, square to the cube."""
    yaw = truth.tool_yaw_rad + (0.0 if truth.is_held else truth.turn_to_cube_rad)
    goal = rotations.multiply(rotations.quat_of_yaw(yaw), TOOL_DOWN_QUAT_WXYZ)
    return rotations.rotvec_of_quat(
        rotations.multiply(goal, rotations.conjugate(truth.tcp_quat_wxyz))
    )
