"""What a rig needs of the driver of an arm."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class ArmState(NamedTuple):
    """An arm as its controller last reported it."""

    seq: int
    """Counts the controller's messages: the same number twice means that there is no news."""
    device_s: float
    """When it was measured, by the clock of the controller."""
    received_s: float
    """`time.monotonic` when this number was read first."""
    joint_rad: np.ndarray
    """(n,)."""
    joint_rad_s: np.ndarray
    """(n,)."""
    effort_nm: np.ndarray
    """(n,)."""
    gripper_m: float
    """Distance of each finger from the middle."""


class ArmInfo(NamedTuple):
    """What a controller says about itself when it is connected."""

    controller_version: str
    driver_version: str
    joint_lower_rad: np.ndarray
    """(n,)."""
    joint_upper_rad: np.ndarray
    """(n,)."""
    speed_rad_s: np.ndarray
    """(n,) largest speeds."""


class ArmDriver(Protocol):
    """The driver of one arm, for one thread.

    `read` and `command` never wait for the controller. Whatever goes wrong in any method is raised
    as `RobotError`; a controller that falls silent may raise nothing, only `ArmState.seq` stops.
    """

    def connect(self) -> ArmInfo:
        """Connects, within a few seconds, and leaves the arm idle.

        Raises:
          RobotError: there is no answer, the versions do not fit, or the controller has an error.
        """
        ...

    def read(self) -> ArmState:
        """The last report of the controller."""
        ...

    def activate(self) -> None:
        """Makes the idle arm hold where it is and follow `command`."""
        ...

    def free(self) -> None:
        """Lets a person move the arm by hand: it carries its own weight and resists nothing.

        Raises:
          RobotError: this arm cannot do that.
        """
        ...

    def command(self, joint_rad: np.ndarray, gripper_m: float, period_s: float) -> None:
        """Sends targets, to be reached in `period_s`, when the next ones are due."""
        ...

    def stop(self) -> None:
        """Leaves the arm idle, at once if the controller answers, without waiting if not."""
        ...

    def recover(self) -> None:
        """Clears the controller's errors, connecting again if that is needed; the arm is idle.

        Raises:
          RobotError: that did not help.
        """
        ...

    def close(self) -> None:
        """Leaves the arm idle and disconnects; again and again is fine."""
        ...
