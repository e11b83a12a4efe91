"""Actions as Open X-Embodiment datasets hold them."""

from __future__ import annotations

import re

import numpy as np
from scipy.spatial.transform import Rotation

from ...datasets.errors import SchemaError
from ...datasets.schema import Field
from ..findings import ERROR, BadEpisodeError, Finding
from .options import RtxOptions

_UNITS = ["m"] * 3 + ["rad"] * 3
_SAYS_DELTA = ("displacement", "change", "delta", "relative")
_SAYS_GRIPPER = re.compile(r"([+-]?\d+(?:\.\d+)?) open, ([+-]?\d+(?:\.\d+)?) closed")
# At 5 Hz this is 0.75 m/s as a median; a pose to reach is further from the base than that.
_MOST_MEDIAN_M = 0.15


def check_convertible(action: Field, options: RtxOptions) -> None:
    """Checks that an action field is a tool displacement with a gripper, and says so.

    Raises:
      SchemaError: saying what is needed, what was found and which transform leads there.
    """
    units = [unit.strip() for unit in action.about.unit.split(",")][:6]
    scale = action.about.scale
    if action.shape != (7,) or len(scale) not in (0, 7) or units != _UNITS:
        raise SchemaError(
            f"field {action.path}: the export needs 7 dimensions: displacement of the tool in m, "
            f"m, m, rad, rad, rad, and a gripper command, with the physical value of 1.0 as scale "
            f"where it is normalised; found {action.describe()}, units {action.about.unit!r}, "
            f"scale {scale}. {_REMEDY}"
        )
    if not scale and not any(word in action.about.doc.lower() for word in _SAYS_DELTA):
        raise SchemaError(
            f"field {action.path}: the export needs displacements of the tool, and this action, "
            f"{action.about.doc!r}, has neither a scale nor the word displacement in its "
            f"documentation. {_REMEDY}"
        )
    gripper_commands(action, options)


_REMEDY = (
    "Poses to reach become displacements with `serlds convert --apply to_delta_actions`, rotations "
    "with six numbers or quaternions rotation vectors with `convert_rotation`; units and scale are "
    "given when data is imported (--action-scale). Joint and two-armed actions are exported as "
    "they are with --actions as_is"
)


def end_effector_deltas(action: np.ndarray, field: Field, options: RtxOptions) -> np.ndarray:
    """[dx, dy, dz, droll, dpitch, dyaw, gripper] of recorded actions.

    Args:
      action: (N, 7): translation, rotation, both along the base's axes, and gripper.
      field: what they mean; its scale (7,) is the physical value of 1.0: m, m, m, rad, rad, rad,
        and the gripper's, not used.
      options: how the rotation is represented and which gripper commands open and close.

    Returns:
      (N, 7) float32: m, m, m, rad, rad, rad, and gripper 1 open, 0 closed. Roll, pitch and yaw are
      about the fixed axes x, y, z in this order: R = Rz(yaw) Ry(pitch) Rx(roll).

    Raises:
      BadEpisodeError: the translations are too large to be displacements.
    """
    physical = action[:, :6].astype(np.float64)
    if field.about.scale:
        physical *= np.array(field.about.scale[:6])
    median = float(np.median(np.linalg.norm(physical[:, :3], axis=1)))
    if median > _MOST_MEDIAN_M:
        message = (
            "half of the displacements are larger than an arm moves in a step; are they poses?"
        )
        expected = f"a median of at most {_MOST_MEDIAN_M} m"
        raise BadEpisodeError(
            Finding("rtx", ERROR, message, None, field.path, expected, f"{median:.3g} m")
        )
    if not is_euler(field, options):
        physical[:, 3:] = Rotation.from_rotvec(physical[:, 3:]).as_euler("xyz")
    opens, closes = gripper_commands(field, options)
    gripper = np.clip((action[:, 6:].astype(np.float64) - closes) / (opens - closes), 0, 1)
    return np.concatenate([physical, gripper], axis=1).astype(np.float32)


def gripper_commands(field: Field, options: RtxOptions) -> tuple[float, float]:
    """The source's gripper commands that open and close.

    Raises:
      SchemaError: neither the options nor the field's documentation say.
    """
    if options.gripper_open is not None and options.gripper_closed is not None:
        return options.gripper_open, options.gripper_closed
    found = _SAYS_GRIPPER.search(field.about.doc)
    if not found:
        raise SchemaError(
            f"field {field.path}: its documentation, {field.about.doc!r}, does not say which "
            f"gripper commands open and close, as in '+1 open, -1 closed'; state them with "
            f"--gripper-open and --gripper-closed"
        )
    return float(found[1]), float(found[2])


def is_euler(field: Field, options: RtxOptions) -> bool:
    """Whether the rotation of the source's action is roll, pitch, yaw."""
    if options.rotation != "documented":
        return options.rotation == "euler_xyz"
    doc = field.about.doc.lower()
    return "euler" in doc or "roll" in doc


def physical_action(action: np.ndarray, field: Field) -> np.ndarray:
    """Recorded actions (N, D) in physical units: float32."""
    scale = np.array(field.about.scale) if field.about.scale else 1.0
    return (action.astype(np.float64) * scale).astype(np.float32)


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
