"""Rotations as unit quaternions (w, x, y, z) and rotation vectors (axis times angle, radians)."""

from __future__ import annotations

import math

import numpy as np

from .headless import mujoco


def quat_of_rotvec(rotvec_rad: np.ndarray) -> np.ndarray:
    """Quaternion (4,) of a rotation vector (3,)."""
    quat = np.array([1.0, 0.0, 0.0, 0.0])
    mujoco.mju_quatIntegrate(quat, np.asarray(rotvec_rad, dtype=np.float64), 1.0)
    return quat


def rotvec_of_quat(quat_wxyz: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) of a quaternion (4,), of angle at most pi."""
    rotvec = np.zeros(3)
    mujoco.mju_quat2Vel(rotvec, quat_wxyz, 1.0)
    return rotvec


def multiply(left_wxyz: np.ndarray, right_wxyz: np.ndarray) -> np.ndarray:
    """The rotation `right` followed by the rotation `left`, as a quaternion (4,)."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, left_wxyz, right_wxyz)
    return product


def conjugate(quat_wxyz: np.ndarray) -> np.ndarray:
    """The inverse rotation, as a quaternion (4,)."""
    inverse = np.zeros(4)
    mujoco.mju_negQuat(inverse, quat_wxyz)
    return inverse


def rotate(quat_wxyz: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A vector (3,) turned by a rotation."""
    turned = np.zeros(3)
    mujoco.mju_rotVecQuat(turned, vector, quat_wxyz)
    return turned


def quat_of_yaw(yaw_rad: float) -> np.ndarray:
    """Quaternion (4,) of a turn about z."""
    return np.array([math.cos(yaw_rad / 2), 0.0, 0.0, math.sin(yaw_rad / 2)])


def yaw_of_quat(quat_wxyz: np.ndarray) -> float:
    """Turn about z in the yaw-pitch-roll (z, y', x'') angles of a quaternion, in (-pi, pi]."""
    w, x, y, z = quat_wxyz
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def quarter_turn_error(from_rad: float, to_rad: float) -> float:
    """Smallest turn that brings `from_rad` to `to_rad` for a shape that looks the same each 90 deg.

    In [-pi/4, pi/4].
    """
    quarter = math.pi / 2
    return (to_rad - from_rad + quarter / 2) % quarter - quarter / 2


def look_at_quat(
    eye_m: tuple[float, ...], target_m: tuple[float, ...], up: tuple[float, ...] = (0.0, 0.0, 1.0)
) -> np.ndarray:
    """Quaternion (w, x, y, z) of a camera at `eye_m` that looks at `target_m`, `up` upward."""
    backward = np.subtract(eye_m, target_m)
    backward = backward / np.linalg.norm(backward)
    right = np.cross(up, backward)
    right = right / np.linalg.norm(right)
    axes = np.stack([right, np.cross(backward, right), backward], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    return quat
