"""A scripted expert for carrying the cube between bins. It reads the simulator's truth."""

from __future__ import annotations

import numpy as np

from .bin_relocation import BinRelocation
from .cube import CUBE_HALF_M
from .cube_grasp import grasp_cube
from .expert import CLOSED, OPEN, Goal, ScriptedExpert, tool_down_quat

_CARRY_Z_M = 0.11
_OVER_GOAL_M = 0.03
_LET_GO_Z_M = CUBE_HALF_M + 0.006
_HALF_OPEN = 0.6
"""Wide enough for the cube, narrow enough for the bin."""


class BinRelocationExpert(ScriptedExpert):
    """Grasps the cube, lifts it over the wall, lowers it into the goal bin and lets go."""

    def __init__(self, env: BinRelocation, noise: float, seed: int) -> None:
        super().__init__(env, noise, seed)
        self._env = env

    def goals(self) -> list[Goal]:
        """To the cube, up, across, down, open: each follows from where the cube is."""
        truth = self._env.truth()
        tool, cube_m = truth.tool, truth.cube_pos_m
        if not truth.is_held:
            pos_m, gripper = grasp_cube(tool, cube_m, truth.turn_to_cube_rad, _HALF_OPEN)
            if np.hypot(*(pos_m - tool.pos_m)[:2]) > _OVER_GOAL_M:
                pos_m[2] = max(pos_m[2], _CARRY_Z_M)  # over the walls
            turn_rad = truth.turn_to_cube_rad
            return [Goal(pos_m, tool_down_quat(tool.yaw_rad + turn_rad), gripper)]
        away_m = float(np.hypot(*(truth.goal_m - cube_m[:2])))
        quat = tool_down_quat(tool.yaw_rad)
        if away_m > _OVER_GOAL_M:
            low = cube_m[2] < _CARRY_Z_M - 0.04
            xy_m = tool.pos_m[:2] if low else truth.goal_m
            return [Goal(np.array([*xy_m, _CARRY_Z_M]), quat, CLOSED)]
        down_m = np.array([*truth.goal_m, _LET_GO_Z_M - 0.006])
        return [Goal(down_m, quat, OPEN if cube_m[2] < _LET_GO_Z_M else CLOSED)]
