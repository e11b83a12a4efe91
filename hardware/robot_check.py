"""What `serlds robot check` does: look at one arm, without moving it, and say what to mend."""

from __future__ import annotations

import dataclasses
import socket
import time
from typing import NamedTuple

import numpy as np

from .drivers.arm_driver import ArmDriver, ArmInfo, ArmState
from .errors import RobotError
from .robots import Robot

_LISTEN_S = 1.0
_PERIOD_S = 0.01
_ENOUGH_HZ = 100.0
_EDGE_RAD = 0.02


class Joint(NamedTuple):
    """A row of the joint table; rad and rad/s."""

    name: str
    measured: float
    lowest: float
    highest: float
    controller_lowest: float
    controller_highest: float
    speed: float
    controller_speed: float


@dataclasses.dataclass
class Check:
    """What was found out.

    Attributes:
      findings: (what, whether it is well, what was seen).
      joints: the joint table; empty if the arm could not be read.
      remedies: what to do, in order; empty if all is well.
    """

    findings: list[tuple[str, bool, str]] = dataclasses.field(default_factory=list)
    joints: list[Joint] = dataclasses.field(default_factory=list)
    remedies: list[str] = dataclasses.field(default_factory=list)

    def note(self, what: str, well: bool, seen: str, remedy: str = "") -> bool:
        """Adds a finding, with its remedy if it is not well; returns whether it is."""
        self.findings.append((what, well, seen))
        if not well:
            self.remedies.append(remedy)
        return well


def check_robot(robot: Robot, address: str) -> Check:
    """Looks at one arm: network, versions, joints, rates. It stays idle."""
    check = Check()
    if robot.port and not _check_network(check, robot, address):
        return check
    driver = robot.driver(address)
    try:
        info = driver.connect()
    except RobotError as error:
        seen, _, remedy = str(error).partition(" -> ")
        check.note("connection", False, seen, remedy)
        return check
    try:
        check.note(
            "versions",
            True,
            f"controller {info.controller_version}, driver {info.driver_version}",
        )
        _check_rates(check, driver)
        _check_joints(check, robot, info, driver.read())
    except RobotError as error:
        check.note("readings", False, str(error), "run `serlds robot recover` and check again")
    finally:
        driver.close()
    return check


def _check_network(check: Check, robot: Robot, address: str) -> bool:
    begin_s = time.monotonic()
    try:
        socket.create_connection((address, robot.port), timeout=2.0).close()
    except OSError as error:
        return check.note(
            "network",
            False,
            f"{address}:{robot.port}: {error}",
            f"switch the controller on and wait until it is up; check the cable; check that "
            f"{address} is its address (usually {robot.usual_address}) and that this computer has "
            "another one in the same subnet, e.g. with `ip address`",
        )
    return check.note(
        "network", True, f"{address} answered in {(time.monotonic() - begin_s) * 1e3:.1f} ms"
    )


def _check_rates(check: Check, driver: ArmDriver) -> None:
    """How often the controller reports, and how evenly this machine keeps a loop of 100 Hz."""
    first, begin_s = driver.read(), time.monotonic()
    late_s = []
    due_s = begin_s
    while (now_s := time.monotonic()) < begin_s + _LISTEN_S:
        late_s.append(now_s - due_s)
        due_s = max(due_s + _PERIOD_S, now_s)
        driver.read()
        time.sleep(max(0.0, due_s - time.monotonic()))
    last = driver.read()
    rate_hz = (last.seq - first.seq) / (time.monotonic() - begin_s)
    check.note(
        "reports",
        rate_hz >= _ENOUGH_HZ,
        f"{rate_hz:.0f} a second",
        f"fewer than {_ENOUGH_HZ:.0f} reports a second: use a cable and not a wireless network, "
        "and nothing between the computer and the controller",
    )
    worst_s = float(np.quantile(late_s, 0.99))
    check.note(
        "loop",
        worst_s < 2 * _PERIOD_S,
        f"100 Hz, 99 of 100 rounds less than {worst_s * 1e3:.1f} ms late",
        "this computer keeps no even pace: end other programs, or train on another computer",
    )


def _check_joints(check: Check, robot: Robot, info: ArmInfo, state: ArmState) -> None:
    limits = robot.limits
    columns = zip(
        robot.arm.joints,
        state.joint_rad,
        limits.joint_lower_rad,
        limits.joint_upper_rad,
        info.joint_lower_rad,
        info.joint_upper_rad,
        limits.speed_rad_s,
        info.speed_rad_s,
        strict=True,
    )
    check.joints = [Joint(name, *map(float, numbers)) for name, *numbers in columns]
    outside = [
        joint.name
        for joint in check.joints
        if not joint.lowest - _EDGE_RAD <= joint.measured <= joint.highest + _EDGE_RAD
    ]
    check.note(
        "posture",
        not outside,
        f"outside the safe range: {', '.join(outside)}" if outside else "inside the safe ranges",
        "move these joints by hand into the safe range before commanding the arm",
    )
    loose = [
        joint.name
        for joint in check.joints
        if joint.lowest < joint.controller_lowest - 1e-4
        or joint.highest > joint.controller_highest + 1e-4
        or joint.speed > joint.controller_speed
    ]
    check.note(
        "limits",
        not loose,
        f"the controller allows less than serlds: {', '.join(loose)}"
        if loose
        else "inside those of the controller",
        "give the rig `SafetyLimits` inside the controller's for these joints",
    )
