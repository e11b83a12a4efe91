"""Shapes of the Franka Research 3 and its hand: round primitives, drawn after the real arm.

They cost a tenth of the meshes of the manufacturer's model to render. Lengths in m, in the frames
of the links. What may touch the table or an object is solid; the rest is only for pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .headless import mujoco

Point = tuple[float, float, float]

_COLOURS = {
    "franka_white": (0.90, 0.91, 0.92, 1.0),
    "franka_grey": (0.62, 0.64, 0.66, 1.0),
    "franka_black": (0.17, 0.18, 0.19, 1.0),
}
_WHITE, _GREY, _BLACK = _COLOURS


class Round(NamedTuple):
    """A capsule, or with flat ends a cylinder, between two points."""

    start_m: Point
    end_m: Point
    radius_m: float
    material: str = _WHITE
    flat: bool = False
    solid: bool = False


class Box(NamedTuple):
    """A box along the axes of its link, turned about x."""

    centre_m: Point
    half_m: Point
    material: str = _WHITE
    solid: bool = False
    turn_x_rad: float = 0.0


Shape = Round | Box

BASE: tuple[Shape, ...] = (
    Box((-0.045, 0, 0.007), (0.10, 0.09, 0.007), _GREY),
    Box((-0.06, 0, 0.05), (0.055, 0.062, 0.045)),
    Round((0, 0, 0), (0, 0, 0.13), 0.068, flat=True),
    Round((0, 0, 0.13), (0, 0, 0.152), 0.058, _BLACK, flat=True),
)
LINKS: tuple[tuple[Shape, ...], ...] = (
    (
        Round((0, 0, -0.15), (0, 0, -0.10), 0.056),
        Round((0, 0, -0.10), (0, -0.070, 0), 0.056),
        Round((0, -0.055, 0), (0, 0.06, 0), 0.050, _BLACK, flat=True),
    ),
    (
        Round((0, 0, 0.070), (0, -0.10, 0), 0.056),
        Round((0, -0.10, 0), (0, -0.188, 0), 0.056),
        Round((0, -0.188, 0), (0, -0.194, 0), 0.0568, _BLACK, flat=True),
    ),
    (
        Round((0, 0, -0.10), (0, 0, -0.07), 0.056),
        Round((0, 0, -0.07), (0.0825, 0.058, 0), 0.053),
        Round((0.0825, 0.055, 0), (0.0825, -0.055, 0), 0.047, _BLACK, flat=True),
    ),
    (
        Round((0, 0, 0.055), (-0.0825, 0.080, 0), 0.054),
        Round((-0.0825, 0.080, 0), (-0.0825, 0.120, 0), 0.055),
        Round((-0.0825, 0.120, 0), (-0.0825, 0.126, 0), 0.0556, _BLACK, flat=True),
    ),
    (
        Round((0, 0, -0.24), (0, 0, -0.21), 0.055),
        Round((0, 0, -0.21), (0, 0.045, -0.10), 0.048),
        Round((0, 0.045, -0.10), (0, 0.072, -0.01), 0.036),
        Round((0, 0.050, 0), (0, 0.115, 0), 0.046, _BLACK, flat=True, solid=True),
    ),
    (
        Round((0, 0, -0.055), (0, 0, 0.045), 0.044, _BLACK, flat=True),
        Round((0, 0, 0), (0.088, 0, 0), 0.042),
        Round((0.088, 0.040, 0), (0.088, -0.030, 0), 0.047, solid=True),
    ),
    (
        Round((0, 0, 0.030), (0, 0, 0.107), 0.044, _GREY, flat=True, solid=True),
        Round((0.02, 0.02, 0.086), (0.056, 0.056, 0.086), 0.020, _GREY),
    ),
)
HAND: tuple[Shape, ...] = (
    Round((0, -0.068, 0.032), (0, 0.068, 0.032), 0.031, solid=True),
    Box((0, 0, 0.046), (0.031, 0.098, 0.019), _WHITE, solid=True),
    Box((0, 0, 0.0655), (0.012, 0.090, 0.001), _BLACK),
)
CAMERA: tuple[Shape, ...] = (
    Box((0.050, 0, 0.014), (0.022, 0.014, 0.004), _GREY),
    Box((0.075, 0, 0.010), (0.011, 0.045, 0.0115), _BLACK, solid=True),
)
# The collision boxes of franka_description.
FINGER: tuple[Shape, ...] = (
    Box((0, 0.0185, 0.011), (0.011, 0.0075, 0.010), _GREY, solid=True),
    Box((0, 0.0068, 0.0022), (0.011, 0.0044, 0.0019), _GREY, solid=True),
    Box((0, 0.0159, 0.02835), (0.00875, 0.0035, 0.01175), _GREY, True, 0.5236),
    Box((0, 0.00758, 0.04525), (0.00875, 0.0076, 0.00925), _BLACK, solid=True),
)


def add_materials(spec: mujoco.MjSpec) -> None:
    """The colours of the arm."""
    for name, rgba in _COLOURS.items():
        spec.add_material(name=name, rgba=rgba, specular=0.3, shininess=0.4)


def add_shapes(body: mujoco.MjsBody, shapes: Sequence[Shape], visual: bool) -> None:
    """Gives a link its shapes: all of them for pictures, else the solid ones.

    They collide with the table and with objects, not with one another: the controller keeps the
    arm where it cannot touch itself.
    """
    for shape in shapes:
        if not (visual or shape.solid):
            continue
        geom = body.add_geom(
            material=shape.material, mass=0.0, contype=0, conaffinity=int(shape.solid)
        )
        if isinstance(shape, Box):
            geom.type = mujoco.mjtGeom.mjGEOM_BOX
            geom.pos, geom.size = shape.centre_m, shape.half_m
            geom.alt.type = mujoco.mjtOrientation.mjORIENTATION_EULER
            geom.alt.euler = (shape.turn_x_rad, 0.0, 0.0)
        else:
            kind = mujoco.mjtGeom
            geom.type = kind.mjGEOM_CYLINDER if shape.flat else kind.mjGEOM_CAPSULE
            geom.fromto, geom.size = (*shape.start_m, *shape.end_m), (shape.radius_m, 0.0, 0.0)
