"""Observation and action of tasks with arms, the same in simulation and on a robot."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import numpy as np

from ..datasets.keys import ACTION, IMAGE, IMAGE_PREFIX, STATE
from ..datasets.schema import FieldDoc
from ..hardware.arm import Mount
from .state_fields import StateField, StateLayout

BASE = "robot base: x forward, y left, z up, table at z = 0"
TOOL = "tool: x out of the gripper, y the way the fingers open"
_PI = 3.15
_MOTION_UNIT = "m, m, m, rad, rad, rad"


def proprioception(mount: Mount) -> tuple[StateField, ...]:
    """What an arm knows of itself: gripper, joints and tool."""
    arm, prefix = mount.arm, mount.prefix
    low_rad, high_rad = arm.joint_bounds_rad
    travel_m = arm.finger_travel_m
    return (
        StateField(
            prefix + "gripper_pos",
            (-0.005,),
            (travel_m + 0.005,),
            FieldDoc(f"Distance of each finger from the middle: 0 closed, {travel_m:g} open.", "m"),
        ),
        StateField(
            prefix + "joint_pos",
            low_rad,
            high_rad,
            FieldDoc(f"Positions of {arm.joints[0]} to {arm.joints[-1]}.", "rad"),
        ),
        StateField(
            prefix + "tcp_pos",
            (-1.0, -1.0, -1.0),
            (1.0, 1.0, 1.0),
            FieldDoc("Position of the point between the finger tips.", "m", base_frame(mount)),
        ),
        StateField(
            prefix + "tcp_rotvec",
            (-_PI, -_PI, -_PI),
            (_PI, _PI, _PI),
            FieldDoc(
                "Rotation vector that turns a tool pointing straight down, fingers opening along "
                "y, into the tool as it is; about z it is the yaw.",
                "rad",
                base_frame(mount),
            ),
        ),
    )


def base_frame(mount: Mount) -> str:
    """The frame of an arm's base, in words."""
    return f"{mount.name} {BASE}" if mount.name else BASE


def observation_space(
    layout: StateLayout, cameras: Sequence[str], size: tuple[int, int]
) -> gymnasium.spaces.Dict:
    """`Dict(image=Dict(<camera>), state=Dict(<field>))`; without cameras there is no `image`."""
    spaces: dict[str, gymnasium.Space] = {STATE: layout.space}
    if cameras:
        image = gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)
        spaces[IMAGE] = gymnasium.spaces.Dict([(name, image) for name in cameras])
    return gymnasium.spaces.Dict(spaces)


def action_space(num_arms: int) -> gymnasium.spaces.Box:
    """Per arm [dx, dy, dz, drx, dry, drz, gripper], each in [-1, 1]."""
    return gymnasium.spaces.Box(-1.0, 1.0, (7 * num_arms,), np.float32)


def action_doc(mounts: Sequence[Mount], step_m: float, step_rad: float) -> FieldDoc:
    """Meaning, unit, frame and scale of the action."""
    doc = (
        "Change of the commanded tool pose: translation, then a rotation vector applied about the "
        "tool centre point along the base's axes; last the gripper, absolute: +1 open, -1 closed."
    )
    if len(mounts) > 1:
        doc += f" This for each arm in turn: {', '.join(mount.name for mount in mounts)}."
    return FieldDoc(
        doc,
        ", ".join([f"{_MOTION_UNIT}, fraction of opening"] * len(mounts)),
        BASE if len(mounts) == 1 else f"of each arm its own {BASE}",
        ((step_m,) * 3 + (step_rad,) * 3 + (1.0,)) * len(mounts),
    )


def field_docs(
    layout: StateLayout,
    cameras: Sequence[str],
    mounts: Sequence[Mount],
    step_m: float,
    step_rad: float,
) -> dict[str, FieldDoc]:
    """Meaning, unit, frame and scale of each field, by its path."""
    images = {IMAGE_PREFIX + name: FieldDoc(f"RGB image of the {name} camera.") for name in cameras}
    return {ACTION: action_doc(mounts, step_m, step_rad), **images, **layout.docs}
