"""The tasks `serlds/<arm>PickCube-v0`: an arm grasps a cube on a table and lifts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..hardware import rotations
from ..hardware.arm import Arm, Mount
from ..hardware.franka import FRANKA
from ..hardware.headless import mujoco
from ..hardware.widowx import WIDOWX
from . import arguments
from .cube import CUBE_FIELDS, CUBE_HALF_M, SimCube, add_cube
from .manipulation import Manipulation
from .scene import table_spec
from .sim_arm import Tool

LIFT_M = 0.10
"""The cube has been lifted when it is this far above where it rests."""

_START_HEIGHT_M = 0.13
_START_JITTER_M = np.array([0.03, 0.03, 0.02])
_MAX_SPAWN_M = (0.08, 0.15)
_REACH_SCALE_M = 0.1


class Truth(NamedTuple):
    """What the simulator knows. Positions in m in the robot base frame."""

    tool: Tool
    cube_pos_m: np.ndarray
    turn_to_cube_rad: float
    """Smallest turn about z that squares the fingers with the cube, in [-pi/4, pi/4]."""
    is_held: bool
    """Both fingers touch the cube."""


class PickCube(Manipulation):
    """Grasp a 40 mm, 50 g cube and lift it by 0.10 m.

    Success is when both fingers hold the cube 0.10 m above its rest height. The potential of the
    dense reward grows by 0.3 as the tool reaches the cube, by 0.3 when both fingers hold it and by
    0.4 as it rises.
    """

    task = "pick_cube"
    language_instruction = "pick up the red cube"
    arm: Arm

    def __init__(
        self,
        spawn_area_m: Sequence[float] = (0.07, 0.12),
        yaw_range_rad: float = math.pi / 4,
        **common: Any,
    ) -> None:
        """Builds the scene.

        Args:
          spawn_area_m: the cube starts within +- these distances in x and y of the area's centre.
          yaw_range_rad: the cube's yaw starts within +- this angle.
          common: as of every task, see `Manipulation`.

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        self._spawn_m = np.array(
            arguments.pair("spawn_area_m", spawn_area_m, _MAX_SPAWN_M, "m (half sizes in x and y)")
        )
        self._yaw_rad = arguments.number("yaw_range_rad", yaw_range_rad, 0.0, math.pi, "rad")
        super().__init__((Mount(self.arm),), CUBE_FIELDS, **common)
        self._cube = SimCube(self.model, self.data)

    def scene(self, visual: bool) -> mujoco.MjSpec:
        """The arm, the table and the cube."""
        spec = table_spec((Mount(self.arm),), self.arm.workbench, visual)
        add_cube(spec, self.arm.work_centre_m)
        return spec

    def place(self) -> None:
        """Draws place and yaw of the cube and where the tool starts."""
        draw, centre_m = self.np_random.uniform, self.arm.work_centre_m
        xy_m = np.array(centre_m) + self._spawn_m * draw(-1.0, 1.0, 2)
        self._cube.place(xy_m, self._yaw_rad * draw(-1.0, 1.0))
        start_m = np.array([*centre_m, _START_HEIGHT_M]) + _START_JITTER_M * draw(-1.0, 1.0, 3)
        self.arms[0].place(start_m, self.arm.finger_travel_m)

    def write_objects(self, flat: np.ndarray) -> None:
        """Writes the fields of the cube."""
        self._cube.write(self.arms[0], flat)

    def is_success(self) -> bool:
        """Whether the cube is held high."""
        return self._cube.pos_m[2] > CUBE_HALF_M + LIFT_M and self._cube.is_held_by(self.arms[0])

    def potential(self) -> float:
        """0.3 for reaching the cube, 0.3 for holding it, 0.4 for lifting it."""
        distance = float(np.linalg.norm(self._cube.pos_m - self.arms[0].tcp_pos_m))
        held = self._cube.is_held_by(self.arms[0])
        lifted = min(max((self._cube.pos_m[2] - CUBE_HALF_M) / LIFT_M, 0.0), 1.0)
        reach = 1.0 - math.tanh(distance / _REACH_SCALE_M)
        return 0.3 * reach + 0.3 * held + 0.4 * held * lifted

    def truth(self) -> Truth:
        """The simulator's state, for scripted experts and tests."""
        tool = self.arms[0].tool()
        return Truth(
            tool=tool,
            cube_pos_m=self._cube.pos_m.copy(),
            turn_to_cube_rad=rotations.quarter_turn_error(tool.yaw_rad, self._cube.yaw_rad()),
            is_held=self._cube.is_held_by(self.arms[0]),
        )


class WidowXPickCube(PickCube):
    """With the Trossen WidowX AI."""

    arm = WIDOWX


class FrankaPickCube(PickCube):
    """With the Franka Research 3."""

    arm = FRANKA
