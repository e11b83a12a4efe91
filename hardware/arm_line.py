"""One arm inside its rig's loop: its driver, what it reported, and the motion it is on."""

from __future__ import annotations

import numpy as np

from . import rotations, safety
from .drivers.arm_driver import ArmDriver, ArmState
from .rig_config import ArmConfig
from .rig_state import ArmReport, Clamp
from .robots import ROBOTS
from .safety import Box, Motion

_MOST_SILENCE_PER_ROUND_S = 0.05
"""A loop that was itself held up says nothing about the controller."""
_ARRIVED_RAD = 0.05
_AT_REST_RAD = 1e-3


class ArmLine:
    """One arm of a rig. All times are of the same monotonic clock."""

    def __init__(self, config: ArmConfig, driver: ArmDriver, period_s: float) -> None:
        """Connects nothing."""
        robot = ROBOTS[config.robot]
        self.config = config
        self.driver = driver
        self.kinematics = robot.arm.kinematics()
        self.home_rad = robot.arm.tool_down_joint_rad
        self.limits = config.safety
        self.clamps = Clamp.NONE
        self.silent_s = 0.0
        self.last: Motion | None = None
        self._quat_wxyz = rotations.quat_of_yaw(config.yaw_rad)
        self._period_s = period_s
        self._state: ArmState | None = None
        self._box = Box.of(self.limits)
        unknown = np.full(len(self.home_rad), np.nan)
        self._requested: tuple[np.ndarray, float] = (unknown, np.nan)
        self._start = self._target = unknown
        self._start_m = self._target_m = 0.0
        self._begin_s = self._end_s = 0.0

    @property
    def name(self) -> str:
        """As errors call it."""
        where = f" at {self.config.address}" if self.config.address else ""
        return f"{self.config.name or 'the'} arm ({self.config.robot}{where})"

    def listen(self, passed_s: float) -> None:
        """Reads the arm; `passed_s` is how long the last round took.

        Raises:
          RobotError: the driver reports an error.
        """
        state = self.driver.read()
        news = self._state is None or state.seq != self._state.seq
        self.silent_s = 0.0 if news else self.silent_s + min(passed_s, _MOST_SILENCE_PER_ROUND_S)
        self._state = state

    def activate(self) -> None:
        """Makes the idle arm follow, from where it is.

        Raises:
          RobotError: the driver reports an error.
        """
        self.driver.activate()
        state = self.measured
        self.last = Motion(state.joint_rad, np.zeros_like(state.joint_rad), state.gripper_m)
        self.hold()

    def free(self) -> None:
        """Lets a person move the arm by hand.

        Raises:
          RobotError: the driver reports an error, or cannot do that.
        """
        self.driver.free()
        self.forget()

    def forget(self) -> None:
        """The arm is idle or free: the next command starts from where it then is."""
        self.last = None

    @property
    def measured(self) -> ArmState:
        """The newest report; `listen` must have been called."""
        assert self._state is not None
        return self._state

    def flaws_of(self, joint_rad: np.ndarray, gripper_m: float, standing: bool) -> Clamp:
        """Notes a request, and tells why it must be refused, if it must."""
        self._requested = (joint_rad, gripper_m)
        self.clamps = Clamp.NONE
        at_rad = self.measured.joint_rad if self.last is None else self.last.joint_rad
        flaws = safety.flaws_of(
            joint_rad, gripper_m, at_rad if standing else None, self.limits.first_jump_rad
        )
        self.clamps |= flaws
        return flaws

    def distance_rad(self, joint_rad: np.ndarray, gripper_m: float) -> float:
        """How far the farthest joint is from a target."""
        at_rad = self.measured.joint_rad if self.last is None else self.last.joint_rad
        return float(np.abs(joint_rad - at_rad).max())

    def follow(
        self, joint_rad: np.ndarray, gripper_m: float, box: Box, begin_s: float, duration_s: float
    ) -> None:
        """Sets out for a target that `flaws_of` found no flaw in."""
        target, finger_m, clamps = safety.clip_to_limits(joint_rad, gripper_m, self.limits)
        target, boxed = safety.into_box(target, self.limits, box, self.kinematics)
        self.clamps |= clamps | boxed
        self._box = box
        self._set_out(target, finger_m, begin_s, duration_s)

    def hold(self) -> None:
        """Comes to a stop as fast as the acceleration allows and stays there."""
        assert self.last is not None
        speed = self.last.joint_rad_s
        stop = speed * np.abs(speed) / (2 * np.array(self.limits.acceleration_rad_s2))
        self._set_out(self.last.joint_rad + stop, self.last.gripper_m, 0.0, 0.0)

    def box(self, floor_only: bool = False) -> Box:
        """The workspace, or only its floor."""
        box = Box.of(self.limits)
        return box.floor() if floor_only else box

    def next_motion(self, now_s: float) -> Motion:
        """The step of this period as far as this arm alone decides it."""
        assert self.last is not None
        part = 1.0
        if now_s < self._end_s:
            part = (now_s + self._period_s - self._begin_s) / (self._end_s - self._begin_s)
        part = min(part, 1.0)
        motion, limited = safety.limit_motion(
            self.last,
            self._start + part * (self._target - self._start),
            self._start_m + part * (self._target_m - self._start_m),
            self.limits,
            self._period_s,
        )
        motion, boxed = safety.keep_in_box(
            self.last, motion, self._target, self._box, self.kinematics, self._period_s
        )
        self.clamps |= limited | boxed
        return motion

    def send(self, motion: Motion) -> None:
        """Commands the step.

        Raises:
          RobotError: the driver reports an error.
        """
        self.last = motion
        self.driver.command(motion.joint_rad, motion.gripper_m, self._period_s)

    def links_m(self, joint_rad: np.ndarray) -> np.ndarray:
        """Where the links would be in the frame of the rig: (n + 1, 3)."""
        links = self.kinematics.links(joint_rad)
        turned = np.array([rotations.rotate(self._quat_wxyz, point) for point in links])
        return turned + self.config.pos_m

    def has_arrived(self) -> bool:
        """Whether the arm stands where it set out for."""
        assert self.last is not None
        sent = np.abs(self.last.joint_rad - self._target).max() < _AT_REST_RAD
        there = np.abs(self.measured.joint_rad - self.last.joint_rad).max() < _ARRIVED_RAD
        return bool(sent and there and self.last.gripper_m == self._target_m)

    def report(self) -> ArmReport:
        """What is told of this arm."""
        unknown = np.full(len(self.home_rad), np.nan)
        state = self._state or ArmState(0, 0.0, 0.0, unknown, unknown, unknown, np.nan)
        last = self.last or Motion(unknown, unknown, np.nan)
        return ArmReport(*state, *self._requested, last.joint_rad, last.gripper_m, self.clamps)

    def _set_out(
        self, joint_rad: np.ndarray, gripper_m: float, begin_s: float, duration_s: float
    ) -> None:
        assert self.last is not None
        self._start, self._start_m = self.last.joint_rad, self.last.gripper_m
        self._target, self._target_m = joint_rad, gripper_m
        self._begin_s, self._end_s = begin_s, begin_s + duration_s
