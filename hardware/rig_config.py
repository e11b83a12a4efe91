"""Which arms a rig has, where they stand and how its process watches over them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ..datasets.errors import UsageError
from .robots import ROBOTS, robot_named
from .safety_limits import SafetyLimits

MAX_ARMS = 2


@dataclasses.dataclass(frozen=True)
class ArmConfig:
    """One arm of a rig.

    Attributes:
      robot: a name in `robots.ROBOTS`, e.g. `trossen`: the driver and the description of the arm.
      address: of its controller, e.g. `192.168.1.2`; empty for an arm simulated in the process.
      name: tells the arms of a pair apart, e.g. `left`; empty for an only arm.
      pos_m: of the base in the frame of the rig.
      yaw_rad: turn of the base about z.
      limits: None: those of the robot.
    """

    robot: str
    address: str = ""
    name: str = ""
    pos_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_rad: float = 0.0
    limits: SafetyLimits | None = None

    def __post_init__(self) -> None:
        """Checks the robot's name, that there is an address and the number of joints."""
        robot = robot_named(self.robot)
        if robot.needs_address and not self.address:
            raise UsageError(
                f"robot {self.robot!r}: there is no address; give that of its controller, e.g. "
                f"{robot.usual_address}"
            )
        if len(self.safety.joint_lower_rad) != len(robot.arm.joints):
            raise UsageError(
                f"robot {self.robot!r} has {len(robot.arm.joints)} joints, its safety limits "
                f"{len(self.safety.joint_lower_rad)}"
            )

    @property
    def safety(self) -> SafetyLimits:
        """The limits that hold."""
        return self.limits or ROBOTS[self.robot].limits


@dataclasses.dataclass(frozen=True)
class RigConfig:
    """The arms that one process drives together, and its deadlines.

    Attributes:
      arms: one, or two that share a table.
      rate_hz: of the loop that reads, checks and commands.
      stale_state_s: a controller silent for so long is a fault.
      stale_command_s: after so long without a new command the arms hold where they are.
      home_speed_rad_s: of the fastest joint on the way home.
      min_distance_m: the links of two arms are kept so far apart, centre line to centre line.
    """

    arms: tuple[ArmConfig, ...]
    rate_hz: float = 100.0
    stale_state_s: float = 0.15
    stale_command_s: float = 0.25
    home_speed_rad_s: float = 0.4
    min_distance_m: float = 0.12

    def __post_init__(self) -> None:
        """Checks the number of arms, their names and the rate."""
        if not 1 <= len(self.arms) <= MAX_ARMS:
            raise UsageError(f"a rig has 1 to {MAX_ARMS} arms, found {len(self.arms)}")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise UsageError(f"the arms of a rig need names of their own, found {names}")
        if not 20.0 <= self.rate_hz <= 500.0:
            raise UsageError(f"rate_hz is {self.rate_hz}; a rig runs at 20 to 500 Hz")

    def to_json(self) -> str:
        """All of it, for the rig's process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RigConfig:
        """What `to_json` wrote."""
        fields = json.loads(text)
        arms = tuple(_arm_config(arm) for arm in fields.pop("arms"))
        return cls(arms=arms, **fields)


def _arm_config(fields: dict[str, Any]) -> ArmConfig:
    limits = fields.pop("limits")
    return ArmConfig(
        **{name: _as_tuple(value) for name, value in fields.items()},
        limits=limits
        and SafetyLimits(**{name: _as_tuple(value) for name, value in limits.items()}),
    )


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
