"""MuJoCo, imported with a rendering backend that works without a display.

MuJoCo reads `MUJOCO_GL` once, when it is imported: all of serlds takes `mujoco` from here.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING


def _import_mujoco() -> tuple[ModuleType, str]:
    """MuJoCo, and why it cannot render: empty if nothing is known against it."""
    if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
        os.environ.setdefault("MUJOCO_GL", "egl")
    backend = os.environ.get("MUJOCO_GL", "")
    try:
        return importlib.import_module("mujoco"), ""
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a missing OpenGL library shows as an error of any type
        # Physics needs no OpenGL: a state-only task must work where it is missing.
        os.environ["MUJOCO_GL"] = "off"
        return importlib.import_module("mujoco"), f"MUJOCO_GL={backend!r}: {error!r}"


if TYPE_CHECKING:
    import mujoco

    rendering_problem: str
else:
    mujoco, rendering_problem = _import_mujoco()

__all__ = ["mujoco", "rendering_problem"]
