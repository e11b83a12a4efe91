"""What an arm may be asked to do, as numbers."""

from __future__ import annotations

import dataclasses
import math

from ..datasets.errors import UsageError


@dataclasses.dataclass(frozen=True)
class SafetyLimits:
    """The limits that every command of an arm is held to, whoever gives it.

    Positions are in the frame of the arm's base. The n numbers of a joint field go from the base
    on.

    Attributes:
      joint_lower_rad: (n,) lowest positions.
      joint_upper_rad: (n,) highest positions.
      speed_rad_s: (n,) largest speeds.
      acceleration_rad_s2: (n,) largest accelerations.
      gripper_upper_m: largest distance of each finger from the middle.
      gripper_speed_m_s: largest speed of a finger.
      box_lower_m: corner x, y, z of the box that the point between the finger tips stays in.
      box_upper_m: the opposite corner.
      first_jump_rad: how far a joint may be from the first target after the arm stood still; a
        farther target is refused, since it is a mistake and not a motion.
    """

    joint_lower_rad: tuple[float, ...]
    joint_upper_rad: tuple[float, ...]
    speed_rad_s: tuple[float, ...]
    acceleration_rad_s2: tuple[float, ...]
    gripper_upper_m: float
    gripper_speed_m_s: float
    box_lower_m: tuple[float, float, float]
    box_upper_m: tuple[float, float, float]
    first_jump_rad: float = 0.5

    def __post_init__(self) -> None:
        """Checks that every range has room and every limit is positive.

        Raises:
          UsageError: it names the field and the value.
        """
        count = len(self.joint_lower_rad)
        for name in ("joint_upper_rad", "speed_rad_s", "acceleration_rad_s2"):
            if len(getattr(self, name)) != count:
                raise UsageError(
                    f"safety limits: {name} has {len(getattr(self, name))} numbers and "
                    f"joint_lower_rad {count}; give one for each joint"
                )
        for pair in (("joint_lower_rad", "joint_upper_rad"), ("box_lower_m", "box_upper_m")):
            lower, upper = getattr(self, pair[0]), getattr(self, pair[1])
            for index, (low, high) in enumerate(zip(lower, upper, strict=True)):
                if not low < high:
                    raise UsageError(
                        f"safety limits: {pair[0]}[{index}] {low} is not below {pair[1]} {high}"
                    )
        for name in ("speed_rad_s", "acceleration_rad_s2", "gripper_upper_m", "gripper_speed_m_s"):
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(math.isfinite(number) and number > 0 for number in numbers):
                raise UsageError(f"safety limits: {name} is {value}; it must be above 0")
