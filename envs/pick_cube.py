"""`serlds/WidowXPickCube-v0`: a WidowX AI arm grasps a cube on a table and lifts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ..datasets.errors import UsageError
from ..datasets.keys import IMAGE, STATE
from . import arguments, rotations, widowx
from .cartesian import CartesianController, CartesianLimits
from .headless import mujoco
from .pick_cube_scene import CUBE_HALF_M, SPAWN_CENTRE_M, cube_scene
from .pick_cube_spaces import action_space, field_docs, observation_space, state_layout
from .rendering import SceneRenderer

CAMERAS = (widowx.FRONT_CAMERA, widowx.WRIST_CAMERA)
LIFT_M = 0.10
"""The cube has been lifted when it is this far above where it rests."""

_PHYSICS_PERIOD_S = 0.004
_START_TCP_M = np.array([0.28, 0.0, 0.13])
_START_JITTER_M = np.array([0.03, 0.03, 0.02])
_MAX_SPAWN_M = (0.08, 0.15)
_SPEED_M_S = 0.3
_TURN_RAD_S = 1.0
_REACH_SCALE_M = 0.1


class Truth(NamedTuple):
    """What the simulator knows. Positions in m in the robot base frame."""

    tcp_pos_m: np.ndarray
    cube_pos_m: np.ndarray
    turn_to_cube_rad: float
    """Smallest turn about z that squares the fingers with the cube, in [-pi/4, pi/4]."""
    tcp_quat_wxyz: np.ndarray
    tool_yaw_rad: float
    gripper_m: float
    """Distance of each finger from the middle."""
    is_held: bool
    """Both fingers touch the cube."""


class WidowXPickCube(gymnasium.Env):
    """Grasp a 40 mm, 50 g cube and lift it by 0.10 m.

    The episode terminates with success when both fingers hold the cube 0.10 m above its rest
    height; it is truncated after `max_steps`. Observations and actions are described, with units
    and frames, by `field_docs`.

    Rewards: `sparse` is 1 on success, else 0. `dense` adds phi(next state) - phi(state) to it,
    where phi, from 0 to 1, grows by 0.3 as the tool reaches the cube, by 0.3 when both fingers
    hold it and by 0.4 as it rises; as a difference of a potential it leaves the best policy as it
    is (Ng, Harada and Russell, "Policy invariance under reward transformations", 1999).

    Attributes:
      model: the physics; `data` is its state.
      substeps: physics steps in one control period.
      control_hz: actions per second.
      field_docs: meaning, unit, frame and scale of every field of observation and action, by path.
      task, language_instruction, robot: what recordings are labelled with.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (gymnasium's type)
    task = "pick_cube"
    language_instruction = "pick up the red cube"
    robot = widowx.ROBOT

    def __init__(
        self,
        cameras: Sequence[str] = CAMERAS,
        image_size: int | Sequence[int] = 128,
        object_state: bool | None = None,
        reward: str = "sparse",
        control_hz: float = 10.0,
        max_steps: int = 50,
        spawn_area_m: Sequence[float] = (0.07, 0.12),
        yaw_range_rad: float = math.pi / 4,
        render_mode: str | None = None,
        render_size: int | Sequence[int] = 256,
    ) -> None:
        """Builds the scene; nothing is rendered before the first picture is needed.

        Args:
          cameras: which of `front` and `wrist` to observe; none at all makes no picture.
          image_size: pixels of an image, one number or (height, width).
          object_state: whether the state tells where the cube is; None: only without cameras.
          reward: `sparse` or `dense`.
          control_hz: actions per second, 1 to 50. The reach of an action shrinks with it, so that
            the largest speeds stay 0.3 m/s and 1 rad/s.
          max_steps: actions after which an episode is truncated.
          spawn_area_m: the cube starts within +- these distances in x and y of the area's centre.
          yaw_range_rad: the cube's yaw starts within +- this angle.
          render_mode: `rgb_array` makes `render()` return the front view.
          render_size: pixels of `render()`'s picture, one number or (height, width).

        Raises:
          UsageError: a value that is not allowed, naming what is.
        """
        self._cameras = arguments.subset("cameras", cameras, CAMERAS)
        self._image_size = arguments.image_size("image_size", image_size)
        arguments.choice("object_state", object_state, (None, True, False))
        self._object_state = not self._cameras if object_state is None else object_state
        self._dense = arguments.choice("reward", reward, ("sparse", "dense")) == "dense"
        self.control_hz = arguments.number("control_hz", control_hz, 1.0, 50.0, "Hz")
        self._max_steps = arguments.whole_number("max_steps", max_steps, 1, 100_000)
        self._spawn_m = np.array(
            arguments.pair("spawn_area_m", spawn_area_m, _MAX_SPAWN_M, "m (half sizes in x and y)")
        )
        self._yaw_rad = arguments.number("yaw_range_rad", yaw_range_rad, 0.0, math.pi, "rad")
        self.render_mode = arguments.choice("render_mode", render_mode, (None, "rgb_array"))
        self._render_size = arguments.image_size("render_size", render_size)
        self.metadata = {**self.metadata, "render_fps": round(self.control_hz)}

        period_s = 1.0 / self.control_hz
        step_m, step_rad = _SPEED_M_S * period_s, _TURN_RAD_S * period_s
        self._layout = state_layout(self._object_state)
        self.observation_space = observation_space(self._layout, self._cameras, self._image_size)
        self.action_space = action_space()
        self.field_docs = field_docs(self._layout, self._cameras, step_m, step_rad)

        self._build_physics(period_s)
        self._kinematics = widowx.arm_kinematics()
        self._controller = CartesianController(
            self._kinematics, widowx.TOOL_DOWN_QUAT_WXYZ, CartesianLimits(), step_m, step_rad
        )
        self._renderer: SceneRenderer | None = None
        self._pose = np.zeros(6)
        self._steps = 0
        self._potential = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draws a new place and yaw of the cube and a new start of the tool from the seed."""
        super().reset(seed=seed)
        cube_xy = np.array(SPAWN_CENTRE_M) + self._spawn_m * self.np_random.uniform(-1.0, 1.0, 2)
        yaw = self._yaw_rad * self.np_random.uniform(-1.0, 1.0)
        start = _START_TCP_M + _START_JITTER_M * self.np_random.uniform(-1.0, 1.0, 3)

        joint_rad = self._kinematics.solve(
            widowx.TOOL_DOWN_JOINT_RAD, start, widowx.TOOL_DOWN_QUAT_WXYZ, iterations=20
        )
        data = self.data
        mujoco.mj_resetData(self.model, data)
        self._arm_qpos[:] = joint_rad
        self._finger_qpos[:] = widowx.FINGER_TRAVEL_M
        self._cube_qpos[:2] = cube_xy
        self._cube_qpos[2] = CUBE_HALF_M
        self._cube_qpos[3:] = rotations.quat_of_yaw(yaw)
        data.ctrl[: widowx.NUM_JOINTS] = joint_rad
        data.ctrl[widowx.NUM_JOINTS] = widowx.FINGER_TRAVEL_M
        mujoco.mj_forward(self.model, data)
        self._controller.reset(joint_rad)
        self._measure()
        self._steps = 0
        if self._dense:
            self._potential = self._phi()
        return self._observe(), {"success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Runs one control period; see the class for reward and end.

        Raises:
          UsageError: the action is not seven finite numbers.
        """
        values = np.asarray(action, dtype=np.float64)
        if values.shape != (7,) or not np.isfinite(values).all():
            raise UsageError(f"action {action!r}: expected 7 finite numbers in [-1, 1]")
        values = np.clip(values, -1.0, 1.0)
        ctrl = self.data.ctrl
        ctrl[: widowx.NUM_JOINTS] = self._controller.joint_targets(values[:6], self._pose)
        ctrl[widowx.NUM_JOINTS] = widowx.FINGER_TRAVEL_M * 0.5 * (values[6] + 1.0)
        mujoco.mj_step(self.model, self.data, self.substeps)
        self._measure()
        self._steps += 1

        success = self._cube_pos[2] > CUBE_HALF_M + LIFT_M and self._is_held()
        reward = float(success)
        if self._dense:
            previous, self._potential = self._potential, self._phi()
            reward += self._potential - previous
        truncated = self._steps >= self._max_steps and not success
        return self._observe(), reward, bool(success), truncated, {"success": bool(success)}

    def render(self) -> np.ndarray | None:
        """The front view, uint8 (H, W, 3), if `render_mode` is `rgb_array`."""
        if self.render_mode is None:
            return None
        scene = self._scene_renderer()
        return scene.render_smooth(widowx.FRONT_CAMERA, self.data.qpos, self._render_size)

    def close(self) -> None:
        """Frees what rendering holds."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def elapsed_s(self) -> float:
        """Simulated time since the start of the episode."""
        return self._steps / self.control_hz

    def truth(self) -> Truth:
        """The simulator's state, for scripted experts and tests."""
        tool_yaw = self._tool_yaw()
        return Truth(
            tcp_pos_m=self._pose[:3].copy(),
            cube_pos_m=self._cube_pos.copy(),
            turn_to_cube_rad=rotations.quarter_turn_error(tool_yaw, self._cube_yaw()),
            tcp_quat_wxyz=self._tcp_quat.copy(),
            tool_yaw_rad=tool_yaw,
            gripper_m=float(self._finger_qpos[0]),
            is_held=self._is_held(),
        )

    def _build_physics(self, period_s: float) -> None:
        self.substeps = math.ceil(period_s / _PHYSICS_PERIOD_S - 1e-9)
        spec = cube_scene(visual=False)
        spec.option.timestep = period_s / self.substeps
        self.model = model = spec.compile()
        self.data = data = mujoco.MjData(model)
        # Views into the simulator's arrays: they stay valid, so nothing is looked up in a step.
        arm = [model.joint(f"joint_{i}").qposadr[0] for i in range(widowx.NUM_JOINTS)]
        self._arm_qpos = data.qpos[arm[0] : arm[-1] + 1]
        fingers = [model.joint(f"{side}_carriage_joint").qposadr[0] for side in ("left", "right")]
        self._finger_qpos = data.qpos[min(fingers) : max(fingers) + 1]
        cube = model.joint("cube").qposadr[0]
        self._cube_qpos = data.qpos[cube : cube + 7]
        self._tcp_pos = data.site(widowx.TCP_SITE).xpos
        self._tcp_mat = data.site(widowx.TCP_SITE).xmat
        self._cube_pos = data.body("cube").xpos
        self._cube_mat = data.body("cube").xmat
        self._cube_geom = model.geom("cube").id
        self._finger_bodies = [model.body(name).id for name in widowx.FINGER_BODIES]
        self._tcp_quat = np.zeros(4)

    def _measure(self) -> None:
        # mj_step leaves poses as they were before its last integration.
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mju_mat2Quat(self._tcp_quat, self._tcp_mat)
        self._pose = self._controller.pose_of(self._tcp_pos, self._tcp_quat)

    def _observe(self) -> dict[str, Any]:
        flat = np.empty(self._layout.size)
        flat[0] = self._finger_qpos[0]
        flat[1:7] = self._arm_qpos
        flat[7:13] = self._pose
        if self._object_state:
            flat[13:16] = (self._cube_pos - self._tcp_pos) @ self._tcp_mat.reshape(3, 3)
            flat[16:19] = self._cube_pos
            turn = 4.0 * (self._cube_yaw() - self._tool_yaw())
            flat[19] = math.cos(turn)
            flat[20] = math.sin(turn)
        observation: dict[str, Any] = {STATE: self._layout.split(flat)}
        if self._cameras:
            render, qpos = self._scene_renderer().render, self.data.qpos
            observation[IMAGE] = {
                name: render(name, qpos, self._image_size) for name in self._cameras
            }
        return observation

    def _scene_renderer(self) -> SceneRenderer:
        if self._renderer is None:
            self._renderer = SceneRenderer(cube_scene(visual=True))
        return self._renderer

    def _tool_yaw(self) -> float:
        # The way the fingers open is y of the base at yaw 0.
        return math.atan2(-self._tcp_mat[1], self._tcp_mat[4])

    def _cube_yaw(self) -> float:
        # A cube that lies on another face is the same cube: measure a side that is level.
        axes = self._cube_mat.tolist()
        upright = max(range(3), key=lambda axis: abs(axes[6 + axis]))
        side = (upright + 1) % 3
        return math.atan2(axes[3 + side], axes[side])

    def _is_held(self) -> bool:
        contacts = self.data.contact.geom
        touching = contacts[(contacts == self._cube_geom).any(axis=1)]
        bodies = self.model.geom_bodyid[touching].ravel()
        return all(finger in bodies for finger in self._finger_bodies)

    def _phi(self) -> float:
        distance = float(np.linalg.norm(self._cube_pos - self._tcp_pos))
        held = self._is_held()
        lifted = min(max((self._cube_pos[2] - CUBE_HALF_M) / LIFT_M, 0.0), 1.0)
        reach = 1.0 - math.tanh(distance / _REACH_SCALE_M)
        return 0.3 * reach + 0.3 * held + 0.4 * held * lifted
