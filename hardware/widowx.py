"""The Trossen WidowX AI follower arm.

The model is the one that the `trossen_arm_sim` package ships (BSD-3-Clause, Trossen Robotics).
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import numpy as np

from .arm import TCP_SITE, WRIST_CAMERA, Arm, Workbench
from .cartesian import CartesianLimits
from .headless import mujoco
from .kinematics import IkSettings
from .meshes import cluster_vertices, read_stl

_PI = 3.15
_MESH_CELL_M = 0.004
_COLLISION_GROUP = 3
_HIDDEN_GROUP = 4
_FINGERS = ("carriage_left", "carriage_right")


def _arm_spec(visual: bool) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_file(str(_model_file()))
    spec.camera("cam").name = WRIST_CAMERA
    spec.site("ee_site").name = TCP_SITE
    # The fingers stop at their joint limit; contacts between them only cost time.
    spec.add_exclude(bodyname1=_FINGERS[0], bodyname2=_FINGERS[1])
    for site in spec.sites:
        site.group = _HIDDEN_GROUP
    if visual:
        _coarsen_meshes(spec)
        spec.material("trossen_black").rgba = (0.20, 0.21, 0.23, 1.0)
    else:
        _delete_visuals(spec)
    return spec


def _model_file() -> Path:
    return Path(str(importlib.resources.files("trossen_arm_sim"))) / "assets" / "wxai_follower.xml"


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


WIDOWX = Arm(
    robot="widowx_ai_follower",
    spec=_arm_spec,
    joints=tuple(f"joint_{i}" for i in range(6)),
    joint_bounds_rad=(
        (-_PI, -0.1, -0.1, -1.7, -1.7, -_PI - 0.1),
        (_PI, 3.25, 2.5, 1.7, 1.7, _PI + 0.1),
    ),
    finger_joints=("left_carriage_joint", "right_carriage_joint"),
    finger_bodies=_FINGERS,
    finger_travel_m=0.044,
    tool_down_joint_rad=np.array([0.0, 1.25, 0.95, -1.27, 0.0, 0.0]),
    work_centre_m=(0.28, 0.0),
    limits=CartesianLimits(lower_m=(0.16, -0.20, 0.008), upper_m=(0.38, 0.20, 0.16)),
    ik=IkSettings(),
    workbench=Workbench(
        table_centre_m=(0.25, 0.0),
        table_half_m=(0.55, 0.6),
        eye_m=(0.92, -0.42, 0.50),
        target_m=(0.20, 0.0, 0.155),
        fovy_deg=36.0,
    ),
)
