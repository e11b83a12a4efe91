"""Observation and action of the cube task, the same in simulation and on a robot."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import numpy as np

from ..datasets.keys import ACTION, IMAGE, IMAGE_PREFIX, STATE
from ..datasets.schema import FieldDoc
from .state_fields import StateField, StateLayout
from .widowx import FINGER_TRAVEL_M

BASE = "robot base: x forward, y left, z up, table at z = 0"
TOOL = "tool: x out of the gripper, y the way the fingers open"
_PI = 3.15

PROPRIOCEPTION = (
    StateField(
        "gripper_pos",
        (-0.005,),
        (FINGER_TRAVEL_M + 0.005,),
        FieldDoc("Distance of each finger from the middle: 0 closed, 0.044 open.", "m"),
    ),
    StateField(
        "joint_pos",
        (-_PI, -0.1, -0.1, -1.7, -1.7, -_PI - 0.1),
        (_PI, 3.25, 2.5, 1.7, 1.7, _PI + 0.1),
        FieldDoc("Positions of joint_0 to joint_5.", "rad"),
    ),
    StateField(
        "tcp_pos",
        (-1.0, -1.0, -1.0),
        (1.0, 1.0, 1.0),
        FieldDoc("Position of the point between the finger tips.", "m", BASE),
    ),
    StateField(
        "tcp_rotvec",
        (-_PI, -_PI, -_PI),
        (_PI, _PI, _PI),
        FieldDoc(
            "Rotation vector that turns a tool pointing straight down, fingers opening along y, "
            "into the tool as it is; about z it is the yaw.",
            "rad",
            BASE,
        ),
    ),
)
OBJECT_STATE = (
    StateField(
        "cube_in_tool",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the cube's centre from the point between the tips.", "m", TOOL),
    ),
    StateField(
        "cube_pos",
        (-2.0, -2.0, -2.0),
        (2.0, 2.0, 2.0),
        FieldDoc("Position of the cube's centre.", "m", BASE),
    ),
    StateField(
        "cube_turn",
        (-1.0, -1.0),
        (1.0, 1.0),
        FieldDoc(
            "Cosine and sine of four times the cube's yaw from the tool's: the same for the four "
            "yaws at which a cube looks the same.",
            "1",
            TOOL,
        ),
    ),
)


def state_layout(object_state: bool) -> StateLayout:
    """The state fields, with those of the cube if `object_state`."""
    return StateLayout((*PROPRIOCEPTION, *(OBJECT_STATE if object_state else ())))


def observation_space(
    layout: StateLayout, cameras: Sequence[str], size: tuple[int, int]
) -> gymnasium.spaces.Dict:
    """`Dict(image=Dict(<camera>), state=Dict(<field>))`; without cameras there is no `image`."""
    spaces: dict[str, gymnasium.Space] = {STATE: layout.space}
    if cameras:
        image = gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)
        spaces[IMAGE] = gymnasium.spaces.Dict([(name, image) for name in cameras])
    return gymnasium.spaces.Dict(spaces)


def action_space() -> gymnasium.spaces.Box:
    """[dx, dy, dz, drx, dry, drz, gripper], each in [-1, 1]."""
    return gymnasium.spaces.Box(-1.0, 1.0, (7,), np.float32)


def field_docs(
    layout: StateLayout, cameras: Sequence[str], step_m: float, step_rad: float
) -> dict[str, FieldDoc]:
    """Meaning, unit, frame and scale of each field, by its path."""
    action = FieldDoc(
        "Change of the commanded tool pose: translation, then a rotation vector applied about the "
        "tool centre point along the base's axes; last the gripper, absolute: +1 open, -1 closed.",
        "m, m, m, rad, rad, rad, fraction of opening",
        BASE,
        (step_m,) * 3 + (step_rad,) * 3 + (1.0,),
    )
    images = {IMAGE_PREFIX + name: FieldDoc(f"RGB image of the {name} camera.") for name in cameras}
    return {ACTION: action, **images, **layout.docs}
