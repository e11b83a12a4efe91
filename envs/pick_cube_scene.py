"""The scene of the cube task: the arm, a table and a red cube."""

from __future__ import annotations

from . import widowx
from .headless import mujoco

CUBE_HALF_M = 0.02
SPAWN_CENTRE_M = (0.28, 0.0)
"""Middle of the area where the cube starts, x and y in the robot base frame."""
_CUBE_MASS_KG = 0.05


def cube_scene(visual: bool) -> mujoco.MjSpec:
    """The arm, the table and the cube.

    Args:
      visual: with the meshes that a picture needs; without them the physics is the same.
    """
    spec = widowx.table_spec(visual)
    body = spec.worldbody.add_body(name="cube", pos=(*SPAWN_CENTRE_M, CUBE_HALF_M))
    body.add_freejoint(name="cube")
    body.add_geom(
        name="cube",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(CUBE_HALF_M,) * 3,
        mass=_CUBE_MASS_KG,
        condim=4,
        friction=(1.0, 0.01, 0.0001),
        rgba=(0.86, 0.16, 0.11, 1.0),
    )
    return spec
