"""Pictures of a scene, made off screen at the lowest cost that still looks good."""

from __future__ import annotations

import os

import numpy as np

from ..datasets.errors import SerldsError
from ..hardware.headless import mujoco, rendering_problem
from .arguments import MAX_IMAGE_SIDE


class SceneRenderer:
    """Draws a scene as a simulation has it, apart from the physics that moves it.

    It owns a model of its own with the visual meshes, so that physics never carries them.
    """

    def __init__(self, spec: mujoco.MjSpec) -> None:
        """Compiles `spec`; OpenGL starts with the first picture."""
        spec.visual.global_.offwidth = 2 * MAX_IMAGE_SIDE
        spec.visual.global_.offheight = 2 * MAX_IMAGE_SIDE
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def render(self, camera: str, state: mujoco.MjData, size: tuple[int, int]) -> np.ndarray:
        """The view of a camera: uint8 (H, W, 3).

        Args:
          camera: its name.
          state: of the same scene, with or without what a picture needs.
          size: height and width in pixels.

        Raises:
          SerldsError: OpenGL cannot start on this machine.
        """
        renderer = self._renderers.get(size)
        if renderer is None:
            renderer = self._renderers[size] = self._start(size)
        self._data.qpos[:] = state.qpos
        self._data.mocap_pos[:] = state.mocap_pos
        self._data.mocap_quat[:] = state.mocap_quat
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        renderer.update_scene(self._data, camera)
        return renderer.render()

    def render_smooth(self, camera: str, state: mujoco.MjData, size: tuple[int, int]) -> np.ndarray:
        """As `render`, with smooth edges, for people: each pixel is the mean of four."""
        height, width = size
        fine = self.render(camera, state, (2 * height, 2 * width))
        blocks = fine.reshape(height, 2, width, 2, 3)
        return blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)

    def close(self) -> None:
        """Frees the OpenGL contexts."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _start(self, size: tuple[int, int]) -> mujoco.Renderer:
        if rendering_problem:
            raise _cannot_render(rendering_problem)
        try:
            renderer = mujoco.Renderer(self._model, *size)
        except Exception as error:  # each OpenGL backend raises errors of its own
            backend = os.environ.get("MUJOCO_GL", "")
            raise _cannot_render(f"MUJOCO_GL={backend!r}: {error!r}") from error
        flags = renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        return renderer


def _cannot_render(problem: str) -> SerldsError:
    return SerldsError(
        f"pictures cannot be rendered on this machine: OpenGL did not start ({problem}).\n"
        "Install the software renderer (Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri) "
        "and use MUJOCO_GL=egl, or do without pictures: cameras=()."
    )
