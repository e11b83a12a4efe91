"""The Trossen WidowX AI follower arm on a table, as a MuJoCo specification.

The model is the one that the `trossen_arm_sim` package ships (BSD-3-Clause, Trossen Robotics):
the robot base is the world's origin, x forward, y left, z up, and the table top is z = 0.
"""

from __future__ import annotations

import functools
import importlib.resources
from pathlib import Path

import numpy as np

from .headless import mujoco
from .kinematics import ArmKinematics
from .meshes import cluster_vertices, read_stl

ROBOT = "widowx_ai_follower"
NUM_JOINTS = 6
FINGER_TRAVEL_M = 0.044
"""Largest distance of each finger from the middle of the gripper; the opening is twice that."""
TCP_SITE = "ee_site"
FINGER_BODIES = ("carriage_left", "carriage_right")
WRIST_CAMERA = "wrist"
FRONT_CAMERA = "front"

# Axes of the tool (the TCP site): x out of the gripper, y the way the fingers open.
TOOL_DOWN_QUAT_WXYZ = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0])
"""The tool points at the table and its fingers open along the base's y."""
TOOL_DOWN_JOINT_RAD = np.array([0.0, 1.25, 0.95, -1.27, 0.0, 0.0])
"""A posture near the middle of the table with the tool about straight down: starts the IK."""

_MESH_CELL_M = 0.004
_COLLISION_GROUP = 3
_HIDDEN_GROUP = 4
_FRONT_EYE_M = (0.92, -0.42, 0.50)
_FRONT_TARGET_M = (0.20, 0.0, 0.155)
_FRONT_FOVY_DEG = 36.0


def arm_spec(visual: bool) -> mujoco.MjSpec:
    """The arm with its wrist camera, no table.

    Args:
      visual: with the meshes that a picture needs; without them the physics is the same.
    """
    spec = mujoco.MjSpec.from_file(str(_model_file()))
    spec.camera("cam").name = WRIST_CAMERA
    # The fingers stop at their joint limit; contacts between them only cost time.
    spec.add_exclude(bodyname1=FINGER_BODIES[0], bodyname2=FINGER_BODIES[1])
    for site in spec.sites:
        site.group = _HIDDEN_GROUP
    if visual:
        _coarsen_meshes(spec)
        spec.material("trossen_black").rgba = (0.20, 0.21, 0.23, 1.0)
    else:
        _delete_visuals(spec)
    return spec


def arm_kinematics() -> ArmKinematics:
    """Kinematics of the arm alone, in the frame of its base."""
    return ArmKinematics(_kinematics_model(), TCP_SITE, NUM_JOINTS)


def table_spec(visual: bool) -> mujoco.MjSpec:
    """The arm on a table with light, sky and both cameras.

    Args:
      visual: with the meshes that a picture needs; without them the physics is the same.
    """
    spec = arm_spec(visual)
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0.55, 0.6, 0.05),
        pos=(0.25, 0.0, 0.0),
        material="table",
    )
    spec.worldbody.add_camera(
        name=FRONT_CAMERA,
        pos=_FRONT_EYE_M,
        quat=look_at_quat(_FRONT_EYE_M, _FRONT_TARGET_M),
        fovy=_FRONT_FOVY_DEG,
    )
    _add_look(spec)
    return spec


def look_at_quat(eye_m: tuple[float, ...], target_m: tuple[float, ...]) -> np.ndarray:
    """Quaternion (w, x, y, z) of a camera at `eye_m` that looks at `target_m`, z up."""
    backward = np.subtract(eye_m, target_m)
    backward = backward / np.linalg.norm(backward)
    right = np.cross((0.0, 0.0, 1.0), backward)
    right = right / np.linalg.norm(right)
    axes = np.stack([right, np.cross(backward, right), backward], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    return quat


def _model_file() -> Path:
    return Path(str(importlib.resources.files("trossen_arm_sim"))) / "assets" / "wxai_follower.xml"


@functools.cache
def _kinematics_model() -> mujoco.MjModel:
    return arm_spec(visual=False).compile()


def _delete_visuals(spec: mujoco.MjSpec) -> None:
    for geom in list(spec.geoms):
        if geom.group != _COLLISION_GROUP:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        spec.delete(mesh)


def _coarsen_meshes(spec: mujoco.MjSpec) -> None:
    for mesh in spec.meshes:
        triangles = read_stl(_model_file().parent / mesh.file) * mesh.scale
        vertices, faces = cluster_vertices(triangles, _MESH_CELL_M)
        mesh.file = ""
        mesh.scale = (1.0, 1.0, 1.0)
        mesh.uservert = vertices.ravel()
        mesh.userface = faces.ravel()


def _add_look(spec: mujoco.MjSpec) -> None:
    texture = mujoco.mjtTexture
    spec.add_texture(
        name="sky",
        type=texture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.80, 0.86, 0.91),
        rgb2=(0.93, 0.95, 0.96),
        width=64,
        height=384,
    )
    # Squares of 5 cm: without shadows they are what shows distance.
    spec.add_texture(
        name="table",
        type=texture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.77, 0.69, 0.57),
        rgb2=(0.74, 0.66, 0.54),
        width=128,
        height=128,
    )
    table = spec.add_material(name="table", texrepeat=(10.0, 10.0), texuniform=True, specular=0.0)
    table.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"
    for position, direction, diffuse in (
        ((0.7, -0.5, 1.2), (-0.4, 0.4, -1.0), 0.45),
        ((-0.3, 0.8, 0.9), (0.5, -0.8, -0.8), 0.25),
    ):
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=position,
            dir=direction,
            diffuse=(diffuse,) * 3,
            specular=(0.2, 0.2, 0.2),
            castshadow=False,
        )
    spec.visual.headlight.ambient = (0.35, 0.35, 0.35)
    spec.visual.headlight.diffuse = (0.15, 0.15, 0.15)
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
