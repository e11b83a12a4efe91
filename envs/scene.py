"""A table with arms, light and cameras, as a MuJoCo specification. The table top is z = 0."""

from __future__ import annotations

from collections.abc import Sequence

from ..hardware import rotations
from ..hardware.arm import WRIST_CAMERA, Mount, Workbench
from ..hardware.headless import mujoco

FRONT_CAMERA = "front"


def table_spec(mounts: Sequence[Mount], workbench: Workbench, visual: bool) -> mujoco.MjSpec:
    """The arms on a table with light, sky and all cameras.

    Args:
      mounts: the arms.
      workbench: the table and the front camera.
      visual: with what a picture needs; without it the physics is the same.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    for mount in mounts:
        frame = spec.worldbody.add_frame(pos=mount.pos_m, quat=mount.quat_wxyz)
        base = mount.arm.spec(visual).worldbody.first_body()
        frame.attach_body(base, mount.model_prefix, "")
        spec.camera(mount.model_prefix + WRIST_CAMERA).name = mount.wrist_camera
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(*workbench.table_half_m, 0.05),
        pos=(*workbench.table_centre_m, 0.0),
        material="table",
    )
    spec.worldbody.add_camera(
        name=FRONT_CAMERA,
        pos=workbench.eye_m,
        quat=rotations.look_at_quat(workbench.eye_m, workbench.target_m),
        fovy=workbench.fovy_deg,
    )
    _add_look(spec)
    spec.visual.quality.numslices, spec.visual.quality.numstacks = workbench.facets
    return spec


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
