"""`serlds/BimanualLift-v0`: two arms lift a tray by its handles and keep it level."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..datasets.schema import FieldDoc
from ..hardware import rotations
from ..hardware.arm import Mount, Workbench
from ..hardware.headless import mujoco
from ..hardware.widowx import WIDOWX
from .manipulation import Manipulation
from .scene import table_spec
from .sim_arm import Tool
from .spaces import TOOL
from .state_fields import StateField

HANDLE_GRIP_M = 0.042
"""Height of the middle of a handle's grip above the tray's underside."""
LIFT_M = 0.08
"""The tray has been lifted when it is this far above where it rests."""
MAX_TILT_RAD = 0.15

_BASE_Y_M = 0.25
_CENTRE_M = (0.28, 0.0)
_HANDLE_Y_M = 0.15
_FLOOR_HALF_M = (0.05, 0.165, 0.004)
_HANDLE_HALF_M = (0.022, 0.008, 0.03)
_FLOOR_KG, _HANDLE_KG = 0.08, 0.02
_JITTER_M = np.array([0.03, 0.02])
_YAW_RAD = 0.12
_START_HEIGHT_M = 0.13
_START_JITTER_M = np.array([0.02, 0.02, 0.015])
_REACH_SCALE_M = 0.1
_SCENE = "scene: x forward, y left, z up, origin on the table in the middle between the bases"
_MOUNTS = (
    Mount(WIDOWX, "left", (0.0, _BASE_Y_M, 0.0)),
    Mount(WIDOWX, "right", (0.0, -_BASE_Y_M, 0.0)),
)
_SIDES = (1.0, -1.0)
_WORKBENCH = Workbench(
    table_centre_m=(0.25, 0.0),
    table_half_m=(0.55, 0.75),
    eye_m=(1.02, -0.36, 0.55),
    target_m=(0.16, 0.0, 0.13),
    fovy_deg=41.0,
)

_OBJECT_FIELDS = (
    *(
        StateField(
            f"{mount.prefix}handle_in_tool",
            (-2.0, -2.0, -2.0),
            (2.0, 2.0, 2.0),
            FieldDoc("Position of this arm's handle from the point between the tips.", "m", TOOL),
        )
        for mount in _MOUNTS
    ),
    StateField(
        "tray_pos",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the middle of the tray's underside.", "m", _SCENE),
    ),
    StateField(
        "tray_rotvec",
        (-3.15, -3.15, -3.15),
        (3.15, 3.15, 3.15),
        FieldDoc("Rotation vector of the tray from lying straight.", "rad", _SCENE),
    ),
)


class Truth(NamedTuple):
    """What the simulator knows. Positions in m in the frame of the scene."""

    tools: tuple[Tool, ...]
    handles_m: tuple[np.ndarray, ...]
    """(3,) middle of the grip of each arm's handle."""
    holds: tuple[bool, ...]
    """Whether both fingers of each arm touch its handle."""
    tray_yaw_rad: float
    tray_height_m: float
    """Of the middle of the tray's underside."""


class BimanualLift(Manipulation):
    """Lift a tray of 0.12 kg and 0.33 m by the handles at its ends, one arm at each.

    Success is when both arms hold their handles, the tray is 0.08 m above the table and tilted by
    less than 0.15 rad: neither arm can do it alone. The potential of the dense reward grows by 0.3
    as the tools reach the handles, by 0.3 as they hold them and by 0.4 as the tray rises level.

    The action is that of the left arm, then that of the right one: (14,).
    """

    task = "bimanual_lift"
    language_instruction = "lift the tray with both hands"

    def __init__(
        self,
        cameras: tuple[str, ...] = ("front", "left_wrist", "right_wrist"),
        max_steps: int = 60,
        **common: Any,
    ) -> None:
        """Builds the scene.

        Args:
          cameras: which of `front`, `left_wrist` and `right_wrist` to observe.
          max_steps: actions after which an episode is truncated.
          common: as of every task, see `Manipulation`.

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        super().__init__(_MOUNTS, _OBJECT_FIELDS, cameras=cameras, max_steps=max_steps, **common)
        first = self.model.joint("tray").qposadr[0]
        self._tray_qpos = self.data.qpos[first : first + 7]
        tray = self.data.body("tray")
        self._tray_pos, self._tray_mat = tray.xpos, tray.xmat
        handles = [f"{mount.prefix}handle" for mount in _MOUNTS]
        self._handle_geoms = [self.model.geom(name).id for name in handles]
        self._grips = [self.data.site(name).xpos for name in handles]

    def scene(self, visual: bool) -> mujoco.MjSpec:
        """Both arms, the table and the tray."""
        spec = table_spec(_MOUNTS, _WORKBENCH, visual)
        body = spec.worldbody.add_body(name="tray", pos=(*_CENTRE_M, 0.0))
        body.add_freejoint(name="tray")
        body.add_geom(
            name="tray",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0.0, 0.0, _FLOOR_HALF_M[2]),
            size=_FLOOR_HALF_M,
            mass=_FLOOR_KG,
            rgba=(0.86, 0.55, 0.18, 1.0),
        )
        for mount, side in zip(_MOUNTS, _SIDES, strict=True):
            name = f"{mount.prefix}handle"
            body.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=(0.0, side * _HANDLE_Y_M, 2.0 * _FLOOR_HALF_M[2] + _HANDLE_HALF_M[2]),
                size=_HANDLE_HALF_M,
                mass=_HANDLE_KG,
                condim=4,
                friction=(1.0, 0.01, 0.0001),
                rgba=(0.86, 0.16, 0.11, 1.0),
            )
            body.add_site(name=name, pos=(0.0, side * _HANDLE_Y_M, HANDLE_GRIP_M), group=4)
        return spec

    def place(self) -> None:
        """Draws place and yaw of the tray and where the tools start."""
        draw = self.np_random.uniform
        self._tray_qpos[:2] = np.array(_CENTRE_M) + _JITTER_M * draw(-1.0, 1.0, 2)
        self._tray_qpos[2] = 0.0
        self._tray_qpos[3:] = rotations.quat_of_yaw(_YAW_RAD * draw(-1.0, 1.0))
        for arm, side in zip(self.arms, _SIDES, strict=True):
            above = (_CENTRE_M[0], side * (_HANDLE_Y_M - _BASE_Y_M), _START_HEIGHT_M)
            start_m = np.array(above) + _START_JITTER_M * draw(-1.0, 1.0, 3)
            arm.place(start_m, WIDOWX.finger_travel_m)

    def write_objects(self, flat: np.ndarray) -> None:
        """Writes the handles, and place and turn of the tray."""
        for index, (arm, grip_m) in enumerate(zip(self.arms, self._grips, strict=True)):
            flat[3 * index : 3 * index + 3] = arm.in_tool(grip_m)
        flat[6:9] = self._tray_pos
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self._tray_mat)
        flat[9:12] = rotations.rotvec_of_quat(quat)

    def is_success(self) -> bool:
        """Whether both arms hold the tray high and level."""
        return self._tray_pos[2] > LIFT_M and self._tilt_rad() < MAX_TILT_RAD and all(self._holds())

    def potential(self) -> float:
        """0.3 for reaching both handles, 0.3 for holding them, 0.4 for lifting them level."""
        holds = self._holds()
        reach = [
            1.0 - math.tanh(float(np.linalg.norm(grip_m - arm.tcp_pos_m)) / _REACH_SCALE_M)
            for arm, grip_m in zip(self.arms, self._grips, strict=True)
        ]
        lifted = min(max(self._tray_pos[2] / LIFT_M, 0.0), 1.0)
        level = max(0.0, 1.0 - self._tilt_rad() / (2.0 * MAX_TILT_RAD))
        return 0.15 * sum(reach) + 0.15 * sum(holds) + 0.4 * all(holds) * lifted * level

    def truth(self) -> Truth:
        """The simulator's state, for scripted experts and tests."""
        mat = self._tray_mat
        return Truth(
            tools=tuple(arm.tool() for arm in self.arms),
            handles_m=tuple(grip_m.copy() for grip_m in self._grips),
            holds=tuple(self._holds()),
            tray_yaw_rad=math.atan2(mat[3], mat[0]),
            tray_height_m=float(self._tray_pos[2]),
        )

    def _holds(self) -> list[bool]:
        pairs = zip(self.arms, self._handle_geoms, strict=True)
        return [arm.holds(handle) for arm, handle in pairs]

    def _tilt_rad(self) -> float:
        return math.acos(min(max(self._tray_mat[8], -1.0), 1.0))
