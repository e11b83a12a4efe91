"""Actions as Open X-Embodiment datasets hold them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..datasets.errors import SchemaError
from ..datasets.schema import Field

_UNITS = ["m"] * 3 + ["rad"] * 3


def check_convertible(action: Field) -> None:
    """Checks that an action field is a scaled tool displacement with a gripper.

    Raises:
      SchemaError: saying what is needed and what was found.
    """
    units = [unit.strip() for unit in action.about.unit.split(",")][:6]
    if action.shape != (7,) or len(action.about.scale) != 7 or units != _UNITS:
        raise SchemaError(
            f"field {action.path}: the export needs float32 (7,) = 3 translations in m, a rotation "
            f"vector in rad and a gripper command, with the physical value of 1.0 in each "
            f"dimension as scale; found {action.describe()}, units {action.about.unit!r}, scale "
            f"{action.about.scale}"
        )


def end_effector_deltas(action: np.ndarray, scale: tuple[float, ...]) -> np.ndarray:
    """[dx, dy, dz, droll, dpitch, dyaw, gripper] of normalised actions.

    Args:
      action: (N, 7) in [-1, 1]: translation, rotation vector, both along the base's axes, and
        gripper, +1 open, -1 closed.
      scale: (7,) physical value of 1.0: m, m, m, rad, rad, rad, and the gripper's, not used.

    Returns:
      (N, 7) float32: m, m, m, rad, rad, rad, and gripper 1 open, 0 closed. Roll, pitch and yaw are
      about the fixed axes x, y, z in this order: R = Rz(yaw) Ry(pitch) Rx(roll).
    """
    physical = action[:, :6].astype(np.float64) * np.array(scale[:6])
    rpy = Rotation.from_rotvec(physical[:, 3:]).as_euler("xyz")
    gripper = np.clip((action[:, 6:].astype(np.float64) + 1) / 2, 0, 1)
    return np.concatenate([physical[:, :3], rpy, gripper], axis=1).astype(np.float32)


def rt1_dictionary(deltas: np.ndarray, terminal: bool) -> dict[str, np.ndarray]:
    """The action dictionary of RT-1 from what `end_effector_deltas` returns.

    Source: Brohan et al. 2022, "RT-1", and the features of the dataset `fractal20220817_data`.

    Args:
      deltas: (N, 7).
      terminal: whether the last action ended the episode.

    Returns:
      `world_vector` (N, 3) m, `rotation_delta` (N, 3) rad, `gripper_closedness_action` (N, 1) -1
      open, +1 closed, `terminate_episode` (N, 3) int32 one-hot [terminate, arm, base],
      `base_displacement_vector` (N, 2) and `base_displacement_vertical_rotation` (N, 1), zero.
    """
    count = len(deltas)
    mode = np.tile(np.array([0, 1, 0], np.int32), (count, 1))
    if terminal:
        mode[-1] = (1, 0, 0)
    return {
        "world_vector": deltas[:, :3],
        "rotation_delta": deltas[:, 3:6],
        "gripper_closedness_action": 1 - 2 * deltas[:, 6:],
        "terminate_episode": mode,
        "base_displacement_vector": np.zeros((count, 2), np.float32),
        "base_displacement_vertical_rotation": np.zeros((count, 1), np.float32),
    }
