"""What tasks need to know about an arm with a gripper of two fingers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from . import rotations
from .cartesian import CartesianLimits
from .headless import mujoco
from .kinematics import ArmKinematics, IkSettings

TCP_SITE = "tcp"
"""The point between the finger tips; its axes are those of the tool."""
WRIST_CAMERA = "wrist"

# Axes of the tool: x out of the gripper, y the way the fingers open.
TOOL_DOWN_QUAT_WXYZ = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0])
"""The tool points at the table and its fingers open along the base's y."""


@dataclasses.dataclass(frozen=True)
class Workbench:
    """The table that an arm stands on and the camera that looks at both, in the robot base frame.

    Attributes:
      table_centre_m: x and y of the middle of the table.
      table_half_m: half of its sizes in x and y.
      eye_m: where the front camera is.
      target_m: the point in the middle of its pictures.
      fovy_deg: its vertical field of view.
      facets: around and along a round shape in pictures; an arm made of many needs few.
    """

    table_centre_m: tuple[float, float]
    table_half_m: tuple[float, float]
    eye_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    fovy_deg: float
    facets: tuple[int, int] = (28, 16)


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """An arm: its model, its names, its limits, and where it works.

    Its model has a body at the origin that is the base (x forward, y left, z up), a site
    `TCP_SITE` with the axes of the tool, a camera `WRIST_CAMERA`, and position actuators: one per
    joint, in order, then one for the gripper whose control is the distance of a finger from the
    middle in m.

    Attributes:
      robot: name of the model, what recordings are labelled with.
      spec: makes the arm without a table; the argument says whether with what a picture needs,
        without which the physics is the same.
      joints: names of the joints from the base on.
      joint_bounds_rad: lowest and highest positions that an observation of the joints can hold.
      finger_joints: names of the sliding joints of the two fingers.
      finger_bodies: names of their bodies.
      finger_travel_m: largest distance of each finger from the middle; the opening is twice that.
      tool_down_joint_rad: a posture near the middle of the work area with the tool about straight
        down: starts the IK.
      work_centre_m: x and y of the middle of the area that the tool reaches pointing down.
      limits: where the commanded tool pose may go.
      ik: settings of the inverse kinematics.
      workbench: the table and the front camera that fit the arm.
    """

    robot: str
    spec: Callable[[bool], mujoco.MjSpec]
    joints: tuple[str, ...]
    joint_bounds_rad: tuple[tuple[float, ...], tuple[float, ...]]
    finger_joints: tuple[str, str]
    finger_bodies: tuple[str, str]
    finger_travel_m: float
    tool_down_joint_rad: np.ndarray
    work_centre_m: tuple[float, float]
    limits: CartesianLimits
    ik: IkSettings
    workbench: Workbench

    def kinematics(self) -> ArmKinematics:
        """Kinematics of the arm alone, in the frame of its base."""
        return ArmKinematics(
            self._kinematics_model, TCP_SITE, len(self.joints), self.ik, self.tool_down_joint_rad
        )

    @functools.cached_property
    def _kinematics_model(self) -> mujoco.MjModel:
        return self.spec(False).compile()


@dataclasses.dataclass(frozen=True, eq=False)
class Mount:
    """An arm of a scene: what it is called and where its base stands on the table.

    Attributes:
      arm: what stands there.
      name: tells several arms apart, e.g. `left`; fields of the state and cameras then begin with
        it. Empty for an only arm.
      pos_m: of the base in the scene.
      yaw_rad: turn of the base about z.
    """

    arm: Arm
    name: str = ""
    pos_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_rad: float = 0.0

    @property
    def prefix(self) -> str:
        """What the arm's state fields and cameras begin with."""
        return f"{self.name}_" if self.name else ""

    @property
    def model_prefix(self) -> str:
        """What the arm's names in the scene's model begin with, but that of its camera."""
        return self.prefix or "arm_"  # MuJoCo wants one whenever a model is part of another

    @property
    def quat_wxyz(self) -> np.ndarray:
        """Turns the axes of the scene into those of the base."""
        return rotations.quat_of_yaw(self.yaw_rad)

    @property
    def wrist_camera(self) -> str:
        return self.prefix + WRIST_CAMERA
