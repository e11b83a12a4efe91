"""Franka robots with the Franka Hand, through franky (`pip install 'serlds[franka]'`).

franky's own thread keeps the robot's 1 kHz loop with a joint impedance law; this driver moves its
reference. What franky leaves to its user, learned by trying it: reading waits for the next message,
up to a second when the robot falls silent; a second connection to a robot waits for ever; after the
network was lost only a new connection helps; the hand takes whole moves and no stream of targets.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import franky
import numpy as np

from ..arm import Arm
from ..errors import RobotError
from .arm_driver import ArmInfo, ArmState

_CONNECT_TIMEOUT_S = 10.0
_FIRST_MESSAGE_S = 2.0
_READ_PERIOD_S = 0.002
_HAND_PERIOD_S = 0.05
_JOIN_S = 4.0
_ERRORS = (franky.Exception, RuntimeError, ValueError)

# The joint impedance that Franka Robotics uses in its examples, and the hand's usual speed.
_STIFFNESS_NM_RAD = np.array([600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0])
_DAMPING_NM_S_RAD = np.array([50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0])
_HAND_SPEED_M_S = 0.1
_HAND_FORCE_N = 30.0
_HAND_STEP_M = 0.002
"""Smaller changes of the gripper's target are not worth interrupting its move for."""

_TRY_TO_CONNECT = """
import sys, franky
try:
    franky.Robot(sys.argv[1], realtime_config=franky.RealtimeConfig.Ignore)
except Exception as error:
    sys.exit(str(error))
"""


class FrankaDriver:
    """One Franka robot with its hand."""

    def __init__(self, arm: Arm, address: str) -> None:
        """`address` is that of the control unit, e.g. 172.16.0.2."""
        self._arm, self._address = arm, address
        self._robot: franky.Robot | None = None
        self._motion: franky.JointImpedanceTrackingMotion | None = None
        self._hand: _Hand | None = None
        self._state: ArmState | None = None
        self._error = ""
        self._ending = threading.Event()
        # franky joins the thread of its control loop where a motion is started or awaited; two at
        # a time would crash the process.
        self._joining = threading.Lock()
        self._reader: threading.Thread | None = None
        self._stopping: threading.Thread | None = None

    def connect(self) -> ArmInfo:
        """See `ArmDriver.connect`."""
        self._try_in_a_child()
        with _as_robot_error():
            self._robot = _robot_at(self._address)
            self._hand = _Hand(self._address)
        self._state, self._error = None, ""
        self._ending.clear()
        self._reader = threading.Thread(target=self._read_on, args=(self._robot,), daemon=True)
        self._reader.start()
        end_s = time.monotonic() + _FIRST_MESSAGE_S
        while self._state is None:
            if self._error or time.monotonic() > end_s:
                error = self._error or "the robot sent no state"
                self.close()
                raise RobotError(error)
            time.sleep(_READ_PERIOD_S)
        lower, upper = np.array(self._arm.joint_bounds_rad)
        return ArmInfo(
            controller_version=f"hand {self._hand.server_version}",
            driver_version=f"franky {_franky_version()}",
            joint_lower_rad=lower,
            joint_upper_rad=upper,
            speed_rad_s=np.array(self._robot.joint_velocity_limit.max),
        )

    def read(self) -> ArmState:
        """See `ArmDriver.read`."""
        if self._state is None:
            raise RobotError("it is not connected")
        if self._error:
            raise RobotError(self._error)
        assert self._hand is not None
        if self._hand.error:
            raise RobotError(f"hand: {self._hand.error}")
        return self._state._replace(gripper_m=self._hand.finger_m)

    def activate(self) -> None:
        """See `ArmDriver.activate`."""
        state = self.read()
        self._wait_for_stop()
        assert self._robot is not None
        motion = franky.JointImpedanceTrackingMotion(
            stiffness=_STIFFNESS_NM_RAD, damping=_DAMPING_NM_S_RAD
        )
        with _as_robot_error():
            motion.set_reference(franky.JointReference(q=state.joint_rad))
            with self._joining:
                self._robot.move(motion, asynchronous=True)
        self._motion = motion

    def free(self) -> None:
        """See `ArmDriver.free`."""
        raise RobotError("a Franka is guided by the button at its hand, not through serlds")

    def command(self, joint_rad: np.ndarray, gripper_m: float, period_s: float) -> None:
        """See `ArmDriver.command`."""
        if self._motion is None or self._hand is None:
            raise RobotError("the arm is not active")
        with _as_robot_error():
            self._motion.set_reference(franky.JointReference(q=joint_rad))
            self._hand.go_to(gripper_m)

    def stop(self) -> None:
        """See `ArmDriver.stop`."""
        self._motion = None
        if self._robot is not None and (self._stopping is None or not self._stopping.is_alive()):
            self._stopping = threading.Thread(
                target=self._come_to_rest, args=(self._robot,), daemon=True
            )
            self._stopping.start()

    def recover(self) -> None:
        """See `ArmDriver.recover`."""
        self.close()
        self.connect()
        assert self._robot is not None
        with _as_robot_error():
            if self._robot.has_errors and not self._robot.recover_from_errors():
                raise RobotError("the robot did not recover; release its stop button, then again")

    def close(self) -> None:
        """See `ArmDriver.close`."""
        if self._error == "":
            self.stop()
        self._wait_for_stop()
        self._ending.set()
        if self._hand is not None:
            self._hand.close()
        if self._reader is not None:
            self._reader.join(_JOIN_S)
        self._robot = self._motion = self._hand = self._reader = self._state = None

    def _try_in_a_child(self) -> None:
        """Connects once in a process that can be ended, since a connection may never return.

        Raises:
          RobotError: it could not.
        """
        try:
            child = subprocess.run(
                [sys.executable, "-c", _TRY_TO_CONNECT, self._address],
                timeout=_CONNECT_TIMEOUT_S,
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RobotError(
                f"no connection within {_CONNECT_TIMEOUT_S:.0f} s -> does another program use the "
                "robot?"
            ) from None
        if child.returncode:
            raise RobotError(
                f"{child.stderr.strip()} -> is it on, the cable in, the address right, are the "
                "joints unlocked and is FCI active in Desk? if versions differ, install the "
                "franky-control built for the robot's system version"
            )

    def _read_on(self, robot: franky.Robot) -> None:
        """Keeps the newest state, in a thread of its own since reading waits."""
        seq = -1
        while not self._ending.is_set():
            try:
                state = robot.state
                ended = self._motion is not None and not robot.is_in_control
                if ended:
                    with self._joining:
                        robot.join_motion(_JOIN_S)  # raises what ended it
                    raise RuntimeError("the robot's control loop ended")
            except _ERRORS as error:
                self._error = str(error)
                return
            now_seq = state.time.to_msec()
            if now_seq != seq:
                seq = now_seq
                self._state = ArmState(
                    seq=seq,
                    device_s=seq * 1e-3,
                    received_s=time.monotonic(),
                    joint_rad=np.array(state.q),
                    joint_rad_s=np.array(state.dq),
                    effort_nm=np.array(state.tau_J),
                    gripper_m=0.0,
                )
            time.sleep(_READ_PERIOD_S)

    def _come_to_rest(self, robot: franky.Robot) -> None:
        # What it raises says that the robot is silent or has ended the motion itself.
        with contextlib.suppress(*_ERRORS), self._joining:
            if robot.is_in_control:
                robot.move(franky.TorqueStopMotion(), asynchronous=True)
                robot.join_motion(_JOIN_S)

    def _wait_for_stop(self) -> None:
        if self._stopping is not None:
            self._stopping.join(2 * _JOIN_S)
            self._stopping = None


class _Hand:
    """The hand: its state read in a thread, its moves started one at a time."""

    def __init__(self, address: str) -> None:
        self._gripper = franky.Gripper(address)
        self.server_version = self._gripper.server_version
        self.finger_m = self._gripper.state.width / 2
        self.error = ""
        self._target_m = self.finger_m
        self._move: franky.BoolFuture | None = None
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def go_to(self, finger_m: float) -> None:
        if abs(finger_m - self._target_m) < _HAND_STEP_M:
            return
        if self._move is not None and not self._move.wait(0.0):
            return  # the loop asks again in a moment
        opens = finger_m > self.finger_m
        self._target_m = finger_m
        if opens:
            self._move = self._gripper.move_async(2 * finger_m, _HAND_SPEED_M_S)
        else:
            # Closes until it holds something, or until the fingers are where they should be.
            anything_m = 2 * self._target_m + 0.1
            self._move = self._gripper.grasp_async(
                2 * finger_m, _HAND_SPEED_M_S, _HAND_FORCE_N, anything_m, anything_m
            )

    def close(self) -> None:
        self._ending.set()
        self._reader.join(_JOIN_S)

    def _read_on(self) -> None:
        while not self._ending.wait(_HAND_PERIOD_S):
            try:
                self.finger_m = self._gripper.state.width / 2
            except _ERRORS as error:
                self.error = str(error)
                return


def _robot_at(address: str) -> franky.Robot:
    """A connection that insists on a real-time kernel where there is one."""
    try:
        return franky.Robot(address)
    except franky.RealtimeException:
        return franky.Robot(address, realtime_config=franky.RealtimeConfig.Ignore)


def _franky_version() -> str:
    return importlib.metadata.version("franky-control")


@contextlib.contextmanager
def _as_robot_error() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise RobotError(str(error)) from error
