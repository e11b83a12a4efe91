"""The verbs for a person at a robot: check, home, stop, recover."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from ..datasets.errors import UsageError

if TYPE_CHECKING:
    from ..hardware.robot_check import Check

RobotName = Annotated[str, arg(metavar="NAME")]
Address = Annotated[str | None, arg(metavar="ADDRESS")]


def check(
    robot: RobotName = "trossen",
    ip: Address = None,
    sim: bool = False,
    cameras: Annotated[tuple[str, ...], arg(metavar="NAME=SOURCE")] = (),
) -> int:
    """Looks at an arm without moving it: network, versions, joints, rates; says what to mend.

    Exit code 1 when something is wrong.

    Args:
      robot: trossen, trossen-leader or franka.
      ip: Address of the arm's controller, e.g. 192.168.1.2.
      sim: Start a simulated controller and look at that.
      cameras: Look at these, too, e.g. front=opencv:0 wrist=realsense:SERIAL.
    """
    from ..hardware.cameras.camera_check import check_cameras
    from ..hardware.robot_check import check_robot
    from ..hardware.robots import robot_named

    with _arm(robot, ip, sim) as (name, address):
        report = check_robot(robot_named(name), address)
    check_cameras(cameras, report)
    _show(report)
    return 1 if report.remedies else 0


def home(robot: RobotName = "trossen", ip: Address = None, sim: bool = False) -> int:
    """Moves one arm slowly to its home posture; Ctrl-C stops it. Then the arm is left idle.

    Only the floor of its workspace is watched: clear the way, and see that no other arm is in it.

    Args:
      robot: trossen, trossen-leader or franka.
      ip: Address of the arm's controller, e.g. 192.168.1.2.
      sim: Start a simulated controller and move that.
    """
    from ..hardware.rig import Rig
    from ..hardware.rig_config import ArmConfig, RigConfig

    with _arm(robot, ip, sim) as (name, address):
        # A simulated controller competes with this process for the machine: it may be late.
        patience = {"stale_state_s": 1.0} if sim else {}
        config = RigConfig(arms=(ArmConfig(name, address),), **patience)
        with Rig(config) as rig:
            (arm,) = rig.home().arms
    print("at home: " + " ".join(f"{value:.3f}" for value in arm.joint_rad) + " rad")
    return 0


def stop(ip: Address = None) -> int:
    """Stops every arm that serlds drives on this machine; `serlds robot recover` goes on.

    It is software: it does not replace the button that cuts the power.

    Args:
      ip: Stop only the arm with this address, and the one it works with.
    """
    from ..hardware.running_rigs import running_rigs

    rigs = running_rigs(ip)
    for rig in rigs:
        rig.signal(signal.SIGUSR1)
        print(f"stopped {rig}")
    if not rigs:
        print("serlds drives no such arm on this machine")
    return 0


def recover(robot: RobotName = "trossen", ip: Address = None) -> int:
    """Clears the fault of every arm that serlds drives on this machine, or of one controller.

    First look at the arms, at what stopped them, and clear the way: commands move them again.

    Args:
      robot: trossen, trossen-leader or franka.
      ip: Only the arm with this address; serlds need not be driving it.
    """
    from ..hardware.robots import robot_named
    from ..hardware.running_rigs import running_rigs

    rigs = running_rigs(ip)
    for rig in rigs:
        rig.signal(signal.SIGUSR2)
        print(f"asked to recover: {rig}")
    if rigs:
        return 0
    if ip is None:
        raise UsageError(
            "serlds drives no arm on this machine; to clear a controller's error name it: "
            "serlds robot recover --robot trossen --ip ADDRESS"
        )
    driver = robot_named(robot).driver(ip)
    try:
        driver.recover()
    finally:
        driver.close()
    print(f"{robot} {ip} has no error and is idle")
    return 0


@contextlib.contextmanager
def _arm(robot: str, ip: str | None, sim: bool) -> Iterator[tuple[str, str]]:
    """The name and the address of the robot to use, with a simulated controller if asked for."""
    from ..hardware.robots import robot_named

    usual_address = robot_named(robot).usual_address
    if not sim:
        if ip is None and robot_named(robot).needs_address:
            raise UsageError(
                f"there is no address; add --ip, e.g. --ip {usual_address}, or --sim to try it "
                "without a robot"
            )
        yield robot, ip or ""
    elif robot == "trossen":
        from ..hardware.trossen_sim import DEFAULT_HOST, SimulatedController

        with SimulatedController(ip or DEFAULT_HOST) as controller:
            yield robot, controller.host
    elif robot == "franka":
        yield "simulated-franka", ""
    else:
        raise UsageError(f"robot {robot!r} has no simulated controller; leave --sim away")


def _show(report: Check) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    findings = Table(show_header=False, box=None, pad_edge=False)
    for what, well, seen in report.findings:
        findings.add_row(f"[bold]{what}[/]", "[green]ok[/]" if well else "[red]wrong[/]", seen)
    console.print(findings)
    if report.joints:
        joints = Table(
            "joint", "now [rad]", "safe range", "controller's", "speed [rad/s]", "controller's",
            box=None,
        )  # fmt: skip
        for joint in report.joints:
            joints.add_row(
                joint.name,
                f"{joint.measured:+.3f}",
                f"{joint.lowest:+.2f} .. {joint.highest:+.2f}",
                f"{joint.controller_lowest:+.2f} .. {joint.controller_highest:+.2f}",
                f"{joint.speed:.2f}",
                f"{joint.controller_speed:.2f}",
            )
        console.print()
        console.print(joints)
    for remedy in report.remedies:
        console.print(f"[yellow]-> {remedy}[/]")
