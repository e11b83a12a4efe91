"""Trossen WidowX AI arms, through the vendor's driver `trossen-arm`.

What that driver leaves to its user, learned by trying it: it limits neither speed nor jumps; a
controller that falls silent raises nothing; without `cleanup` its destructor stops the whole
interpreter for the connection's timeout; a blocking move cannot be interrupted; a Cartesian target
out of reach ends its thread. So only joint targets are sent, never blocking.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import threading
import time
from collections.abc import Iterator

import numpy as np
import trossen_arm

from ..arm import Arm
from ..errors import RobotError
from .arm_driver import ArmInfo, ArmState

_TIMEOUT_S = 2.5
_ERRORS = (RuntimeError, AssertionError)  # trossen_arm.LogicError is an AssertionError


class TrossenDriver:
    """One WidowX AI follower arm."""

    _END_EFFECTOR = trossen_arm.StandardEndEffector.wxai_v0_follower

    def __init__(self, arm: Arm, address: str) -> None:
        """`address` is that of the controller, e.g. 192.168.1.2."""
        self._joints = len(arm.joints)
        self._address = address
        self._driver = trossen_arm.TrossenArmDriver()
        self._driver.set_log_level(trossen_arm.LogLevel.error)
        self._seq, self._received_s = -1, 0.0
        self._stopping: threading.Thread | None = None

    def connect(self) -> ArmInfo:
        """See `ArmDriver.connect`."""
        self._configure(clear_error=False)
        with self._as_robot_error():
            limits = self._driver.get_joint_limits()[: self._joints]
            return ArmInfo(
                controller_version=self._driver.get_controller_version(),
                driver_version=self._driver.get_driver_version(),
                joint_lower_rad=np.array([limit.position_min for limit in limits]),
                joint_upper_rad=np.array([limit.position_max for limit in limits]),
                speed_rad_s=np.array([limit.velocity_max for limit in limits]),
            )

    def read(self) -> ArmState:
        """See `ArmDriver.read`."""
        with self._as_robot_error():
            output = self._driver.get_robot_output()
        joints = output.joint.all
        if len(joints.positions) != self._joints + 1:
            raise RobotError("it is not connected")
        if output.header.id != self._seq:
            self._seq, self._received_s = output.header.id, time.monotonic()
        return ArmState(
            seq=self._seq,
            device_s=output.header.timestamp * 1e-6,
            received_s=self._received_s,
            joint_rad=np.array(joints.positions[:-1]),
            joint_rad_s=np.array(joints.velocities[:-1]),
            effort_nm=np.array(joints.efforts[:-1]),
            gripper_m=joints.positions[-1],
        )

    def activate(self) -> None:
        """See `ArmDriver.activate`."""
        self._wait_for_stop()
        with self._as_robot_error():
            self._driver.set_all_modes(trossen_arm.Mode.position)

    def free(self) -> None:
        """See `ArmDriver.free`."""
        self._wait_for_stop()
        with self._as_robot_error():
            # The controller compensates gravity and friction; the effort asked for comes on top.
            self._driver.set_all_modes(trossen_arm.Mode.external_effort)
            self._driver.set_all_external_efforts([0.0] * (self._joints + 1), 0.0, False)

    def command(self, joint_rad: np.ndarray, gripper_m: float, period_s: float) -> None:
        """See `ArmDriver.command`."""
        with self._as_robot_error():
            self._driver.set_all_positions([*joint_rad, gripper_m], period_s, False)

    def stop(self) -> None:
        """See `ArmDriver.stop`."""
        if self._stopping is None or not self._stopping.is_alive():
            # A silent controller keeps this call for the whole timeout.
            self._stopping = threading.Thread(target=self._make_idle, daemon=True)
            self._stopping.start()

    def recover(self) -> None:
        """See `ArmDriver.recover`."""
        self._wait_for_stop()
        self._driver.cleanup()
        self._configure(clear_error=True)

    def close(self) -> None:
        """See `ArmDriver.close`."""
        self._wait_for_stop()
        self._driver.cleanup()

    def _configure(self, clear_error: bool) -> None:
        with self._as_robot_error():
            try:
                self._driver.configure(
                    trossen_arm.Model.wxai_v0,
                    self._END_EFFECTOR,
                    self._address,
                    clear_error,
                    _TIMEOUT_S,
                )
                # A failed connection may raise nothing: the readings are then empty.
                if len(self._driver.get_all_positions()) != self._joints + 1:
                    raise RuntimeError("the controller sent no joint positions")
                self._driver.set_all_modes(trossen_arm.Mode.idle)
            except _ERRORS as error:
                self._driver.cleanup()
                raise RuntimeError(f"{error}\n-> {self._remedy(str(error))}") from error

    def _remedy(self, error: str) -> str:
        if "must match" in error:
            return (
                f"trossen-arm {importlib.metadata.version('trossen-arm')} is installed: install "
                "the one of the firmware's version, or update the firmware"
            )
        if "Failed to" in error:
            return (
                "is the power on, the cable in, the address right, this computer in its subnet, "
                "and no other program using the arm?"
            )
        return f"look at the arm, then run `serlds robot recover --ip {self._address}`"

    def _make_idle(self) -> None:
        # What it raises says only that the controller is silent or has idled the joints itself.
        with contextlib.suppress(*_ERRORS):
            self._driver.set_all_modes(trossen_arm.Mode.idle)

    def _wait_for_stop(self) -> None:
        if self._stopping is not None:
            self._stopping.join()
            self._stopping = None

    @contextlib.contextmanager
    def _as_robot_error(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            lines = [line for line in str(error).splitlines() if "troubleshooting" not in line]
            raise RobotError(" ".join(lines).strip()) from error


class TrossenLeaderDriver(TrossenDriver):
    """One WidowX AI leader arm, which has a handle instead of a gripper."""

    _END_EFFECTOR = trossen_arm.StandardEndEffector.wxai_v0_leader
