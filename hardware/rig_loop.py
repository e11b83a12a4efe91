"""What a rig does in each round: listen, obey requests, watch the deadlines, move."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from . import safety
from .arm_line import ArmLine
from .errors import RobotError
from .rig_config import RigConfig
from .rig_slots import Request
from .rig_state import Fault, RigMode, RigState
from .safety import Motion

_log = logging.getLogger(__name__)
_POWERED = (RigMode.ACTIVE, RigMode.HOLD)


class RigLoop:
    """The arms of a rig and its state machine; the caller keeps the pace and gives the time."""

    def __init__(self, config: RigConfig, arms: Sequence[ArmLine]) -> None:
        """Connects nothing."""
        self._config = config
        self._arms = arms
        self._mode = RigMode.DISCONNECTED
        self._fault, self._fault_text = Fault.NONE, ""
        self._command_seq = self._arrived_seq = 0
        self._moving = False
        self._fresh_s = 0.0
        self._now_s = 0.0
        self._loops = self._late = 0

    def connect(self) -> RigState:
        """Connects all arms; IDLE if it worked, else DISCONNECTED with a fault that says why."""
        for arm in self._arms:
            try:
                arm.driver.connect()
                arm.listen(0.0)
            except RobotError as error:
                self._fault, self._fault_text = Fault.CONNECTION, f"{arm.name}: {error}"
                self.close()
                return self.state()
        self._mode = RigMode.IDLE
        return self.state()

    def round(self, now_s: float, command: np.void) -> RigState:
        """One period.

        Args:
          now_s: monotonic clock.
          command: the client's last command, of `rig_slots.command_dtype`.
        """
        passed_s = now_s - self._now_s if self._loops else 0.0
        period_s = 1.0 / self._config.rate_hz
        self._loops += 1
        self._late += passed_s > 2 * period_s
        self._now_s = now_s
        self._listen(passed_s)
        self._obey(command)
        self._watch_command()
        if self._mode in _POWERED:
            self._move(period_s)
        return self.state()

    def stop(self) -> None:
        """Someone wants everything to stop."""
        if self._mode is not RigMode.DISCONNECTED:
            self._stop_arms(self._arms)
            self._enter_fault(Fault.STOPPED, "stopped by a person or a program")

    def recover(self) -> None:
        """A person has looked at the arms: FAULT becomes IDLE if the controllers are well."""
        if self._mode is not RigMode.FAULT:
            return
        for arm in self._arms:
            try:
                arm.driver.recover()
                arm.listen(0.0)
            except RobotError as error:
                self._fault_text = f"{arm.name} did not recover: {error}"
                _log.error("%s", self._fault_text)
                return
            arm.forget()
            arm.silent_s = 0.0
        self._mode, self._fault, self._fault_text = RigMode.IDLE, Fault.NONE, ""

    def close(self) -> None:
        """Leaves all arms idle and disconnected."""
        for arm in self._arms:
            try:
                arm.driver.close()
            except RobotError as error:
                _log.error("%s: %s", arm.name, error)
        self._mode = RigMode.DISCONNECTED

    def state(self) -> RigState:
        """What is told of the rig."""
        return RigState(
            mode=self._mode,
            arrived_seq=self._arrived_seq,
            fault=self._fault,
            fault_text=self._fault_text,
            loop_s=self._now_s,
            loops=self._loops,
            late=self._late,
            command_seq=self._command_seq,
            arms=tuple(arm.report() for arm in self._arms),
        )

    def _listen(self, passed_s: float) -> None:
        if self._mode is RigMode.FAULT:
            self._listen_for_the_record(passed_s)
            return
        for arm in self._arms:
            try:
                arm.listen(passed_s)
            except RobotError as error:
                self._fail(arm, Fault.CONTROLLER, str(error))
                return
            if arm.silent_s > self._config.stale_state_s:
                self._fail(
                    arm,
                    Fault.STALE_STATE,
                    f"nothing came from the controller for {arm.silent_s * 1e3:.0f} ms; look at "
                    "its power and cable",
                )
                return

    def _listen_for_the_record(self, passed_s: float) -> None:
        for arm in self._arms:
            was_silent = arm.silent_s > self._config.stale_state_s
            try:
                arm.listen(passed_s)
            except RobotError:  # this is known: it, or its like, is why the rig is in FAULT
                continue
            if was_silent and arm.silent_s == 0.0:
                self._stop_arms([arm])  # it could not hear that before

    def _obey(self, command: np.void) -> None:
        seq, request = int(command["seq"]), Request(int(command["request"]))
        if seq == self._command_seq:
            if self._moving and self._mode is RigMode.ACTIVE:
                self._fresh_s = float(command["sent_s"])  # a slow move lasts while it is renewed
            return
        self._command_seq = seq
        if self._mode in (RigMode.FAULT, RigMode.DISCONNECTED):
            return
        if request is Request.HOLD:
            self._hold()
            return
        if request is Request.FREE:
            self._free()
            return
        targets = self._targets(command)
        standing = request is Request.FOLLOW and self._mode is not RigMode.ACTIVE
        flaws = [arm.flaws_of(*target, standing) for arm, target in targets]
        if any(flaws) or not self._make_active():
            return
        self._moving = request is Request.MOVE
        self._fresh_s = float(command["sent_s"])
        duration_s = float(command["duration_s"])
        if self._moving:
            duration_s = max(arm.distance_rad(*target) for arm, target in targets)
            duration_s /= self._config.home_speed_rad_s
        for arm, target in targets:
            arm.follow(*target, arm.box(floor_only=self._moving), self._now_s, duration_s)

    def _targets(self, command: np.void) -> list[tuple[ArmLine, tuple[np.ndarray, float]]]:
        return [
            (arm, (joint_rad[: len(arm.home_rad)].copy(), float(gripper_m)))
            for arm, joint_rad, gripper_m in zip(
                self._arms, command["joint_rad"], command["gripper_m"], strict=True
            )
        ]

    def _make_active(self) -> bool:
        if self._mode in (RigMode.IDLE, RigMode.FREE):
            for arm in self._arms:
                try:
                    arm.activate()
                except RobotError as error:
                    self._fail(arm, Fault.CONTROLLER, str(error))
                    return False
        self._mode = RigMode.ACTIVE
        return True

    def _free(self) -> None:
        for arm in self._arms:
            try:
                arm.free()
            except RobotError as error:
                self._fail(arm, Fault.CONTROLLER, str(error))
                return
        self._mode, self._moving = RigMode.FREE, False

    def _watch_command(self) -> None:
        if self._mode is not RigMode.ACTIVE:
            return
        if self._now_s - self._fresh_s > self._config.stale_command_s:
            self._hold()
        elif self._moving and all(arm.has_arrived() for arm in self._arms):
            self._arrived_seq = self._command_seq
            self._hold()

    def _hold(self) -> None:
        if self._mode is RigMode.ACTIVE:
            for arm in self._arms:
                arm.hold()
            self._mode, self._moving = RigMode.HOLD, False

    def _move(self, period_s: float) -> None:
        motions: Sequence[Motion] = [arm.next_motion(self._now_s) for arm in self._arms]
        if len(self._arms) > 1:
            last = [arm.last for arm in self._arms if arm.last is not None]
            motions, clamp = safety.keep_apart(
                last, motions, self._distance_m, self._config.min_distance_m, period_s
            )
            for arm in self._arms:
                arm.clamps |= clamp
        for arm, motion in zip(self._arms, motions, strict=True):
            try:
                arm.send(motion)
            except RobotError as error:
                self._fail(arm, Fault.CONTROLLER, str(error))
                return

    def _distance_m(self, joint_rad: Sequence[np.ndarray]) -> float:
        first, second = (
            arm.links_m(position) for arm, position in zip(self._arms, joint_rad, strict=True)
        )
        return safety.polyline_distance_m(first, second)

    def _fail(self, arm: ArmLine, fault: Fault, text: str) -> None:
        # The other arm is well and was told where to be: it stays there, powered.
        self._stop_arms([arm])
        self._enter_fault(fault, f"{arm.name}: {text}")

    def _stop_arms(self, arms: Sequence[ArmLine]) -> None:
        for arm in arms:
            try:
                arm.driver.stop()
            except RobotError as error:
                _log.error("%s: %s", arm.name, error)

    def _enter_fault(self, fault: Fault, text: str) -> None:
        if self._mode is not RigMode.FAULT:
            self._fault, self._fault_text = fault, text
        self._mode, self._moving = RigMode.FAULT, False
        _log.error("FAULT %s: %s", fault.name, text)
