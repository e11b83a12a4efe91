"""Cartesian control of an arm: from actions in [-1, 1] to joint targets.

The same code drives the arm in simulation and on a robot.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from . import rotations
from .kinematics import ArmKinematics


@dataclasses.dataclass(frozen=True)
class CartesianLimits:
    """Where the commanded tool pose may go. Positions and rotations in the robot base frame.

    Attributes:
      lower_m: corner of the workspace box, x, y, z.
      upper_m: the opposite corner.
      max_tilt_rad: largest component of the turn away from the nominal orientation about x and y.
      max_yaw_rad: the same about z.
      max_lead_m: how far the command may run ahead of the measured position, per axis.
      max_lead_rad: the same for the rotation.
    """

    lower_m: tuple[float, float, float]
    upper_m: tuple[float, float, float]
    max_tilt_rad: float = 0.3
    max_yaw_rad: float = 1.2
    max_lead_m: float = 0.04
    max_lead_rad: float = 0.25


def pose_of(pos_m: np.ndarray, quat_wxyz: np.ndarray, nominal_quat_wxyz: np.ndarray) -> np.ndarray:
    """Position and rotation vector from the nominal orientation, (6,), m and rad."""
    turn = rotations.multiply(quat_wxyz, rotations.conjugate(nominal_quat_wxyz))
    return np.concatenate([pos_m, rotations.rotvec_of_quat(turn)])


def carried(pose: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The pose (6,) that `pose` becomes by the motion that brings `before` to `now`.

    It moves and turns as far, along the same axes and each about its own point: where two tools
    are when it begins does not matter.
    """
    turn = rotations.multiply(
        rotations.quat_of_rotvec(now[3:]), rotations.conjugate(rotations.quat_of_rotvec(before[3:]))
    )
    turned = rotations.multiply(turn, rotations.quat_of_rotvec(pose[3:]))
    return np.concatenate([pose[:3] + now[:3] - before[:3], rotations.rotvec_of_quat(turned)])


class CartesianController:
    """Holds the commanded tool pose and moves it by the deltas of the actions.

    The command is kept inside the limits and near the measured pose, so an arm that is blocked is
    never commanded far away from where it is. Orientation is held as a rotation vector in the base
    frame that turns the nominal orientation into the commanded one.
    """

    def __init__(
        self,
        kinematics: ArmKinematics,
        nominal_quat_wxyz: np.ndarray,
        limits: CartesianLimits,
        step_m: float,
        step_rad: float,
        iterations: int = 2,
    ) -> None:
        """`step_m` and `step_rad` are the translation and rotation of an action of 1."""
        self._kinematics = kinematics
        self._nominal = nominal_quat_wxyz
        self._limits = limits
        self._iterations = iterations
        self._scale = np.array([step_m] * 3 + [step_rad] * 3)
        turn = (limits.max_tilt_rad, limits.max_tilt_rad, limits.max_yaw_rad)
        self._lower = np.array((*limits.lower_m, *(-value for value in turn)))
        self._upper = np.array((*limits.upper_m, *turn))
        self._lead = np.array([limits.max_lead_m] * 3 + [limits.max_lead_rad] * 3)
        self._target = np.zeros(6)
        self._joint_rad = np.zeros(len(kinematics.lower_rad))

    def reset(self, joint_rad: np.ndarray) -> None:
        """Commands the pose of the joint positions `joint_rad`, where the arm is now."""
        self._joint_rad[:] = joint_rad
        self._target[:] = self.pose_of(*self._kinematics.forward(joint_rad))

    def pose_of(self, pos_m: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
        """Position and rotation vector from the nominal orientation, (6,), m and rad."""
        return pose_of(pos_m, quat_wxyz, self._nominal)

    @property
    def commanded(self) -> np.ndarray:
        """The commanded pose (6,), as `pose_of` gives it: where the next action starts from."""
        return self._target.copy()

    def delta_to(self, pose: np.ndarray) -> np.ndarray:
        """The delta (6,) in [-1, 1] that takes the command to a pose, or as near as it may go."""
        wanted = np.clip(pose, self._lower, self._upper)
        turn = rotations.multiply(
            rotations.quat_of_rotvec(wanted[3:]),
            rotations.conjugate(rotations.quat_of_rotvec(self._target[3:])),
        )
        way = np.concatenate([wanted[:3] - self._target[:3], rotations.rotvec_of_quat(turn)])
        return np.clip(way / self._scale, -1.0, 1.0)

    def joint_targets(self, delta: np.ndarray, measured_pose: np.ndarray) -> np.ndarray:
        """Joint positions (n,) in rad to command for an action.

        Args:
          delta: (6,) in [-1, 1]: translation and rotation vector, both in the base frame.
          measured_pose: (6,), as `pose_of` gives it.
        """
        scaled = delta * self._scale
        target = self._target
        target[:3] += scaled[:3]
        turn = rotations.quat_of_rotvec(target[3:])
        turn = rotations.multiply(rotations.quat_of_rotvec(scaled[3:]), turn)
        target[3:] = rotations.rotvec_of_quat(turn)
        np.clip(target, measured_pose - self._lead, measured_pose + self._lead, out=target)
        np.clip(target, self._lower, self._upper, out=target)

        quat = rotations.multiply(rotations.quat_of_rotvec(target[3:]), self._nominal)
        self._joint_rad = self._kinematics.solve(
            self._joint_rad, target[:3], quat, self._iterations
        )
        return self._joint_rad
