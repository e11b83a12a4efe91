"""Forward and inverse kinematics of an arm, apart from any simulation.

The same code turns Cartesian targets into joint targets in simulation and on a robot.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .headless import mujoco

_PROJECTION_DAMPING = 0.0005
"""Small, since what the projection leaves of the posture's pull moves the tool."""


@dataclasses.dataclass(frozen=True)
class IkSettings:
    """Settings of the damped-least-squares iteration.

    Attributes:
      damping: lambda of Wampler (1986); larger is calmer near singular postures, and slower.
      rotation_weight_m: metres of position error that weigh as much as one radian.
      max_joint_step_rad: largest change of a joint in one iteration.
      posture_gain: part of the way to the posture that one iteration makes up with the motions
        that leave the tool where it is; 0 for an arm that has none.
    """

    damping: float = 0.02
    rotation_weight_m: float = 0.05
    max_joint_step_rad: float = 0.2
    posture_gain: float = 0.0


class ArmKinematics:
    """Pose of the tool from joint positions and back, by differential inverse kinematics.

    Each iteration of `solve` is one damped-least-squares step (Wampler, "Manipulator inverse
    kinematic solutions based on vector formulations and damped least-squares methods", 1986) inside
    the joint limits. An arm of more than six joints is kept near a posture besides, in the null
    space of the Jacobian (Liegeois, "Automatic supervisory control of the configuration and
    behavior of multibody mechanisms", 1977): where it stops depends on where the tool is, not on
    the way there.

    Poses are those of a site of the model: position in metres and unit quaternion (w, x, y, z),
    both in the frame of the model's root, which is the robot base.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        site: str,
        num_joints: int,
        settings: IkSettings,
        posture_rad: np.ndarray,
    ) -> None:
        """Uses the first `num_joints` joints of `model`, which must all be hinges.

        `posture_rad` (num_joints,) is where a redundant arm likes to be.
        """
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = model.site(site).id
        self._n = num_joints
        self._settings = settings
        self._posture_rad = posture_rad
        self.lower_rad, self.upper_rad = model.jnt_range[:num_joints].T.copy()
        self._jacobian = np.zeros((6, model.nv))
        self._gram = np.zeros((6, 6))
        self._error = np.zeros(6)
        self._dual = np.zeros(6)
        self._quat = np.zeros(4)
        self._conjugate = np.zeros(4)

    def forward(self, joint_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tool position (3,) in m and quaternion (4,) w, x, y, z for joint positions (n,)."""
        self._data.qpos[: self._n] = joint_rad
        mujoco.mj_kinematics(self._model, self._data)
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self._data.site_xmat[self._site])
        return self._data.site_xpos[self._site].copy(), quat

    def links(self, joint_rad: np.ndarray) -> np.ndarray:
        """Where the axes of the joints and the tool are: (n + 1, 3) points in m."""
        self._data.qpos[: self._n] = joint_rad
        mujoco.mj_kinematics(self._model, self._data)
        points = np.empty((self._n + 1, 3))
        points[:-1] = self._data.xanchor[: self._n]
        points[-1] = self._data.site_xpos[self._site]
        return points

    def solve(
        self, start_rad: np.ndarray, pos_m: np.ndarray, quat_wxyz: np.ndarray, iterations: int
    ) -> np.ndarray:
        """Joint positions (n,) that bring the tool from near `start_rad` towards a pose.

        The result respects the joint limits. Out of reach, it is a compromise between position
        and rotation; compare `forward` of the result with the pose to learn how near it came.
        """
        joint_rad = np.array(start_rad, dtype=np.float64)
        for _ in range(iterations):
            joint_rad += self._step(joint_rad, pos_m, quat_wxyz)
            np.maximum(joint_rad, self.lower_rad, out=joint_rad)
            np.minimum(joint_rad, self.upper_rad, out=joint_rad)
        return joint_rad

    def _step(self, joint_rad: np.ndarray, pos_m: np.ndarray, quat_wxyz: np.ndarray) -> np.ndarray:
        self._linearise(joint_rad, pos_m, quat_wxyz)
        jacobian, error = self._jacobian[:, : self._n], self._error
        step = self._damped_least_squares(jacobian, error, self._settings.damping)
        if self._settings.posture_gain > 0.0:
            step += self._null_space_step(jacobian, joint_rad)
        step_to_lower, step_to_upper = self.lower_rad - joint_rad, self.upper_rad - joint_rad
        clipped = np.minimum(np.maximum(step, step_to_lower), step_to_upper)
        blocked = clipped != step
        if blocked.any():
            # Joints that meet their limit go just there, and the free ones do what remains.
            error -= jacobian[:, blocked] @ clipped[blocked]
            jacobian[:, blocked] = 0.0
            step = self._damped_least_squares(jacobian, error, self._settings.damping)
            step[blocked] = clipped[blocked]
        limit = self._settings.max_joint_step_rad
        return step * (limit / max(limit, np.abs(step).max()))

    def _null_space_step(self, jacobian: np.ndarray, joint_rad: np.ndarray) -> np.ndarray:
        """Towards the posture without moving the tool: (I - J^+ J) z with z = gain * (q_p - q)."""
        wish = self._settings.posture_gain * (self._posture_rad - joint_rad)
        seen = jacobian @ wish
        return wish - self._damped_least_squares(jacobian, seen, _PROJECTION_DAMPING)

    def _linearise(self, joint_rad: np.ndarray, pos_m: np.ndarray, quat_wxyz: np.ndarray) -> None:
        """Fills in the Jacobian and the error of the tool pose, rotation weighted as metres."""
        model, data, error = self._model, self._data, self._error
        data.qpos[: self._n] = joint_rad
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        error[:3] = pos_m - data.site_xpos[self._site]
        mujoco.mju_mat2Quat(self._quat, data.site_xmat[self._site])
        mujoco.mju_negQuat(self._conjugate, self._quat)
        mujoco.mju_mulQuat(self._quat, quat_wxyz, self._conjugate)
        mujoco.mju_quat2Vel(error[3:], self._quat, 1.0)
        self._jacobian[3:] *= self._settings.rotation_weight_m
        error[3:] *= self._settings.rotation_weight_m

    def _damped_least_squares(
        self, jacobian: np.ndarray, error: np.ndarray, damping: float
    ) -> np.ndarray:
        np.matmul(jacobian, jacobian.T, out=self._gram)
        self._gram.ravel()[::7] += damping**2
        mujoco.mju_cholFactor(self._gram, 0.0)
        mujoco.mju_cholSolve(self._dual, self._gram, error)
        return jacobian.T @ self._dual
