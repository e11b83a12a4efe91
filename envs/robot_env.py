"""A task on real arms, with the spaces of its simulated twin.

The arms are driven by a rig in a process of its own (`hardware/rig.py`), which keeps them safe.
This environment asks for new targets once per control period and waits until the period is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from ..datasets import keys
from ..datasets.errors import UsageError
from ..datasets.schema import Field, FieldDoc
from ..hardware.cameras.camera import Camera, open_camera
from ..hardware.rig import Rig
from ..hardware.rig_state import Clamp, RigState
from ..hardware.trossen_sim import SimulatedController
from .manipulation import Manipulation
from .robot_arm import RobotArm
from .robot_setup import TWIN, RobotSetup
from .robot_success import judge_named
from .rollout import OBSERVED_FIELDS, SENT_ACTION, STEP_FIELDS, Pacer

_PATIENCE_S = 5.0
_POLL_S = 0.002
_WATCH_S = 0.02
_LAG = Clamp.ACCELERATION | Clamp.SPEED
"""A target that is reached later than asked is still the target."""

CAMERAS = "cameras"
"""In `info`: by the name of each camera that is not the twin's, which picture was observed."""


class RobotManipulation(gymnasium.Env):
    """One or two real arms doing the task of a simulated environment.

    Nothing is connected before the first `reset`, so that spaces can be asked for without a robot.
    An episode terminates when the setup's function says that the task is done, or a person does
    by `end`; it is truncated after `max_steps`. `info` tells what the rig clamped, and in `cameras`
    for each camera of the picture that was observed: `seq`, its number; `age_s`, how long before
    the observation it arrived; `device_s`, when it was taken by the device's clock; `is_new`,
    whether it is another one than in the last observation; `dropped`, `repeated`, the camera's
    counts so far.

    Attributes:
      twin: the simulated task; its physics is not run.
      observation_space, action_space, field_docs, task, language_instruction, robot, control_hz,
        max_steps: the twin's.
      arms: the arms, in the order of the action.
      rig: what drives them; None before the first reset.
      watchers: called again and again while a reset moves the arms and pauses, where no action is
        asked for; what they raise ends it, with the arms where they are.
    """

    def __init__(self, twin: Manipulation, setup: RobotSetup) -> None:
        """A task as `twin` on the arms of `setup`."""
        self.twin = twin
        self.observation_space, self.action_space = twin.observation_space, twin.action_space
        self.field_docs, self.task, self.robot = twin.field_docs, twin.task, twin.robot
        self.control_hz, self.max_steps = twin.control_hz, twin.max_steps
        self.render_mode = twin.render_mode
        self.metadata = twin.metadata
        self.rig: Rig | None = None
        self.watchers: list[Callable[[], None]] = []
        self._setup = setup
        mounts = [arm.mount for arm in twin.arms]
        scale = twin.field_docs[keys.ACTION].scale
        self.arms = [RobotArm(mount, scale[0], scale[3]) for mount in mounts]
        self._config = setup.rig_config(mounts)
        self._new_judge = judge_named(setup.success)
        self._judge = self._new_judge()
        self._progress = 0.0
        self._controllers: list[SimulatedController] = []
        self._cameras: dict[str, Camera] = {}
        self._pictures: dict[str, dict[str, Any]] = {}
        self._ages: dict[str, np.ndarray] = {}
        self._closing: list[Callable[[], None]] = []
        self._pacer = Pacer(1.0 / twin.control_hz)
        self._said: bool | None = None
        self._steps = 0
        self._start_s = self._seen_s = 0.0

    @property
    def language_instruction(self) -> str:
        """What the robot is asked to do in this episode."""
        return self.twin.language_instruction

    @property
    def elapsed_s(self) -> float:
        """Time of the last observation since the start of the episode."""
        return self._seen_s - self._start_s

    @property
    def step_fields(self) -> tuple[Field, ...]:
        """What is recorded of each step besides observation and action."""
        joints = sum(len(arm.mount.arm.joints) for arm in self.arms)
        reasons = ", ".join(f"{clamp.value} {clamp.name}" for clamp in Clamp if clamp)
        return (
            Field(
                keys.ACTION_REQUESTED,
                "float32",
                self.action_space.shape,
                about=FieldDoc(
                    "What was asked for; `action` is what the robot was sent.",
                    self.field_docs[keys.ACTION].unit,
                    self.field_docs[keys.ACTION].frame,
                    self.field_docs[keys.ACTION].scale,
                ),
            ),
            Field(
                keys.REQUESTED_JOINTS,
                "float32",
                (joints,),
                about=FieldDoc("Joint targets of the action, of one arm after the other.", "rad"),
            ),
            Field(
                keys.SENT_JOINTS,
                "float32",
                (joints,),
                about=FieldDoc("Joint targets that the controllers were sent last.", "rad"),
            ),
            Field(
                keys.CLAMPS,
                "int64",
                (len(self.arms),),
                about=FieldDoc(f"Why they differ, for each arm the sum of: {reasons}."),
            ),
            Field(
                keys.STATE_AGE,
                "float32",
                (len(self.arms),),
                about=FieldDoc("How long before the observation each arm was heard last.", "s"),
            ),
            *(
                Field(
                    keys.IMAGE_AGE_PREFIX + name,
                    "float32",
                    about=FieldDoc("How long before the observation this picture arrived.", "s"),
                )
                for name, source in self._setup.cameras.items()
                if source != TWIN
            ),
        )

    @property
    def renew_s(self) -> float:
        """How often a command must be given again so that the rig goes on following it."""
        return self._config.stale_command_s / 2

    @property
    def leaders(self) -> tuple[str, ...]:
        """Addresses of the leader arms that the setup names."""
        return self._setup.leaders

    def potential(self) -> float:
        """How far the task is, from 0 to 1, by the setup's function."""
        return self._progress

    def end(self, success: bool) -> None:
        """The episode ends with the next step, as a person says."""
        self._said = success

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Moves the arms slowly to a start drawn from the seed, with open grippers.

        Raises:
          RobotError: the arms or cameras cannot be reached, do not arrive, or are in FAULT.
        """
        super().reset(seed=seed)
        self.twin.start(seed)
        rig = self._started_rig()
        starts = [arm.joint_rad.copy() for arm in self.twin.arms]
        fingers = [arm.mount.arm.finger_travel_m for arm in self.arms]
        rig.move_to(starts, fingers, on_wait=self._watch)
        end_s = time.monotonic() + self._setup.reset_s
        while time.monotonic() < end_s:
            self._watch()
            time.sleep(_WATCH_S)
        state = rig.read()
        for arm, report in zip(self.arms, state.arms, strict=True):
            arm.start(report)
        self._said, self._steps = None, 0
        self._judge = self._new_judge()
        self._start_s = self._seen_s = min(report.received_s for report in state.arms)
        self._pacer.start()
        observation = self._observe(state)
        told = {CAMERAS: self._pictures, OBSERVED_FIELDS: self._ages}
        return observation, {"success": False, **told}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Sends the targets of an action and returns what is seen a control period later.

        Raises:
          UsageError: the action is not seven finite numbers per arm, or there was no reset.
          RobotFaultError: the rig is in FAULT; a person must look at the arms.
          CameraError: a camera has no new picture; the arms hold.
        """
        if self.rig is None:
            raise UsageError("this robot was not reset yet; call reset() first")
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            raise UsageError(
                f"action {action!r}: expected {7 * len(self.arms)} finite numbers in [-1, 1]"
            )
        values = np.clip(values, -1.0, 1.0)
        targets = [arm.target(values[_part(index)]) for index, arm in enumerate(self.arms)]
        joint_rad, finger_m = zip(*targets, strict=True)
        command = self.rig.command(joint_rad, finger_m, 1.0 / self.control_hz)
        self._pacer.wait()
        state = self._newer_state(self.rig, command)
        self._steps += 1
        info = self._what_became(state, values, joint_rad)
        observation = self._observe(state)
        done = self._progress >= 1.0 if self._said is None else self._said
        terminated = done or self._said is not None
        truncated = self._steps >= self.max_steps and not terminated
        info |= {CAMERAS: self._pictures, OBSERVED_FIELDS: self._ages, "success": done}
        return observation, float(done), terminated, truncated, info

    def render(self) -> np.ndarray | None:
        """The twin in the posture of the arms, uint8 (H, W, 3), if it renders."""
        self._mirror()
        return self.twin.render()

    def close(self) -> None:
        """Leaves the arms idle and frees all; a next `reset` connects again."""
        if self.rig is not None:
            self.rig.close()
            self.rig = None
        self._release()
        self.twin.close()

    def _newer_state(self, rig: Rig, command: int) -> RigState:
        """What the rig tells once it has taken the command up and every arm has been heard again.

        Nothing is observed twice: a controller that stays silent makes the rig go into FAULT.
        """
        while True:
            state = rig.wait_for(command, _PATIENCE_S)
            heard = [
                arm.report is None or report.seq != arm.report.seq
                for arm, report in zip(self.arms, state.arms, strict=True)
            ]
            if all(heard):
                return state
            time.sleep(_POLL_S)

    def _watch(self) -> None:
        for watch in self.watchers:
            watch()

    def _started_rig(self) -> Rig:
        if self.rig is not None:
            return self.rig
        try:
            for name, source in self._setup.cameras.items():
                if source != TWIN:
                    height, width, _ = self.observation_space[keys.IMAGE][name].shape
                    self._cameras[name] = open_camera(source, (height, width), name)
                    self._closing.append(self._cameras[name].close)
            if self._setup.simulate:
                for address in self._setup.addresses:
                    self._closing.append(SimulatedController(address).close)
            rig = Rig(self._config)
            rig.start()
        except BaseException:
            self._release()
            raise
        self.rig = rig
        return rig

    def _release(self) -> None:
        for close in reversed(self._closing):
            close()
        self._closing, self._cameras, self._pictures = [], {}, {}

    def _what_became(
        self, state: RigState, action: np.ndarray, joint_rad: tuple[np.ndarray, ...]
    ) -> dict[str, Any]:
        """What `info` tells of the action."""
        sent = action.copy()
        for index, (arm, report) in enumerate(zip(self.arms, state.arms, strict=True)):
            if report.clamps & ~_LAG:
                sent[_part(index)] = arm.sent_action(report, action[_part(index)])
            arm.follow(report)
        fields = {
            keys.ACTION_REQUESTED: action.astype(np.float32),
            keys.REQUESTED_JOINTS: np.concatenate(joint_rad).astype(np.float32),
            keys.SENT_JOINTS: np.concatenate([r.sent_joint_rad for r in state.arms], dtype="f4"),
            keys.CLAMPS: np.array([int(report.clamps) for report in state.arms], np.int64),
        }
        return {SENT_ACTION: sent.astype(np.float32), STEP_FIELDS: fields}

    def _observe(self, state: RigState) -> dict[str, Any]:
        for arm, report in zip(self.arms, state.arms, strict=True):
            arm.measure(report)
        self._seen_s = max(report.received_s for report in state.arms)
        state_fields = self.twin.state_of(self.arms)
        self._progress = self._judge(state_fields)
        observation: dict[str, Any] = {keys.STATE: state_fields}
        if self._setup.cameras:
            self._mirror()
            images = {name: self._image(name) for name in self._setup.cameras}
            observation[keys.IMAGE] = images
        heard_s = np.array([report.received_s for report in state.arms])
        self._ages = {
            keys.STATE_AGE: (time.monotonic() - heard_s).astype(np.float32),
            **{
                keys.IMAGE_AGE_PREFIX + name: np.float32(picture["age_s"])
                for name, picture in self._pictures.items()
            },
        }
        return observation

    def _image(self, name: str) -> np.ndarray:
        """The newest picture of a camera, in the size of the observation."""
        camera = self._cameras.get(name)
        if camera is None:
            return self.twin.picture(name)
        frame, stats = camera.read(), camera.stats()
        before = self._pictures.get(name)
        self._pictures = {
            **self._pictures,
            name: {
                "seq": frame.seq,
                "age_s": frame.age_s,
                "device_s": frame.device_s,
                "is_new": before is None or before["seq"] != frame.seq,
                "dropped": stats.dropped,
                "repeated": stats.repeated,
            },
        }
        return frame.image

    def _mirror(self) -> None:
        """Brings the twin into the posture of the arms."""
        for twin, arm in zip(self.twin.arms, self.arms, strict=True):
            if arm.report is not None:
                twin.joint_rad[:] = arm.report.joint_rad
                twin.finger_m[:] = arm.report.gripper_m


def _part(arm: int) -> slice:
    return slice(7 * arm, 7 * arm + 7)
