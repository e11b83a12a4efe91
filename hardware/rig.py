"""The side of a rig that environments see; the arms are driven by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO

import numpy as np

from ..datasets.errors import UsageError
from .errors import RobotError, RobotFaultError
from .rig_config import RigConfig
from .rig_slots import Request, command_dtype, control_dtype, state_dtype, state_of
from .rig_state import Fault, RigMode, RigState
from .robots import ROBOTS
from .shared_slots import SharedSlots

_START_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 10.0
_HANGS_AFTER_S = 2.0
_POLL_S = 0.002
_RENEW_S = 0.02
_LOG_TAIL_BYTES = 2000
_REMEDY = "look at the arms, then call recover() or run `serlds robot recover`"


class Rig:
    """One or two arms, driven together by a process that keeps them safe.

    The process reads, checks and commands at `config.rate_hz` whatever this one does meanwhile. It
    holds the arms when commands stop coming, and leaves them idle when this process ends.

        with Rig(RigConfig(arms=(ArmConfig("trossen", "192.168.1.2"),))) as rig:
            rig.home()
            state = rig.read()
            seq = rig.command([target_rad], [finger_m], duration_s=0.1)
    """

    def __init__(self, config: RigConfig) -> None:
        """Nothing is started or connected yet."""
        self.config = config
        self._joints = [len(ROBOTS[arm.robot].arm.joints) for arm in config.arms]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process that drives the arms; None while there is none."""
        return self._process.pid if self._process else None

    def start(self) -> RigState:
        """Starts the process, connects the arms and waits until they are IDLE.

        Raises:
          RobotError: an arm cannot be reached, is in use, or its versions do not fit; the message
            names the arm and what to do. Nothing keeps running.
        """
        if self._process is not None:
            raise UsageError("this rig was started already; close() it first")
        shared = SharedSlots(command_dtype(self.config), control_dtype(), state_dtype(self.config))
        self._command, self._control, self._state = shared.slots
        self._command_record = np.zeros(1, self._command.dtype)
        self._control_record = np.zeros(1, self._control.dtype)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed with the rig
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"{__package__}.rig_process",
                str(shared.fd),
                str(os.getpid()),
                self.config.to_json(),
            ],
            pass_fds=(shared.fd,),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which decides what it means
        )
        shared.close()
        try:
            return self._wait_until_connected()
        except BaseException:
            self.close()
            raise

    def read(self) -> RigState:
        """What the rig saw and did last: at once, in any mode.

        Raises:
          RobotError: the rig was not started, its process died or hangs.
        """
        process = self._started()
        code = process.poll()
        if code is not None:
            raise RobotError(
                f"the process of the rig ended with {_exit_text(code)}; its arms stay as they "
                f"are: look at them, close() and start() again{self._log_tail()}"
            )
        state = self._read_slot()
        silent_s = time.monotonic() - state.loop_s
        if state.mode is not RigMode.FAULT and silent_s > _HANGS_AFTER_S:
            raise RobotError(
                f"the process {process.pid} of the rig has done nothing for {silent_s:.1f} s; look "
                "at the arms, then close() and start() again"
            )
        return state

    def command(
        self,
        joint_rad: Sequence[np.ndarray],
        gripper_m: Sequence[float],
        duration_s: float = 0.0,
    ) -> int:
        """Asks for new targets, at once; makes an IDLE or holding rig ACTIVE.

        A command must follow within `config.stale_command_s`, else the arms hold. What really is
        sent is in `read().arms`: `requested_*`, `sent_*` and `clamps`, for the command
        `read().command_seq`. If one arm's target is refused, neither arm follows.

        Args:
          joint_rad: for each arm (n,), joint positions.
          gripper_m: for each arm, distance of each finger from the middle.
          duration_s: when to be there: the way there is even. 0: as fast as the limits allow.

        Returns:
          The command's number; `read().command_seq` reaches it within about one period.

        Raises:
          UsageError: a wrong number of arms or joints, or a duration that is none.
          RobotFaultError: the rig is in FAULT; a person must look and call `recover`.
          RobotError: the process died or hangs.
        """
        if not 0.0 <= duration_s <= 60.0:
            raise UsageError(f"duration_s is {duration_s}; expected 0 to 60 s")
        self._healthy()
        return self._send(Request.FOLLOW, joint_rad, gripper_m, duration_s)

    def wait_for(self, command_seq: int, timeout_s: float = 1.0) -> RigState:
        """Waits until a command was taken up and, unless it was refused, first sent.

        Raises:
          RobotError: it was not within `timeout_s`.
          RobotFaultError: the rig went into FAULT.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            state = self._healthy()
            if state.command_seq >= command_seq:
                return state
            if time.monotonic() > end_s:
                raise RobotError(f"command {command_seq} was not taken up within {timeout_s} s")
            time.sleep(_POLL_S)

    def hold(self) -> None:
        """Keeps the arms where they are now, without waiting for commands to become stale.

        Raises:
          RobotError: the process died or hangs.
        """
        self.read()
        nowhere = [np.zeros(joints) for joints in self._joints]
        self._send(Request.HOLD, nowhere, [0.0] * len(nowhere), 0.0)

    def free(self) -> RigState:
        """Lets a person move the arms by hand until the next command, and waits until they can.

        They are watched as ever: what falls silent or reports an error leads to FAULT.

        Raises:
          RobotFaultError: the rig is or went into FAULT, e.g. because an arm cannot do that.
          RobotError: the process died or hangs.
        """
        self._healthy()
        nowhere = [np.zeros(joints) for joints in self._joints]
        return self.wait_for(self._send(Request.FREE, nowhere, [0.0] * len(nowhere), 0.0))

    def home(self, timeout_s: float = 60.0) -> RigState:
        """Moves all arms slowly to their `tool_down_joint_rad` with open grippers, and waits.

        See `move_to`.
        """
        arms = [ROBOTS[arm.robot].arm for arm in self.config.arms]
        return self.move_to(
            [arm.tool_down_joint_rad for arm in arms],
            [arm.safety.gripper_upper_m for arm in self.config.arms],
            timeout_s,
        )

    def move_to(
        self,
        joint_rad: Sequence[np.ndarray],
        gripper_m: Sequence[float],
        timeout_s: float = 60.0,
        on_wait: Callable[[], None] = lambda: None,
    ) -> RigState:
        """Moves all arms slowly to a posture, and waits until they stand there, holding.

        The workspace box does not hold on the way, but its floor does. Ctrl-C ends it: the arms
        then hold.

        Args:
          joint_rad: for each arm (n,).
          gripper_m: for each arm, distance of each finger from the middle.
          timeout_s: it must be over by then.
          on_wait: called again and again on the way; what it raises ends the move.

        Raises:
          UsageError: a wrong number of arms or joints.
          RobotError: something kept the arms from arriving within `timeout_s`.
          RobotFaultError: the rig is or went into FAULT.
        """
        self._healthy()
        seq = self._send(Request.MOVE, joint_rad, gripper_m, 0.0)
        end_s = time.monotonic() + timeout_s
        try:
            while (state := self._healthy()).arrived_seq != seq:
                if not self._is_newest(seq):
                    raise RobotError("the slow move was interrupted by another command")
                if time.monotonic() > end_s:
                    raise RobotError(
                        f"the arms did not arrive within {timeout_s} s: {_clamps_text(state)}"
                    )
                if state.command_seq == seq and state.mode is not RigMode.ACTIVE:
                    if any(arm.clamps.refused for arm in state.arms):
                        raise RobotError(f"the slow move was refused: {_clamps_text(state)}")
                    # This process was held up, and so the arms held.
                    seq = self._send(Request.MOVE, joint_rad, gripper_m, 0.0)
                    continue
                on_wait()
                time.sleep(_RENEW_S)
                self._renew(seq)
            return state
        except BaseException:
            if self._process is not None and self._process.poll() is None:
                self._send(Request.HOLD, joint_rad, gripper_m, 0.0)
            raise

    def stop(self) -> None:
        """Stops all arms at once and latches FAULT; any thread may call it, in any mode.

        This is software: it does not replace the button that cuts the power.

        Raises:
          RobotError: the rig was not started.
        """
        self._started()
        with self._lock:
            self._control_record["stops"] += 1
            self._control.write(self._control_record)

    def recover(self, timeout_s: float = 20.0) -> RigState:
        """Leaves FAULT for IDLE: clears the controllers' errors and connects again.

        For a person who has looked at the arms; no program should call it by itself. Without a
        fault it does nothing.

        Raises:
          RobotError: the arms are still not well; FAULT stays.
        """
        self.read()
        with self._lock:
            self._control_record["recoveries"] += 1
            wanted = int(self._control_record["recoveries"][0])
            self._control.write(self._control_record)
        end_s = time.monotonic() + timeout_s
        while int(self._state.read()["recoveries"][0]) != wanted:
            self.read()
            if time.monotonic() > end_s:
                raise RobotError(f"the rig did not recover within {timeout_s} s")
            time.sleep(_POLL_S)
        return self._healthy()

    def close(self) -> None:
        """Leaves the arms idle and ends the process; again and again is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Rig:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_connected(self) -> RigState:
        process = self._started()
        end_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            ended = process.poll() is not None
            state = self._read_slot()
            if state.fault is Fault.CONNECTION:
                raise RobotError(state.fault_text)
            if state.loops:
                return state
            if ended or time.monotonic() > end_s:
                how = "ended" if ended else f"did not start within {_START_TIMEOUT_S:.0f} s"
                raise RobotError(f"the process of the rig {how}{self._log_tail()}")
            time.sleep(_POLL_S)

    def _send(
        self,
        request: Request,
        joint_rad: Sequence[np.ndarray],
        gripper_m: Sequence[float],
        duration_s: float,
    ) -> int:
        self._check_shapes(joint_rad, gripper_m)
        with self._lock:
            record = self._command_record
            record["seq"] += 1
            record["request"] = request
            record["sent_s"] = time.monotonic()
            record["duration_s"] = duration_s
            for index, (joints, target) in enumerate(zip(self._joints, joint_rad, strict=True)):
                record["joint_rad"][0, index, :joints] = target
            record["gripper_m"][0] = gripper_m
            self._command.write(record)
            return int(record["seq"][0])

    def _is_newest(self, seq: int) -> bool:
        with self._lock:
            return int(self._command_record["seq"][0]) == seq

    def _renew(self, seq: int) -> None:
        """Tells that the slow move `seq` is still wanted, unless another command came since."""
        with self._lock:
            if int(self._command_record["seq"][0]) == seq:
                self._command_record["sent_s"] = time.monotonic()
                self._command.write(self._command_record)

    def _check_shapes(self, joint_rad: Sequence[np.ndarray], gripper_m: Sequence[float]) -> None:
        shapes = [np.shape(target) for target in joint_rad]
        wanted = [(joints,) for joints in self._joints]
        if shapes != wanted or len(gripper_m) != len(wanted):
            raise UsageError(
                f"this rig takes joint positions of shapes {wanted} and {len(wanted)} gripper "
                f"positions, found {shapes} and {len(gripper_m)}"
            )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RobotError("this rig is not running; call start()")
        return self._process

    def _read_slot(self) -> RigState:
        return state_of(self._state.read(), self._joints)

    def _healthy(self) -> RigState:
        state = self.read()
        if state.mode is RigMode.FAULT:
            raise RobotFaultError(f"{state.fault.name}: {state.fault_text}; {_REMEDY}")
        return state

    def _log_tail(self) -> str:
        assert self._log is not None
        size = os.fstat(self._log.fileno()).st_size
        offset = max(0, size - _LOG_TAIL_BYTES)
        text = os.pread(self._log.fileno(), _LOG_TAIL_BYTES, offset).decode(errors="replace")
        return f". It wrote:\n{text.strip()}" if text.strip() else ""


def _exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _clamps_text(state: RigState) -> str:
    texts = [f"arm {index}: {arm.clamps!r}" for index, arm in enumerate(state.arms) if arm.clamps]
    return ", ".join(texts) or "nothing was clamped"
