"""What a task must know of the real arms in front of it: a small file or dictionary."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.errors import UsageError
from ..hardware.arm import Mount
from ..hardware.rig_config import ArmConfig, RigConfig
from ..hardware.robots import ROBOTS, Robot
from . import arguments
from .robot_success import JUDGES

SIM = "sim"
"""Instead of a setup: the vendor's driver on simulated controllers."""
TWIN = "twin"
"""A camera that shows the task's simulation in the posture of the real arms."""
_CAN_SIM = "trossen"
"""The robot whose controller can be simulated."""
_SIMULATED_HOSTS = ("127.0.0.10", "127.0.0.11")


@dataclasses.dataclass(frozen=True)
class RobotSetup:
    """The arms and cameras of a task, and how it is known to be done.

    Attributes:
      addresses: of the arms' controllers, in the order of the task's arms.
      cameras: by the name of the task's camera: `twin`, or what `hardware.cameras` opens.
      success: when an episode has succeeded, see `robot_success`.
      reset_s: pause after the arms are at the start, in which a person resets the scene.
      simulate: start a simulated controller at each address.
      leaders: addresses of the controllers of leader arms, in the same order, for those who steer
        with them.
      box_lower_m: lowest x, y, z of the box that each tool is kept in, in the frame of its arm's
        base; None: the robot's own.
      box_upper_m: the highest.
    """

    addresses: tuple[str, ...]
    cameras: Mapping[str, str] = dataclasses.field(default_factory=dict)
    success: str = "person"
    reset_s: float = 5.0
    simulate: bool = False
    leaders: tuple[str, ...] = ()
    box_lower_m: tuple[float, float, float] | None = None
    box_upper_m: tuple[float, float, float] | None = None

    def rig_config(self, mounts: Sequence[Mount]) -> RigConfig:
        """The rig of the task's arms."""
        corners = {"box_lower_m": self.box_lower_m, "box_upper_m": self.box_upper_m}
        box = {name: corner for name, corner in corners.items() if corner is not None}
        arms = []
        for mount, address in zip(mounts, self.addresses, strict=True):
            name, robot = robot_of(mount)
            limits = dataclasses.replace(robot.limits, **box)
            arms.append(ArmConfig(name, address, mount.name, mount.pos_m, mount.yaw_rad, limits))
        # A controller at a loopback address is a simulated one: it has no core of its own, and
        # nothing can be hurt.
        is_simulated = all(address.startswith("127.") for address in self.addresses)
        patience = {"stale_state_s": 2.0, "stale_command_s": 1.0} if is_simulated else {}
        return RigConfig(arms=tuple(arms), **patience)


def robot_of(mount: Mount) -> tuple[str, Robot]:
    """The robot with a driver that an arm of a task is; raises UsageError where there is none."""
    for name, robot in ROBOTS.items():
        if robot.arm is mount.arm and robot.needs_address:
            return name, robot
    raise UsageError(f"no driver moves a {mount.arm.robot}; backend=robot is not possible")


def robot_setup(
    value: str | Mapping[str, Any] | None, mounts: Sequence[Mount], cameras: Sequence[str]
) -> RobotSetup:
    """Reads the argument `robot` of a task.

    Args:
      value: `sim`; a path to a JSON file; or what such a file holds: the attributes of
        `RobotSetup`. None: one arm at its usual address.
      mounts: the task's arms.
      cameras: those that the task observes.

    Raises:
      UsageError: something unknown, missing or of another type, naming the file and the field.
    """
    where = "robot"
    if value == SIM:
        value = {
            "addresses": _SIMULATED_HOSTS[: len(mounts)],
            "cameras": dict.fromkeys(cameras, TWIN),
            "success": "lifted",
            "reset_s": 0.0,
            "simulate": True,
        }
    if isinstance(value, str):
        where, value = value, _read(value)
    fields = dict(value or {})
    if fields.get("simulate") and (others := {robot_of(mount)[0] for mount in mounts} - {_CAN_SIM}):
        raise UsageError(
            f"{where}: only controllers of {_CAN_SIM} can be simulated here, not of "
            f"{', '.join(others)}; start a simulated robot yourself and give its address, see "
            "docs/franka.md"
        )
    names = [field.name for field in dataclasses.fields(RobotSetup)]
    if unknown := sorted(set(fields) - set(names)):
        raise UsageError(f"{where}: unknown {', '.join(unknown)}; expected {', '.join(names)}")
    usual = [robot_of(mount)[1].usual_address for mount in mounts]
    addresses = fields.get("addresses", usual if len(mounts) == 1 else ())
    if isinstance(addresses, str) or not all(isinstance(one, str) for one in addresses):
        raise UsageError(f"{where}: addresses={addresses!r}: expected a list of texts")
    if len(addresses) != len(mounts):
        raise UsageError(
            f"{where}: addresses={list(addresses)}: the task has {len(mounts)} arms, give the "
            f"address of each, e.g. {usual}"
        )
    given = fields.get("cameras", {})
    if missing := [name for name in cameras if name not in given]:
        raise UsageError(
            f"{where}: cameras={dict(given)}: the task observes {', '.join(missing)} too; say what "
            f'each is, e.g. {{"{missing[0]}": "opencv:0"}}, or observe fewer (cameras=[])'
        )
    leaders = fields.get("leaders", ())
    if isinstance(leaders, str) or not all(isinstance(one, str) for one in leaders):
        raise UsageError(f"{where}: leaders={leaders!r}: expected a list of texts")
    success = fields.get("success", "person")
    if success not in JUDGES and ":" not in str(success):
        raise UsageError(
            f"{where}: success={success!r}: expected one of {', '.join(JUDGES)}, or module:function"
        )
    return RobotSetup(
        addresses=tuple(addresses),
        cameras={name: given[name] for name in cameras},
        success=success,
        leaders=tuple(leaders),
        reset_s=arguments.number("reset_s", fields.get("reset_s", 5.0), 0.0, 600.0, "s"),
        box_lower_m=_corner(where, "box_lower_m", fields),
        box_upper_m=_corner(where, "box_upper_m", fields),
        simulate=arguments.choice("simulate", fields.get("simulate", False), (True, False)),
    )


def _corner(where: str, name: str, fields: Mapping[str, Any]) -> tuple[float, float, float] | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, Sequence) or len(value) != 3:
        raise UsageError(f"{where}: {name}={value!r}: expected x, y and z in m")
    x, y, z = (arguments.number(name, one, -2.0, 2.0, "m") for one in value)
    return x, y, z


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"robot={path!r}: cannot be read ({error.strerror}); give {SIM}, or a JSON file with "
            f"addresses, cameras, success and reset_s"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found
