"""A cube that can be grasped: its place in a scene and in an observation."""

from __future__ import annotations

import math

import numpy as np

from ..datasets.schema import FieldDoc
from ..hardware import rotations
from ..hardware.headless import mujoco
from .sim_arm import SimArm
from .spaces import BASE, TOOL
from .state_fields import StateField

CUBE_HALF_M = 0.02
_MASS_KG = 0.05
_NAME = "cube"

CUBE_FIELDS = (
    StateField(
        "cube_in_tool",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the cube's centre from the point between the tips.", "m", TOOL),
    ),
    StateField(
        "cube_pos",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the cube's centre.", "m", BASE),
    ),
    StateField(
        "cube_turn",
        (-1.0, -1.0),
        (1.0, 1.0),
        FieldDoc(
            "Cosine and sine of four times the cube's yaw from the tool's: the same for the four "
            "yaws at which a cube looks the same.",
            "1",
            TOOL,
        ),
    ),
)
"""What a state tells of the cube."""


def add_cube(spec: mujoco.MjSpec, xy_m: tuple[float, float]) -> None:
    """Adds a red cube of 40 mm and 50 g that rests at `xy_m` on the table."""
    body = spec.worldbody.add_body(name=_NAME, pos=(*xy_m, CUBE_HALF_M))
    body.add_freejoint(name=_NAME)
    body.add_geom(
        name=_NAME,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(CUBE_HALF_M,) * 3,
        mass=_MASS_KG,
        condim=4,
        friction=(1.0, 0.01, 0.0001),
        rgba=(0.86, 0.16, 0.11, 1.0),
    )


class SimCube:
    """The cube of a simulation. It keeps views into the simulator's arrays.

    Attributes:
      pos_m: (3,) of its centre, a view.
      qpos: (7,) position and orientation (w, x, y, z) that the simulator starts from, a view.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        first = model.joint(_NAME).qposadr[0]
        self.qpos = data.qpos[first : first + 7]
        self.pos_m = data.body(_NAME).xpos
        self._mat = data.body(_NAME).xmat
        self._geom = model.geom(_NAME).id

    def place(self, xy_m: np.ndarray, yaw_rad: float, floor_m: float = 0.0) -> None:
        """Puts it on the table, or on a floor above it."""
        self.qpos[:2] = xy_m
        self.qpos[2] = CUBE_HALF_M + floor_m
        self.qpos[3:] = rotations.quat_of_yaw(yaw_rad)

    def write(self, arm: SimArm, flat: np.ndarray) -> None:
        """Writes `CUBE_FIELDS` into `flat` (8,), side by side."""
        flat[:3] = arm.in_tool(self.pos_m)
        flat[3:6] = self.pos_m
        turn = 4.0 * (self.yaw_rad() - arm.yaw_rad())
        flat[6] = math.cos(turn)
        flat[7] = math.sin(turn)

    def yaw_rad(self) -> float:
        """Yaw of one of its level sides."""
        # A cube that lies on another face is the same cube: measure a side that is level.
        axes = self._mat.tolist()
        upright = max(range(3), key=lambda axis: abs(axes[6 + axis]))
        side = (upright + 1) % 3
        return math.atan2(axes[3 + side], axes[side])

    def is_held_by(self, arm: SimArm) -> bool:
        """Whether both fingers touch it."""
        return arm.holds(self._geom)
