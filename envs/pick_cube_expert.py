"""A scripted expert for the cube task. It reads the simulator's truth, not the observation."""

from __future__ import annotations

import numpy as np

from .cube_grasp import grasp_cube
from .expert import CLOSED, Goal, ScriptedExpert, tool_down_quat
from .pick_cube import PickCube

_LIFT_Z_M = 0.16


class PickCubeExpert(ScriptedExpert):
    """Grasps and lifts the cube from anywhere."""

    def __init__(self, env: PickCube, noise: float, seed: int) -> None:
        super().__init__(env, noise, seed)
        self._env = env

    def goals(self) -> list[Goal]:
        """Straight down and square to the cube: above it, around it, then up with it."""
        truth = self._env.truth()
        if truth.is_held:
            lifted_m = np.array([*truth.tool.pos_m[:2], _LIFT_Z_M])
            return [Goal(lifted_m, tool_down_quat(truth.tool.yaw_rad), CLOSED)]
        pos_m, gripper = grasp_cube(truth.tool, truth.cube_pos_m, truth.turn_to_cube_rad)
        return [Goal(pos_m, tool_down_quat(truth.tool.yaw_rad + truth.turn_to_cube_rad), gripper)]
