"""How scripted experts grasp a cube: straight down and square to it, from above."""

from __future__ import annotations

import numpy as np

from .expert import CLOSED, OPEN
from .sim_arm import Tool

_TIP_BELOW_CENTRE_M = 0.006
_ALIGNED_M = 0.012
_ALIGNED_RAD = 0.2
_AT_DEPTH_M = 0.008
_DESCENT_SLOPE = 1.5
_CLEAR_M = 0.05
_WIDE_OPEN_M = 0.032


def grasp_cube(
    tool: Tool, cube_pos_m: np.ndarray, turn_to_cube_rad: float, opening: float = OPEN
) -> tuple[np.ndarray, float]:
    """Where a tool should go (3,) in m to grasp a cube, and the gripper's action.

    Args:
      tool: where it is.
      cube_pos_m: (3,) of the cube's centre.
      turn_to_cube_rad: turn about z that squares the fingers with the cube.
      opening: the gripper's action on the way.
    """
    tcp, cube = tool.pos_m, cube_pos_m
    distance = float(np.hypot(*(cube - tcp)[:2]))
    depth = cube[2] - _TIP_BELOW_CENTRE_M
    aligned = distance < _ALIGNED_M and abs(turn_to_cube_rad) < _ALIGNED_RAD
    if aligned and tcp[2] < depth + _AT_DEPTH_M:
        return np.array([cube[0], cube[1], depth]), CLOSED
    if tool.gripper_m < _WIDE_OPEN_M:
        height = _CLEAR_M  # closed fingers would push the cube away
    elif abs(turn_to_cube_rad) < 2 * _ALIGNED_RAD:
        height = _DESCENT_SLOPE * max(0.0, distance - _ALIGNED_M)
    else:
        height = _CLEAR_M
    return np.array([cube[0], cube[1], depth + height]), opening
