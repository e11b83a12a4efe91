"""A scripted expert for the peg task. It reads the simulator's truth, not the observation."""

from __future__ import annotations

import math

import numpy as np

from ..hardware import rotations
from .expert import CLOSED, Goal, ScriptedExpert, tool_down_quat
from .peg_insert import DEPTH_M, PegInsert, Truth

_ALIGNED_M = 0.001
_ALIGNED_RAD = 0.04
_LEVER_M = 0.02
_FUNNEL_SLOPE = 6.0
_HIGHEST_M = 0.02
_CROOKED_RAD = 0.08
_BEYOND_M = 0.01


class PegInsertExpert(ScriptedExpert):
    """Brings the tip over the hole, upright and square to it, and then down."""

    def __init__(self, env: PegInsert, noise: float, seed: int) -> None:
        super().__init__(env, noise, seed)
        self._env = env

    def goals(self) -> list[Goal]:
        """Where the tool must be for the peg to be where it should be."""
        truth = self._env.truth()
        peg_in_tool = rotations.multiply(
            rotations.conjugate(truth.tool.quat_wxyz), truth.peg_quat_wxyz
        )
        peg_quat = tool_down_quat(truth.tool.yaw_rad + truth.turn_to_hole_rad)
        quat = rotations.multiply(peg_quat, rotations.conjugate(peg_in_tool))
        return [Goal(truth.tool.pos_m + _tip_goal(truth) - truth.tip_m, quat, CLOSED)]


def _tip_goal(truth: Truth) -> np.ndarray:
    """Where the tip of the peg should go (3,) in m."""
    if truth.depth_m > 0.0:
        # A crooked peg jams: out again, where it can be set straight.
        height = _HIGHEST_M if _lean_rad(truth) > _CROOKED_RAD else -DEPTH_M - _BEYOND_M
    else:
        # Down a funnel: the better it is aligned, the lower, and into the hole when it fits.
        distance = float(np.hypot(*(truth.mouth_m - truth.tip_m)[:2]))
        turn = max(abs(truth.turn_to_hole_rad), _lean_rad(truth)) - _ALIGNED_RAD
        off_m = distance - _ALIGNED_M + _LEVER_M * max(turn, 0.0)
        height = min(_FUNNEL_SLOPE * off_m, _HIGHEST_M)
    return truth.mouth_m + np.array([0.0, 0.0, height])


def _lean_rad(truth: Truth) -> float:
    """Angle between the peg and the vertical."""
    down = -rotations.rotate(truth.peg_quat_wxyz, np.array([1.0, 0.0, 0.0]))[2]
    return math.acos(min(1.0, float(down)))
