"""Representations of rotations, many at a time, as pure functions.

Every conversion goes through scipy's `Rotation`. What is written down here is the order of the
numbers, which is where robot datasets differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

Representation = Literal["quat_xyzw", "quat_wxyz", "euler_xyz", "rotvec", "rot6d", "matrix"]
MaybeRepresentation = Literal[Representation, "none"]
_LEAST_NORM = 1e-6


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A representation: its size, unit, what its numbers are, and the two directions."""

    size: int
    unit: str
    doc: str
    read: Callable[[np.ndarray], Rotation]
    write: Callable[[Rotation], np.ndarray]


class RotationError(ValueError):
    """Numbers that are no rotation; `row` is the first row that has such."""

    def __init__(self, row: int, message: str):
        super().__init__(message)
        self.row = row


def rotation_size(representation: str) -> int:
    """How many numbers hold one rotation."""
    return _KINDS[representation].size


def rotation_unit(representation: str) -> str:
    """`rad` or `1`."""
    return _KINDS[representation].unit


def rotation_doc(representation: str) -> str:
    """What the numbers are, in a few words."""
    return _KINDS[representation].doc


def to_rotation(values: np.ndarray, representation: str) -> Rotation:
    """The rotations that values (N, size) stand for; N at least 1.

    Lengths of quaternions and lengths and angles of the columns of `rot6d` and `matrix` need not be
    exact: quaternions are normalised, columns made orthonormal in order (Gram-Schmidt).

    Raises:
      RotationError: a row is not finite, or too short to have a direction.
    """
    values = np.asarray(values, np.float64)
    _refuse(~np.isfinite(values).all(axis=1), "is not finite")
    return _KINDS[representation].read(values)


def from_rotation(rotation: Rotation, representation: str) -> np.ndarray:
    """Values (N, size) float64 of rotations.

    Quaternions do not jump: each is taken with the sign that brings it nearer to the one before,
    the first with w at least 0. Rotation vectors have an angle of at most pi, Euler angles the
    middle one in [-pi/2, pi/2]: these do jump where a motion goes beyond.
    """
    return _KINDS[representation].write(rotation)


def without_sign_flips(quat: np.ndarray, w: int) -> np.ndarray:
    """The same rotations (N, 4) without flips of sign; `w` is the index of the real part."""
    if len(quat) == 0:
        return quat
    same = np.sum(quat[1:] * quat[:-1], axis=1) >= 0
    first = 1.0 if quat[0, w] >= 0 else -1.0
    signs = first * np.cumprod(np.concatenate([[1.0], np.where(same, 1.0, -1.0)]))
    return quat * signs[:, None]


def _refuse(wrong: np.ndarray, message: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        raise RotationError(int(rows[0]), message)


def _read_quat(values: np.ndarray) -> Rotation:
    from scipy.spatial.transform import Rotation

    _refuse(np.linalg.norm(values, axis=1) < _LEAST_NORM, "a quaternion of length 0 is no rotation")
    return Rotation.from_quat(values)


def _write_quat(rotation: Rotation) -> np.ndarray:
    return without_sign_flips(rotation.as_quat(), w=3)


def _read_euler(values: np.ndarray) -> Rotation:
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", values)


def _write_euler(rotation: Rotation) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        # At a middle angle of pi/2 one of the others is free; scipy takes 0 and says so.
        warnings.simplefilter("ignore", UserWarning)
        return rotation.as_euler("xyz")


def _read_rotvec(values: np.ndarray) -> Rotation:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(values)


def _read_columns(values: np.ndarray) -> Rotation:
    """Of two columns (N, 6), by Gram-Schmidt: Zhou et al. 2019, section B of the appendix."""
    from scipy.spatial.transform import Rotation

    first, second = values[:, :3], values[:, 3:]
    length = np.linalg.norm(first, axis=1, keepdims=True)
    _refuse(length[:, 0] < _LEAST_NORM, "the first column has length 0")
    x = first / length
    rest = second - np.sum(x * second, axis=1, keepdims=True) * x
    length = np.linalg.norm(rest, axis=1, keepdims=True)
    _refuse(length[:, 0] < _LEAST_NORM, "the two columns have the same direction")
    y = rest / length
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=2))


def _write_columns(rotation: Rotation) -> np.ndarray:
    return rotation.as_matrix()[:, :, :2].transpose(0, 2, 1).reshape(-1, 6)


def _read_matrix(values: np.ndarray) -> Rotation:
    matrix = values.reshape(-1, 3, 3)
    _refuse(np.linalg.det(matrix) <= 0, "a matrix of determinant 0 or below is no rotation")
    return _read_columns(matrix[:, :, :2].transpose(0, 2, 1).reshape(-1, 6))


_KINDS: dict[str, _Kind] = {
    "quat_xyzw": _Kind(4, "1", "unit quaternion x, y, z, w", _read_quat, _write_quat),
    "quat_wxyz": _Kind(
        4,
        "1",
        "unit quaternion w, x, y, z",
        lambda values: _read_quat(values[:, [1, 2, 3, 0]]),
        lambda rotation: _write_quat(rotation)[:, [3, 0, 1, 2]],
    ),
    "euler_xyz": _Kind(
        3,
        "rad",
        "roll, pitch, yaw about the fixed axes x, y, z in this order",
        _read_euler,
        _write_euler,
    ),
    "rotvec": _Kind(
        3,
        "rad",
        "rotation vector: axis times angle",
        _read_rotvec,
        lambda rotation: rotation.as_rotvec(),
    ),
    "rot6d": _Kind(
        6,
        "1",
        "first column of the rotation matrix, then the second (Zhou et al. 2019)",
        _read_columns,
        _write_columns,
    ),
    "matrix": _Kind(
        9,
        "1",
        "rotation matrix, row by row",
        _read_matrix,
        lambda rotation: rotation.as_matrix().reshape(-1, 9),
    ),
}
