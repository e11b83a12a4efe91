"""An arm inside a simulated scene: commanded by actions, read by observations and experts."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..hardware import rotations
from ..hardware.arm import TCP_SITE, TOOL_DOWN_QUAT_WXYZ, Mount
from ..hardware.cartesian import CartesianController
from ..hardware.headless import mujoco


class Tool(NamedTuple):
    """Where a tool is, in the scene's frame."""

    pos_m: np.ndarray
    """The point between the finger tips."""
    quat_wxyz: np.ndarray
    yaw_rad: float
    """Turn about z of the way the fingers open from the scene's y."""
    gripper_m: float
    """Distance of each finger from the middle."""


class SimArm:
    """One mounted arm of a simulation. It keeps views into the simulator's arrays.

    Attributes:
      mount: which arm, and where it stands.
      pose: (6,) of the tool in the arm's base frame as `CartesianController.pose_of` gives it, as
        of the last `measure`.
      tcp_pos_m: (3,) of the tool in the scene, a view.
      joint_rad: (n,) positions of the joints, a view.
      finger_m: (2,) distances of the fingers from the middle, a view.
    """

    def __init__(
        self,
        mount: Mount,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        first_actuator: int,
        step_m: float,
        step_rad: float,
    ) -> None:
        """`step_m` and `step_rad` are the translation and rotation of an action of 1."""
        arm = mount.arm
        self.mount = mount
        self._model, self._data = model, data
        self._kinematics = arm.kinematics()
        self._controller = CartesianController(
            self._kinematics, TOOL_DOWN_QUAT_WXYZ, arm.limits, step_m, step_rad
        )
        joints = [model.joint(mount.model_prefix + name).qposadr[0] for name in arm.joints]
        fingers = [model.joint(mount.model_prefix + name).qposadr[0] for name in arm.finger_joints]
        self.joint_rad = data.qpos[joints[0] : joints[-1] + 1]
        self.finger_m = data.qpos[min(fingers) : max(fingers) + 1]
        self._joint_ctrl = data.ctrl[first_actuator : first_actuator + len(joints)]
        self._gripper_ctrl = data.ctrl[first_actuator + len(joints) :][:1]
        self._finger_bodies = [
            model.body(mount.model_prefix + name).id for name in arm.finger_bodies
        ]
        site = data.site(mount.model_prefix + TCP_SITE)
        self.tcp_pos_m, self._tcp_mat = site.xpos, site.xmat
        self._tcp_quat = np.zeros(4)
        self.pose = np.zeros(6)
        self._tcp_in_base = (np.zeros(3), np.zeros(4))
        self._base_from_scene = (np.zeros(3), np.zeros(4))
        mujoco.mju_negPose(*self._base_from_scene, np.array(mount.pos_m), mount.quat_wxyz)

    def place(self, tcp_m: np.ndarray, finger_m: float) -> None:
        """Puts the arm, at rest, where the tool points down at `tcp_m` in its base frame.

        Args:
          tcp_m: (3,).
          finger_m: distance of each finger from the middle.
        """
        start = self.mount.arm.tool_down_joint_rad
        self.joint_rad[:] = self._kinematics.solve(start, tcp_m, TOOL_DOWN_QUAT_WXYZ, iterations=20)
        self._joint_ctrl[:] = self.joint_rad
        self.finger_m[:] = self._gripper_ctrl[:] = finger_m

    def start(self) -> None:
        """Commands the pose where the arm is now: what the next actions start from."""
        self._controller.reset(self.joint_rad)

    @property
    def commanded_pose(self) -> np.ndarray:
        """The commanded pose of the tool (6,), as `pose`: where the next action starts from."""
        return self._controller.commanded

    def motion_to(self, pose: np.ndarray) -> np.ndarray:
        """The motion (6,) in [-1, 1] that takes the command to a pose, or as near as it may go."""
        return self._controller.delta_to(pose)

    def command(self, motion: np.ndarray) -> None:
        """Moves the commanded tool pose by a motion (6,) in [-1, 1]."""
        self._joint_ctrl[:] = self._controller.joint_targets(motion, self.pose)

    def command_gripper(self, opening: float) -> None:
        """Commands the gripper: +1 open, -1 closed."""
        self._gripper_ctrl[0] = self.mount.arm.finger_travel_m * 0.5 * (opening + 1.0)

    def measure(self) -> None:
        """Takes over where the simulator has the tool."""
        mujoco.mju_mat2Quat(self._tcp_quat, self._tcp_mat)
        in_base = self._tcp_in_base
        mujoco.mju_mulPose(*in_base, *self._base_from_scene, self.tcp_pos_m, self._tcp_quat)
        self.pose = self._controller.pose_of(*in_base)

    def proprioception(self, flat: np.ndarray) -> None:
        """Writes the fields of `spaces.proprioception` into `flat`, side by side."""
        flat[0] = self.finger_m[0]
        flat[1:-6] = self.joint_rad
        flat[-6:] = self.pose

    def tool(self) -> Tool:
        """Where the tool is: the simulator's truth."""
        return Tool(
            self.tcp_pos_m.copy(), self._tcp_quat.copy(), self.yaw_rad(), float(self.finger_m[0])
        )

    def yaw_rad(self) -> float:
        """Turn about z of the way the fingers open from the scene's y."""
        return math.atan2(-self._tcp_mat[1], self._tcp_mat[4])

    def in_tool(self, pos_m: np.ndarray) -> np.ndarray:
        """A point of the scene (3,) as seen from the tool, along its axes."""
        return (pos_m - self.tcp_pos_m) @ self._tcp_mat.reshape(3, 3)

    def to_base(self, vector: np.ndarray) -> np.ndarray:
        """A direction of the scene (3,) along the axes of the arm's base."""
        return rotations.rotate(self._base_from_scene[1], vector)

    def holds(self, geom: int) -> bool:
        """Whether both fingers touch a geom."""
        contacts = self._data.contact.geom
        touching = contacts[(contacts == geom).any(axis=1)]
        bodies = self._model.geom_bodyid[touching].ravel()
        return all(finger in bodies for finger in self._finger_bodies)
