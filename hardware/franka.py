"""The Franka Research 3 arm with the Franka Hand, built from the numbers Franka Robotics publishes.

Sources: for kinematics and limits the specification of the control interface
(https://frankarobotics.github.io/docs/robot_specifications.html), for masses, inertias and the
fingers' collision boxes `franka_description` (https://github.com/frankarobotics/franka_description,
Apache-2.0), for the motors' inertia at the joints the figures that Franka Robotics gave to Drake
(https://github.com/RobotLocomotion/drake, manipulation/models/franka_description/README.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import franka_shapes as shapes
from . import rotations
from .arm import TCP_SITE, WRIST_CAMERA, Arm, Workbench
from .cartesian import CartesianLimits
from .headless import mujoco
from .kinematics import IkSettings


class Link(NamedTuple):
    """A joint and the link that it moves; frames after Denavit and Hartenberg as modified by Craig.

    `a_m`, `d_m` and `alpha_rad` lead from the frame of the link before; `centre_m` and `inertia`
    (xx, yy, zz, xy, xz, yz in kg m^2, about the centre of mass) are in the link's own frame.
    """

    a_m: float
    d_m: float
    alpha_rad: float
    lower_rad: float
    upper_rad: float
    max_speed_rad_s: float
    max_torque_nm: float
    motor_inertia: float
    mass_kg: float
    centre_m: tuple[float, float, float]
    inertia: tuple[float, float, float, float, float, float]


_QUARTER = math.pi / 2
# fmt: off
LINKS = (
    Link(0, 0.333, 0, -2.7437, 2.7437, 2.62, 87, 0.6057, 2.9275, (0.0, -0.01813, -0.03860),
         (0.023927, 0.022482, 0.006350, 0.0000133, -0.000114, -0.001995)),
    Link(0, 0, -_QUARTER, -1.7837, 1.7837, 2.62, 87, 0.6057, 2.9355, (0.00318, -0.07432, 0.00881),
         (0.041939, 0.025145, 0.061702, 0.000203, 0.004078, -0.004225)),
    Link(0, 0.316, _QUARTER, -2.9007, 2.9007, 2.62, 87, 0.4625, 2.2449,
         (0.04070, -0.00482, -0.02897),
         (0.024101, 0.019741, 0.019044, 0.002405, -0.002856, -0.002104)),
    Link(0.0825, 0, _QUARTER, -3.0421, -0.1518, 2.62, 87, 0.4625, 2.6156,
         (-0.04591, 0.06305, -0.00852),
         (0.034530, 0.028882, 0.041255, 0.013226, 0.010151, -0.000976)),
    Link(-0.0825, 0.384, -_QUARTER, -2.8065, 2.8065, 5.26, 12, 0.2055, 2.3271,
         (-0.00160, 0.02925, -0.09730),
         (0.051610, 0.047877, 0.016424, -0.005715, -0.003567, 0.010674)),
    Link(0, 0, _QUARTER, 0.5445, 4.5169, 4.18, 12, 0.2055, 1.8170, (0.05971, -0.04103, -0.01017),
         (0.005412, 0.014058, 0.016081, 0.006193, 0.001422, -0.001314)),
    Link(0.088, 0, _QUARTER, -3.0159, 3.0159, 5.26, 12, 0.2055, 0.6271,
         (0.00452, 0.00863, -0.01616),
         (0.000211, 0.000177, 0.0000599, -0.0000243, 0.0000456, 0.0000874)),
)
# fmt: on
FLANGE_M = 0.107
"""From the last link's frame to the flange, along z."""
HAND_YAW_RAD = -math.pi / 4
"""Turn of the hand on the flange, about z."""
HAND_TCP_M = 0.1034
"""From the flange to the point between the finger tips, along z."""
FINGER_TRAVEL_M = 0.04


_HAND_KG, _HAND_CENTRE_M = 0.6544, (0.0, 0.01191, 0.02073)
_HAND_INERTIA = (0.00186, 0.0003, 0.00174, 0.0, 0.0, -0.00002)
_FINGER_KG, _FINGER_CENTRE_M = 0.0291, (0.0, 0.01529, 0.02197)
_FINGER_INERTIA = (8.49e-6, 8.53e-6, 1.77e-6, 0.0, 0.0, -1.06e-6)
_FINGER_OFFSET_M = 0.0584
_FINGERS = ("left_finger", "right_finger")
_FINGER_JOINTS = ("finger_joint_1", "finger_joint_2")
_JOINTS = tuple(f"joint_{index}" for index in range(1, 8))

# Joint servos: fast enough to follow a target within about a tenth of a second, critically damped
# for the inertia of the motor and about that of the links beyond, and no stiffer, to be compliant
# in contact.
_SERVO_RAD_S = 30.0
_LINK_INERTIA = (1.2, 1.2, 0.5, 0.5, 0.03, 0.03, 0.01)
# The gripper closes at up to 0.2 m/s per finger and holds a 40 mm object with 40 N.
_GRIPPER_N_M, _GRIPPER_N_S_M, _GRIPPER_MAX_N = 2000.0, 400.0, 70.0
_GRIPPER_MOTOR_KG = 0.1

_CAMERA_EYE_M = (0.088, 0.0, 0.012)
_CAMERA_TARGET_M = (0.03, 0.0, 0.125)
_CAMERA_FOVY_DEG = 70.0


def _arm_spec(visual: bool) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    shapes.add_materials(spec)
    body = spec.worldbody.add_body(name="base")
    shapes.add_shapes(body, shapes.BASE, visual)
    for index, link in enumerate(LINKS):
        body = _add_link(spec, body, index, link)
        shapes.add_shapes(body, shapes.LINKS[index], visual)
    _add_hand(spec, body, visual)
    return spec


def _add_link(
    spec: mujoco.MjSpec, parent: mujoco.MjsBody, index: int, link: Link
) -> mujoco.MjsBody:
    sin, cos = math.sin(link.alpha_rad), math.cos(link.alpha_rad)
    body = parent.add_body(
        name=f"link_{index + 1}",
        pos=(link.a_m, -link.d_m * sin, link.d_m * cos),
        quat=(math.cos(link.alpha_rad / 2), math.sin(link.alpha_rad / 2), 0.0, 0.0),
        gravcomp=1.0,
    )
    _set_inertia(body, link.mass_kg, link.centre_m, link.inertia)
    name, range_rad = _JOINTS[index], (link.lower_rad, link.upper_rad)
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=(0, 0, 1),
        range=range_rad,
        limited=True,
        armature=link.motor_inertia,
        actgravcomp=True,
    )
    inertia = link.motor_inertia + _LINK_INERTIA[index]
    _add_servo(
        spec,
        name,
        name,
        stiffness=_SERVO_RAD_S**2 * inertia,
        damping=2.0 * _SERVO_RAD_S * inertia,
        ctrl_range=range_rad,
        most=link.max_torque_nm,
    )
    return body


def _add_hand(spec: mujoco.MjSpec, flange_link: mujoco.MjsBody, visual: bool) -> None:
    hand = flange_link.add_body(
        name="hand",
        pos=(0.0, 0.0, FLANGE_M),
        quat=rotations.quat_of_yaw(HAND_YAW_RAD),
        gravcomp=1.0,
    )
    _set_inertia(hand, _HAND_KG, _HAND_CENTRE_M, _HAND_INERTIA)
    shapes.add_shapes(hand, (*shapes.HAND, *shapes.CAMERA), visual)
    # The tool's x, y, z are the hand's z, -y, x.
    half = math.sqrt(0.5)
    hand.add_site(name=TCP_SITE, pos=(0, 0, HAND_TCP_M), quat=(0, half, 0, half), group=4)
    quat = rotations.look_at_quat(_CAMERA_EYE_M, _CAMERA_TARGET_M, up=(1.0, 0.0, 0.0))
    hand.add_camera(name=WRIST_CAMERA, pos=_CAMERA_EYE_M, quat=quat, fovy=_CAMERA_FOVY_DEG)
    for name, joint, yaw_rad in zip(_FINGERS, _FINGER_JOINTS, (0.0, math.pi), strict=True):
        finger = hand.add_body(
            name=name,
            pos=(0.0, 0.0, _FINGER_OFFSET_M),
            quat=rotations.quat_of_yaw(yaw_rad),
            gravcomp=1.0,
        )
        _set_inertia(finger, _FINGER_KG, _FINGER_CENTRE_M, _FINGER_INERTIA)
        finger.add_joint(
            name=joint,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, 1, 0),
            range=(0.0, FINGER_TRAVEL_M),
            limited=True,
            armature=_GRIPPER_MOTOR_KG,
        )
        shapes.add_shapes(finger, shapes.FINGER, visual)
    equality = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=_FINGER_JOINTS[1],
        name2=_FINGER_JOINTS[0],
    )
    equality.data[:2] = (0.0, 1.0)
    _add_servo(
        spec,
        "gripper",
        _FINGER_JOINTS[0],
        stiffness=_GRIPPER_N_M,
        damping=_GRIPPER_N_S_M,
        ctrl_range=(0.0, FINGER_TRAVEL_M),
        most=_GRIPPER_MAX_N,
    )


def _set_inertia(
    body: mujoco.MjsBody,
    mass_kg: float,
    centre_m: tuple[float, ...],
    inertia: tuple[float, ...],
) -> None:
    body.mass, body.ipos, body.fullinertia = mass_kg, centre_m, inertia
    body.explicitinertial = True


def _add_servo(
    spec: mujoco.MjSpec,
    name: str,
    joint: str,
    *,
    stiffness: float,
    damping: float,
    ctrl_range: tuple[float, float],
    most: float,
) -> None:
    """A position servo: its force is stiffness * (control - position) - damping * speed."""
    servo = spec.add_actuator(
        name=name,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        ctrlrange=ctrl_range,
        ctrllimited=True,
        forcerange=(-most, most),
        forcelimited=True,
    )
    servo.set_to_position(kp=stiffness, kv=damping)


FRANKA = Arm(
    robot="franka_research_3",
    spec=_arm_spec,
    joints=_JOINTS,
    joint_bounds_rad=(
        tuple(link.lower_rad - 0.1 for link in LINKS),
        tuple(link.upper_rad + 0.1 for link in LINKS),
    ),
    finger_joints=_FINGER_JOINTS,
    finger_bodies=_FINGERS,
    finger_travel_m=FINGER_TRAVEL_M,
    tool_down_joint_rad=np.array([0.0, 0.085, 0.0, -2.568, 0.0, 2.653, math.pi / 4]),
    work_centre_m=(0.45, 0.0),
    limits=CartesianLimits(lower_m=(0.30, -0.25, 0.012), upper_m=(0.60, 0.25, 0.30)),
    ik=IkSettings(posture_gain=0.1),
    workbench=Workbench(
        table_centre_m=(0.35, 0.0),
        table_half_m=(0.60, 0.65),
        eye_m=(1.20, -0.60, 0.62),
        target_m=(0.32, 0.0, 0.23),
        fovy_deg=38.0,
        facets=(20, 10),
    ),
)
