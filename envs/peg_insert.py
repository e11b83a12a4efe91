"""The tasks `serlds/<arm>PegInsert-v0`: an arm puts the peg that it holds into a hole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.schema import FieldDoc
from ..hardware import rotations
from ..hardware.arm import Arm, Mount
from ..hardware.franka import FRANKA
from ..hardware.headless import mujoco
from ..hardware.widowx import WIDOWX
from . import arguments
from .manipulation import Manipulation
from .scene import table_spec
from .sim_arm import Tool
from .spaces import BASE, TOOL
from .state_fields import StateField

BLOCK_HEIGHT_M = 0.05
PEG_HALF_M = (0.040, 0.010, 0.010)
DEPTH_M = 0.03
"""The peg has been inserted when its tip is this far below the mouth of the hole."""

_PEG_KG = 0.06
_PEG_FRICTION = (1.5, 0.03, 0.0001)
_BLOCK_FRICTION = (0.3, 0.005, 0.0001)
# Contacts that yield little: an error of a millimetre decides.
_SOLREF = (0.01, 1.0)
_BLOCK_HALF_M = 0.035
_TIP_BELOW_TCP_M = 0.055
_START_HEIGHT_M = 0.135
_START_JITTER_M = np.array([0.03, 0.03, 0.01])
# How the peg sits in the gripper: along the peg, across the fingers, and tilted between them.
_GRASP_JITTER = np.array([0.006, 0.004, 0.06])
_MAX_SPAWN_M = (0.06, 0.12)
_MAX_YAW_RAD = math.pi / 4
_SETTLING_STEPS = 25
_PINCH_M = 0.0002
_REACH_SCALE_M = 0.05
# The command stays near the arm, so that a blocked peg is pressed with about 25 N by the WidowX and
# 100 N by the stiffer Franka, and not more.
_MAX_LEAD_M = 0.012

_OBJECT_FIELDS = (
    StateField(
        "tip_to_hole",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("From the middle of the peg's tip to the middle of the hole's mouth.", "m", BASE),
    ),
    StateField(
        "hole_in_tool",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the hole's mouth from the point between the tips.", "m", TOOL),
    ),
    StateField(
        "hole_turn",
        (-1.0, -1.0),
        (1.0, 1.0),
        FieldDoc(
            "Cosine and sine of four times the hole's yaw from the tool's: the same for the four "
            "yaws at which a square hole looks the same.",
            "1",
            TOOL,
        ),
    ),
)


class Truth(NamedTuple):
    """What the simulator knows. Positions in m in the robot base frame."""

    tool: Tool
    tip_m: np.ndarray
    """Middle of the end of the peg that goes first."""
    peg_quat_wxyz: np.ndarray
    """Its axes are those of the tool when the peg sits straight in the gripper."""
    mouth_m: np.ndarray
    turn_to_hole_rad: float
    """Smallest turn about z that squares the tool with the hole, in [-pi/4, pi/4]."""
    depth_m: float
    """How far the tip is in the hole; negative above its mouth, or beside the hole."""
    is_held: bool
    """Both fingers touch the peg."""


class PegInsert(Manipulation):
    """Put a 20 mm square peg, which the gripper holds, 30 mm deep into a square hole.

    The peg sits in the gripper a little differently each time, by 6 mm along, 4 mm across and
    0.06 rad; nothing but the fingers' friction holds it, so it slips when it is pressed onto
    the block, and falls when the gripper opens. Success is when its tip is 30 mm below the mouth
    of the hole. The potential of the dense reward grows by 0.5 as the tip reaches the mouth and by
    0.5 with its depth.
    """

    task = "peg_insert"
    language_instruction = "insert the red peg into the hole"
    speed_m_s = 0.1
    turn_rad_s = 0.6
    arm: Arm

    def __init__(
        self,
        clearance_m: float = 0.0015,
        spawn_area_m: Sequence[float] = (0.04, 0.08),
        yaw_range_rad: float = 0.4,
        max_steps: int = 80,
        **common: Any,
    ) -> None:
        """Builds the scene.

        Args:
          clearance_m: room between peg and hole on each side, 0.0005 to 0.01.
          spawn_area_m: the hole is within +- these distances in x and y of the area's centre.
          yaw_range_rad: the hole's yaw is within +- this angle.
          max_steps: actions after which an episode is truncated.
          common: as of every task, see `Manipulation`.

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        self._clearance_m = arguments.number("clearance_m", clearance_m, 0.0005, 0.01, "m")
        self._spawn_m = np.array(
            arguments.pair("spawn_area_m", spawn_area_m, _MAX_SPAWN_M, "m (half sizes in x and y)")
        )
        self._yaw_rad = arguments.number("yaw_range_rad", yaw_range_rad, 0.0, _MAX_YAW_RAD, "rad")
        limits = dataclasses.replace(self.arm.limits, max_lead_m=_MAX_LEAD_M)
        self._mount = Mount(dataclasses.replace(self.arm, limits=limits))
        super().__init__((self._mount,), _OBJECT_FIELDS, max_steps=max_steps, **common)
        peg = self.model.joint("peg").qposadr[0]
        self._peg_qpos = self.data.qpos[peg : peg + 7]
        self._peg_pos = self.data.body("peg").xpos
        self._peg_quat = self.data.body("peg").xquat
        self._peg_mat = self.data.body("peg").xmat
        self._peg_geom = self.model.geom("peg").id
        self._mouth_m = np.zeros(3)
        self._hole_yaw = 0.0

    def scene(self, visual: bool) -> mujoco.MjSpec:
        """The arm, the peg and a block with a hole."""
        spec = table_spec((self._mount,), self.arm.workbench, visual)
        peg = spec.worldbody.add_body(name="peg", pos=(*self.arm.work_centre_m, 0.2))
        peg.add_freejoint(name="peg")
        peg.add_geom(
            name="peg",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=PEG_HALF_M,
            mass=_PEG_KG,
            condim=4,
            friction=_PEG_FRICTION,
            solref=_SOLREF,
            priority=1,  # its contacts with fingers and table are as stiff as it is
            rgba=(0.86, 0.16, 0.11, 1.0),
        )
        # A body that only a reset moves: nothing pushes it away.
        block = spec.worldbody.add_body(name="block", pos=(*self.arm.work_centre_m, 0), mocap=True)
        hole_half = PEG_HALF_M[1] + self._clearance_m
        middle, wall_half = (_BLOCK_HALF_M + hole_half) / 2, (_BLOCK_HALF_M - hole_half) / 2
        height = BLOCK_HEIGHT_M / 2
        for x, y, half_x, half_y in (
            (middle, 0.0, wall_half, _BLOCK_HALF_M),
            (-middle, 0.0, wall_half, _BLOCK_HALF_M),
            (0.0, middle, hole_half, wall_half),
            (0.0, -middle, hole_half, wall_half),
        ):
            block.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(x, y, height),
                size=(half_x, half_y, height),
                condim=4,
                friction=_BLOCK_FRICTION,
                solref=_SOLREF,
                priority=2,  # the peg slides in the hole better than between the fingers
                rgba=(0.16, 0.34, 0.62, 1.0),
            )
        return spec

    def place(self) -> None:
        """Draws place and yaw of the hole, where the tool starts and how it holds the peg."""
        draw, centre_m = self.np_random.uniform, self.arm.work_centre_m
        hole_xy = np.array(centre_m) + self._spawn_m * draw(-1.0, 1.0, 2)
        self._hole_yaw = self._yaw_rad * draw(-1.0, 1.0)
        self._mouth_m[:] = (*hole_xy, BLOCK_HEIGHT_M)
        self.data.mocap_pos[0] = (*hole_xy, 0.0)
        self.data.mocap_quat[0] = rotations.quat_of_yaw(self._hole_yaw)

        start_m = np.array([*centre_m, _START_HEIGHT_M]) + _START_JITTER_M * draw(-1.0, 1.0, 3)
        along, across, tilt = _GRASP_JITTER * draw(-1.0, 1.0, 3)
        arm = self.arms[0]
        arm.place(start_m, PEG_HALF_M[1] - _PINCH_M)
        arm.command_gripper(-1.0)
        self.measure()
        tool = arm.tool()
        offset = np.array([_TIP_BELOW_TCP_M - PEG_HALF_M[0] + along, 0.0, across])
        tilted = rotations.quat_of_rotvec(np.array([0.0, tilt, 0.0]))
        self._peg_qpos[:3] = tool.pos_m + rotations.rotate(tool.quat_wxyz, offset)
        self._peg_qpos[3:] = rotations.multiply(tool.quat_wxyz, tilted)
        mujoco.mj_step(self.model, self.data, _SETTLING_STEPS)

    def write_objects(self, flat: np.ndarray) -> None:
        """Writes the fields of peg and hole."""
        arm = self.arms[0]
        flat[:3] = self._mouth_m - self._tip()
        flat[3:6] = arm.in_tool(self._mouth_m)
        turn = 4.0 * (self._hole_yaw - arm.yaw_rad())
        flat[6] = math.cos(turn)
        flat[7] = math.sin(turn)

    def is_success(self) -> bool:
        """Whether the peg is deep in the hole."""
        return self._depth() > DEPTH_M

    def potential(self) -> float:
        """0.5 for reaching the mouth with the tip, 0.5 for the depth."""
        distance = float(np.linalg.norm(self._mouth_m - self._tip()))
        depth = min(max(self._depth() / DEPTH_M, 0.0), 1.0)
        reach = 1.0 if depth > 0.0 else 1.0 - math.tanh(distance / _REACH_SCALE_M)
        return 0.5 * reach + 0.5 * depth

    def truth(self) -> Truth:
        """The simulator's state, for scripted experts and tests."""
        tool = self.arms[0].tool()
        return Truth(
            tool=tool,
            tip_m=self._tip(),
            peg_quat_wxyz=self._peg_quat.copy(),
            mouth_m=self._mouth_m.copy(),
            turn_to_hole_rad=rotations.quarter_turn_error(tool.yaw_rad, self._hole_yaw),
            depth_m=self._depth(),
            is_held=self.arms[0].holds(self._peg_geom),
        )

    def _tip(self) -> np.ndarray:
        return self._peg_pos + PEG_HALF_M[0] * self._peg_mat[::3]

    def _depth(self) -> float:
        beyond = self._tip() - self._mouth_m
        in_hole = rotations.rotate(rotations.quat_of_yaw(-self._hole_yaw), beyond)
        is_beside = max(abs(in_hole[0]), abs(in_hole[1])) > PEG_HALF_M[1]
        return -float(abs(in_hole[2])) if is_beside else -float(in_hole[2])


class WidowXPegInsert(PegInsert):
    """With the Trossen WidowX AI."""

    arm = WIDOWX


class FrankaPegInsert(PegInsert):
    """With the Franka Research 3."""

    arm = FRANKA
