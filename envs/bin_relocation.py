"""`serlds/WidowXBinRelocation-v0` and `serlds/FrankaBinRelocation-v0`: a cube, two bins, and back.

The two directions reset each other: with `direction="alternate"` an episode begins where the last
one left the cube, and asks for the other bin (SERL, Luo et al. 2024, arXiv:2401.16013, section V).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..datasets.schema import FieldDoc
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
from .spaces import BASE
from .state_fields import StateField

LEFT, RIGHT = 1.0, -1.0
"""Sides of the bins: signs of y."""
DIRECTIONS = {"forward": RIGHT, "backward": LEFT}
"""The side that a direction carries to."""

_BIN_Y_M = 0.095
_BIN_HALF_M = np.array([0.075, 0.085])
_WALL_HALF_M = 0.004
_WALL_HEIGHT_M = 0.025
_SPAWN_M = np.array([0.03, 0.02])
_YAW_RAD = 0.3
_START_HEIGHT_M = 0.13
_START_JITTER_M = np.array([0.03, 0.03, 0.02])
_RESTS_BELOW_M = CUBE_HALF_M + 0.01
_REACH_SCALE_M = 0.1

_GOAL_SIDE = StateField(
    "goal_side",
    (-1.0,),
    (1.0,),
    FieldDoc("Side of the bin that the cube shall go to: 1 left (y > 0), -1 right.", "1", BASE),
)


class Truth(NamedTuple):
    """What the simulator knows. Positions in m in the robot base frame."""

    tool: Tool
    cube_pos_m: np.ndarray
    turn_to_cube_rad: float
    """Smallest turn about z that squares the fingers with the cube, in [-pi/4, pi/4]."""
    is_held: bool
    """Both fingers touch the cube."""
    goal_m: np.ndarray
    """(2,) x and y of the middle of the bin that the cube shall go to."""


class BinRelocation(Manipulation):
    """Carry a 40 mm cube over a wall into the other bin and let it go.

    Success is when the cube rests inside of the goal bin and no finger holds it. `forward` carries
    from the left bin to the right one, `backward` the other way. With `alternate` the cube stays
    where the last episode left it and the goal is the bin it is not in; a cube outside of both
    bins is put into one at random, and `info["respawned"]` says so.

    The potential of the dense reward grows by 0.2 as the tool reaches the cube, by 0.3 when both
    fingers hold it and by 0.4 on the way to the goal; it is 1 on success.
    """

    task = "bin_relocation"
    switch_field = _GOAL_SIDE.name
    """State field that tells the two directions apart, for policies of their own."""
    arm: Arm

    def __init__(self, direction: str = "forward", max_steps: int = 60, **common: Any) -> None:
        """Builds the scene.

        Args:
          direction: `forward`, `backward` or `alternate`.
          max_steps: actions after which an episode is truncated.
          common: as of every task, see `Manipulation`.

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        self._direction = arguments.choice("direction", direction, (*DIRECTIONS, "alternate"))
        self._goal_side = DIRECTIONS.get(direction, RIGHT)
        self._left_at: np.ndarray | None = None
        self._respawned = False
        fields = (*CUBE_FIELDS, _GOAL_SIDE)
        super().__init__((Mount(self.arm),), fields, max_steps=max_steps, **common)
        self._cube = SimCube(self.model, self.data)

    @property
    def language_instruction(self) -> str:
        """What the robot is asked to do in this episode."""
        return f"put the cube into the {'left' if self._goal_side == LEFT else 'right'} bin"

    def scene(self, visual: bool) -> mujoco.MjSpec:
        """The arm, the table, two bins and the cube."""
        spec = table_spec((Mount(self.arm),), self.arm.workbench, visual)
        _add_bins(spec, self.arm.work_centre_m)
        add_cube(spec, self.arm.work_centre_m)
        return spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws a new start from the seed; when alternating, the cube stays where it is."""
        observation, info = super().reset(seed=seed, options=options)
        return observation, {**info, "respawned": self._respawned}

    def start(self, seed: int | None = None) -> None:
        """What `reset` does but for the observation."""
        self._left_at = self._cube.qpos.copy() if self._direction == "alternate" else None
        super().start(seed)

    def place(self) -> None:
        """Draws where the tool starts and, unless it stays, place and yaw of the cube."""
        draw, centre_m = self.np_random.uniform, np.array(self.arm.work_centre_m)
        start_m = np.array([*centre_m, _START_HEIGHT_M]) + _START_JITTER_M * draw(-1.0, 1.0, 3)
        xy_m = _SPAWN_M * draw(-1.0, 1.0, 2)
        yaw_rad, random_side = _YAW_RAD * draw(-1.0, 1.0), math.copysign(1.0, draw(-1.0, 1.0))
        self.arms[0].place(start_m, self.arm.finger_travel_m)
        self._respawned = False
        if self._direction == "alternate":
            side = None if self._left_at is None else self._bin_of(self._left_at[:3])
            self._respawned = side is None
            self._goal_side = -(random_side if side is None else side)
            if side is not None:
                self._cube.qpos[:] = self._left_at
                return
        self._cube.place(self._bin_centre(-self._goal_side) + xy_m, yaw_rad)

    def write_objects(self, flat: np.ndarray) -> None:
        """Writes the fields of the cube and the side of the goal."""
        self._cube.write(self.arms[0], flat[:-1])
        flat[-1] = self._goal_side

    def is_success(self) -> bool:
        """Whether the cube lies in the goal bin, let go."""
        in_goal = self._bin_of(self._cube.pos_m) == self._goal_side
        return in_goal and not self._cube.is_held_by(self.arms[0])

    def potential(self) -> float:
        """0.2 for reaching the cube, 0.3 for holding it, 0.4 for carrying it; 1 on success."""
        if self.is_success():
            return 1.0
        arm, cube_m = self.arms[0], self._cube.pos_m
        reach = 1.0 - math.tanh(float(np.linalg.norm(cube_m - arm.tcp_pos_m)) / _REACH_SCALE_M)
        away = float(np.linalg.norm(cube_m[:2] - self._bin_centre(self._goal_side)))
        carried = min(max(1.0 - away / (2.0 * _BIN_Y_M), 0.0), 1.0)
        return 0.2 * reach + 0.3 * self._cube.is_held_by(arm) + 0.4 * carried

    def truth(self) -> Truth:
        """The simulator's state, for scripted experts and tests."""
        tool = self.arms[0].tool()
        return Truth(
            tool=tool,
            cube_pos_m=self._cube.pos_m.copy(),
            turn_to_cube_rad=rotations.quarter_turn_error(tool.yaw_rad, self._cube.yaw_rad()),
            is_held=self._cube.is_held_by(self.arms[0]),
            goal_m=self._bin_centre(self._goal_side),
        )

    def _bin_centre(self, side: float) -> np.ndarray:
        return np.array(self.arm.work_centre_m) + np.array([0.0, side * _BIN_Y_M])

    def _bin_of(self, cube_m: np.ndarray) -> float | None:
        """The side of the bin that the cube (3,) lies in, if it lies in one."""
        if cube_m[2] > _RESTS_BELOW_M:
            return None
        for side in (LEFT, RIGHT):
            if (np.abs(cube_m[:2] - self._bin_centre(side)) < _BIN_HALF_M).all():
                return side
        return None


def _add_bins(spec: mujoco.MjSpec, centre_m: tuple[float, float]) -> None:
    """Two open boxes side by side, a gap of 4 mm between them."""
    half_x, half_y = _BIN_HALF_M + _WALL_HALF_M
    height = 0.5 * _WALL_HEIGHT_M
    along_x, along_y = (half_x + _WALL_HALF_M, _WALL_HALF_M), (_WALL_HALF_M, half_y)
    for side, colour in ((LEFT, (0.24, 0.45, 0.68, 1.0)), (RIGHT, (0.30, 0.58, 0.40, 1.0))):
        y = centre_m[1] + side * _BIN_Y_M
        walls = [
            ((centre_m[0], y + side * half_y), along_x),
            ((centre_m[0] - half_x, y), along_y),
            ((centre_m[0] + half_x, y), along_y),
            ((centre_m[0], y - side * half_y), along_x),
        ]
        for number, ((wall_x, wall_y), (size_x, size_y)) in enumerate(walls):
            spec.worldbody.add_geom(
                name=f"{'left' if side == LEFT else 'right'}_wall_{number}",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(wall_x, wall_y, height),
                size=(size_x, size_y, height),
                rgba=colour,
            )


class WidowXBinRelocation(BinRelocation):
    """With the Trossen WidowX AI."""

    arm = WIDOWX


class FrankaBinRelocation(BinRelocation):
    """With the Franka Research 3."""

    arm = FRANKA
