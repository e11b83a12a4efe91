"""What every manipulation task shares: everything but its scene, its start, its success."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np

from ..datasets.errors import UsageError
from ..datasets.keys import IMAGE, STATE
from ..hardware.arm import WRIST_CAMERA, Mount
from ..hardware.headless import mujoco
from . import arguments
from .rendering import SceneRenderer
from .scene import FRONT_CAMERA
from .sim_arm import SimArm
from .spaces import action_space, field_docs, observation_space, proprioception
from .state_fields import StateField, StateLayout


class Proprioceptive(Protocol):
    """An arm, simulated or real, that knows where it is."""

    def proprioception(self, flat: np.ndarray) -> None:
        """Writes the fields of `spaces.proprioception` into `flat`, side by side."""


class Manipulation(gymnasium.Env):
    """A task of one or more arms on a table, simulated by MuJoCo.

    The episode terminates with success and is truncated after `max_steps`. Rewards: `sparse` is 1
    on success, else 0. `dense` adds phi(next state) - phi(state) to it, where phi, from 0 to 1, is
    the task's potential; as a difference of a potential it leaves the best policy as it is (Ng,
    Harada and Russell, "Policy invariance under reward transformations", 1999).

    A task is a subclass that says what the scene is, what is drawn at a reset, what its objects'
    state is, when it is done and how far it is: the methods below that raise NotImplementedError,
    and `truth()` for its expert.

    Attributes:
      model: the physics; `data` is its state.
      substeps: physics steps in one control period.
      arms: the arms, in the order of the action.
      control_hz: actions per second.
      max_steps: actions after which an episode is truncated.
      field_docs: meaning, unit, frame and scale of every field of observation and action, by path.
      task, language_instruction, robot: what recordings are labelled with.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (gymnasium's type)
    task: str
    language_instruction: str
    speed_m_s = 0.3
    """Largest speed of a tool along each axis."""
    turn_rad_s = 1.0
    """Largest turn of a tool about each axis."""
    physics_period_s = 0.004
    """Longest step of the physics."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        object_fields: Sequence[StateField],
        *,
        cameras: Sequence[str] = (FRONT_CAMERA, WRIST_CAMERA),
        image_size: int | Sequence[int] = 128,
        object_state: bool | None = None,
        reward: str = "sparse",
        control_hz: float = 10.0,
        max_steps: int = 50,
        render_mode: str | None = None,
        render_size: int | Sequence[int] = 256,
    ) -> None:
        """Builds the scene; nothing is rendered before the first picture is needed.

        Args:
          mounts: the arms and where they stand.
          object_fields: what the state tells of the objects, if it does.
          cameras: which of the front camera and the wrist cameras to observe; none at all makes
            no picture.
          image_size: pixels of an image, one number or (height, width).
          object_state: whether the state tells where the objects are; None: only without cameras.
          reward: `sparse` or `dense`.
          control_hz: actions per second, 1 to 50. The reach of an action shrinks with it, so that
            the largest speeds stay the same.
          max_steps: actions after which an episode is truncated.
          render_mode: `rgb_array` makes `render()` return the front view.
          render_size: pixels of `render()`'s picture, one number or (height, width).

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        all_cameras = (FRONT_CAMERA, *(mount.wrist_camera for mount in mounts))
        self._cameras = arguments.subset("cameras", cameras, all_cameras)
        self._image_size = arguments.image_size("image_size", image_size)
        arguments.choice("object_state", object_state, (None, True, False))
        self._object_state = not self._cameras if object_state is None else object_state
        self._dense = arguments.choice("reward", reward, ("sparse", "dense")) == "dense"
        self.control_hz = arguments.number("control_hz", control_hz, 1.0, 50.0, "Hz")
        self.max_steps = arguments.whole_number("max_steps", max_steps, 1, 100_000)
        self.render_mode = arguments.choice("render_mode", render_mode, (None, "rgb_array"))
        self._render_size = arguments.image_size("render_size", render_size)
        self.metadata = {**self.metadata, "render_fps": round(self.control_hz)}
        self.robot = "+".join(mount.arm.robot for mount in mounts)

        own_fields = [proprioception(mount) for mount in mounts]
        shown_objects = object_fields if self._object_state else ()
        self._layout = StateLayout((*(f for fields in own_fields for f in fields), *shown_objects))
        ends = np.cumsum([sum(f.size for f in fields) for fields in own_fields]).tolist()
        starts = [0, *ends[:-1]]
        self._own_slices = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
        self._object_slice = slice(ends[-1], self._layout.size)

        period_s = 1.0 / self.control_hz
        step_m, step_rad = self.speed_m_s * period_s, self.turn_rad_s * period_s
        self.observation_space = observation_space(self._layout, self._cameras, self._image_size)
        self.action_space = action_space(len(mounts))
        self.field_docs = field_docs(self._layout, self._cameras, mounts, step_m, step_rad)
        self._build_physics(mounts, period_s, step_m, step_rad)
        self._renderer: SceneRenderer | None = None
        self._steps = 0
        self._potential = 0.0
        self._said: bool | None = None

    def scene(self, visual: bool) -> mujoco.MjSpec:
        """The task's scene, made with `scene.table_spec`.

        Args:
          visual: with what a picture needs; without it the physics is the same.
        """
        raise NotImplementedError

    def place(self) -> None:
        """Draws a start from `np_random` and puts arms and objects there; all else is at rest."""
        raise NotImplementedError

    def write_objects(self, flat: np.ndarray) -> None:
        """Writes the fields of the objects into `flat`, side by side."""
        raise NotImplementedError

    def is_success(self) -> bool:
        """Whether the task is done."""
        raise NotImplementedError

    def potential(self) -> float:
        """How far the task is, from 0 to 1: the phi of the dense reward."""
        raise NotImplementedError

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws a new start from the seed."""
        self.start(seed)
        return self._observe(), {"success": False}

    def start(self, seed: int | None = None) -> None:
        """What `reset` does but for the observation: nothing is rendered."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)
        self.place()
        mujoco.mj_forward(self.model, self.data)
        for arm in self.arms:
            arm.start()
        self.measure()
        self._steps = 0
        self._said = None
        if self._dense:
            self._potential = self.potential()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Runs one control period; see the class for reward and end.

        Raises:
          UsageError: the action is not seven finite numbers per arm.
        """
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            raise UsageError(
                f"action {action!r}: expected {7 * len(self.arms)} finite numbers in [-1, 1]"
            )
        values = np.clip(values, -1.0, 1.0)
        for index, arm in enumerate(self.arms):
            arm.command(values[7 * index : 7 * index + 6])
            arm.command_gripper(values[7 * index + 6])
        mujoco.mj_step(self.model, self.data, self.substeps)
        self.measure()
        self._steps += 1

        success = bool(self.is_success()) if self._said is None else self._said
        reward = float(success)
        if self._dense:
            previous, self._potential = self._potential, self.potential()
            reward += self._potential - previous
        truncated = self._steps >= self.max_steps and not success
        terminated = success or self._said is not None
        return (
            self._observe(),
            reward,
            terminated,
            truncated and not terminated,
            {"success": success},
        )

    def end(self, success: bool) -> None:
        """The episode ends with the next step, as a person says."""
        self._said = success

    def render(self) -> np.ndarray | None:
        """The front view, uint8 (H, W, 3), if `render_mode` is `rgb_array`."""
        if self.render_mode is None:
            return None
        scene = self._scene_renderer()
        return scene.render_smooth(FRONT_CAMERA, self.data, self._render_size)

    def close(self) -> None:
        """Frees what rendering holds."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def elapsed_s(self) -> float:
        """Simulated time since the start of the episode."""
        return self._steps / self.control_hz

    def _build_physics(
        self, mounts: Sequence[Mount], period_s: float, step_m: float, step_rad: float
    ) -> None:
        self.substeps = math.ceil(period_s / self.physics_period_s - 1e-9)
        spec = self.scene(visual=False)
        spec.option.timestep = period_s / self.substeps
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.arms: list[SimArm] = []
        actuator = 0
        for mount in mounts:
            self.arms.append(SimArm(mount, self.model, self.data, actuator, step_m, step_rad))
            actuator += len(mount.arm.joints) + 1

    def measure(self) -> None:
        """Brings what is read of arms and objects up to the simulator's positions."""
        # mj_step leaves poses as they were before its last integration.
        mujoco.mj_kinematics(self.model, self.data)
        for arm in self.arms:
            arm.measure()

    def state_of(self, arms: Sequence[Proprioceptive]) -> dict[str, np.ndarray]:
        """The observation's state: what arms like the task's tell of themselves, and objects."""
        flat = np.empty(self._layout.size)
        for arm, where in zip(arms, self._own_slices, strict=True):
            arm.proprioception(flat[where])
        if self._object_state:
            self.write_objects(flat[self._object_slice])
        return self._layout.split(flat)

    def picture(self, camera: str) -> np.ndarray:
        """What a camera sees: uint8 (H, W, 3) of the observation's size."""
        return self._scene_renderer().render(camera, self.data, self._image_size)

    def _observe(self) -> dict[str, Any]:
        observation: dict[str, Any] = {STATE: self.state_of(self.arms)}
        if self._cameras:
            observation[IMAGE] = {name: self.picture(name) for name in self._cameras}
        return observation

    def _scene_renderer(self) -> SceneRenderer:
        if self._renderer is None:
            self._renderer = SceneRenderer(self.scene(visual=True))
        return self._renderer
