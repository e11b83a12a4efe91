"""The robots that serlds can drive, by name."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from ..datasets.errors import UsageError
from .arm import Arm
from .drivers.arm_driver import ArmDriver
from .franka import FRANKA, LINKS
from .safety_limits import SafetyLimits
from .widowx import WIDOWX

_BOX_MARGIN_M = 0.02
"""Tasks keep to `Arm.limits`; the last line of defence is a little behind that."""


@dataclasses.dataclass(frozen=True)
class Robot:
    """A kind of arm with its driver.

    Attributes:
      arm: its description.
      limits: what every command is held to unless a rig's config says otherwise.
      driver_class: `module:class` in `hardware/drivers`, imported when an arm is driven; it is
        made with the description and the address.
      needs_address: False for an arm that is simulated in the process itself.
      usual_address: of a controller as it leaves the factory.
      port: where the controller listens for TCP connections.
    """

    arm: Arm
    limits: SafetyLimits
    driver_class: str
    needs_address: bool = True
    usual_address: str = ""
    port: int = 0

    def driver(self, address: str) -> ArmDriver:
        """A driver for the arm at an address; not connected yet.

        Raises:
          UsageError: the vendor's library is not installed.
        """
        module, _, name = self.driver_class.partition(":")
        try:
            make: Any = getattr(importlib.import_module(f".drivers.{module}", __package__), name)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"driving a {module} needs the package {error.name}; install it with "
                f"pip install 'serlds[{module}]'"
            ) from error
        return make(self.arm, address)


def robot_named(name: str) -> Robot:
    """The robot of that name.

    Raises:
      UsageError: there is none; the message lists them.
    """
    if name not in ROBOTS:
        raise UsageError(f"there is no robot {name!r}; the robots are {', '.join(ROBOTS)}")
    return ROBOTS[name]


def _box(arm: Arm) -> dict[str, tuple[float, float, float]]:
    x, y, z = (value - _BOX_MARGIN_M for value in arm.limits.lower_m)
    lower = (x, y, max(z, 0.0))
    x, y, z = (value + _BOX_MARGIN_M for value in arm.limits.upper_m)
    return {"box_lower_m": lower, "box_upper_m": (x, y, z)}


# The upper ends of the ranges are 0.02 rad inside those of the controller. The lower ends are not:
# at rest the arm lies on those of its second and third joint.
_WIDOWX_LIMITS = SafetyLimits(
    joint_lower_rad=(-3.03, 0.0, 0.0, -1.55, -1.55, -3.12),
    joint_upper_rad=(3.03, 3.12, 2.33, 1.55, 1.55, 3.12),
    speed_rad_s=(1.5,) * 6,
    acceleration_rad_s2=(12.0,) * 6,
    gripper_upper_m=WIDOWX.finger_travel_m,
    gripper_speed_m_s=0.15,
    **_box(WIDOWX),
)
_FRANKA_LIMITS = SafetyLimits(
    joint_lower_rad=tuple(link.lower_rad + 0.05 for link in LINKS),
    joint_upper_rad=tuple(link.upper_rad - 0.05 for link in LINKS),
    speed_rad_s=(1.0,) * 7,
    acceleration_rad_s2=(5.0,) * 7,
    gripper_upper_m=FRANKA.finger_travel_m,
    gripper_speed_m_s=10.0,  # the hand takes whole moves and keeps its own speed
    **_box(FRANKA),
)

ROBOTS: Mapping[str, Robot] = {
    "trossen": Robot(
        WIDOWX,
        _WIDOWX_LIMITS,
        "trossen:TrossenDriver",
        usual_address="192.168.1.2",
        port=50001,
    ),
    "trossen-leader": Robot(
        WIDOWX,
        _WIDOWX_LIMITS,
        "trossen:TrossenLeaderDriver",
        usual_address="192.168.1.3",
        port=50001,
    ),
    "franka": Robot(
        FRANKA,
        _FRANKA_LIMITS,
        "franka:FrankaDriver",
        usual_address="172.16.0.2",
        port=1337,
    ),
    "simulated-widowx": Robot(
        WIDOWX, _WIDOWX_LIMITS, "simulated:SimulatedDriver", needs_address=False
    ),
    "simulated-franka": Robot(
        FRANKA, _FRANKA_LIMITS, "simulated:SimulatedDriver", needs_address=False
    ),
}
"""By the name that `--robot` takes."""
