"""A scripted expert for lifting the tray. It reads the simulator's truth, not the observation."""

from __future__ import annotations

import numpy as np

from .bimanual_lift import HANDLE_GRIP_M, BimanualLift, Truth
from .expert import CLOSED, OPEN, Goal, ScriptedExpert, tool_down_quat

_ALIGNED_M = 0.02
_AT_DEPTH_M = 0.015
_DESCENT_SLOPE = 1.5
_CLEAR_M = 0.06
_WIDE_OPEN_M = 0.032
_LIFT_M = 0.115
_RISE_M = 0.02
"""How far above the tray's present height both tools are sent, so that neither runs ahead."""


class BimanualLiftExpert(ScriptedExpert):
    """Both arms grasp their handle; who is first waits; then they rise together."""

    def __init__(self, env: BimanualLift, noise: float, seed: int) -> None:
        super().__init__(env, noise, seed)
        self._env = env

    def goals(self) -> list[Goal]:
        """For each arm: above its handle, around it, then up with the other one."""
        truth = self._env.truth()
        quat = tool_down_quat(truth.tray_yaw_rad)
        if all(truth.holds):
            height_m = min(truth.tray_height_m + _RISE_M, _LIFT_M) + HANDLE_GRIP_M
            return [
                Goal(np.array([*tool.pos_m[:2], height_m]), quat, CLOSED) for tool in truth.tools
            ]
        return [Goal(*_grasp(truth, index)) for index in range(len(truth.tools))]


def _grasp(truth: Truth, index: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Where an arm's tool should go to grasp its handle, how turned, and its gripper's action."""
    tool, handle = truth.tools[index], truth.handles_m[index]
    quat = tool_down_quat(truth.tray_yaw_rad)
    distance = float(np.hypot(*(handle - tool.pos_m)[:2]))
    low = tool.pos_m[2] < handle[2] + _AT_DEPTH_M
    if truth.holds[index] or (distance < _ALIGNED_M and low):
        return handle, quat, CLOSED
    if tool.gripper_m < _WIDE_OPEN_M:
        height = _CLEAR_M
    else:
        height = min(_DESCENT_SLOPE * max(0.0, distance - _ALIGNED_M), _CLEAR_M)
    return handle + np.array([0.0, 0.0, height]), quat, OPEN
