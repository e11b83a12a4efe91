"""What a rig tells of itself: its mode, its fault, and for each arm what was measured and sent."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np


class RigMode(enum.IntEnum):
    """What a rig does; `docs/robots.md` draws what leads from one to another."""

    DISCONNECTED = 0
    """No controller is connected."""
    IDLE = 1
    """Connected; the arms stand braked and nothing is sent."""
    ACTIVE = 2
    """The arms follow commands."""
    HOLD = 3
    """The arms are kept where the last command brought them; the next command goes on."""
    FAULT = 4
    """Something went wrong, or someone stopped the rig; only `recover` leads out."""
    FREE = 5
    """A person moves the arms by hand: they carry their own weight, and nothing is sent."""


class Fault(enum.IntEnum):
    """Why a rig is in FAULT."""

    NONE = 0
    STOPPED = 1
    """A software stop: `Rig.stop` or `serlds robot stop`."""
    STALE_STATE = 2
    """A controller is silent: no power, a pulled cable, a frozen controller."""
    CONTROLLER = 3
    """A controller reports an error, or its driver does."""
    CONNECTION = 4
    """A controller could not be reached."""


class Clamp(enum.IntFlag):
    """Why something else was sent to an arm than was asked for."""

    NONE = 0
    NOT_FINITE = enum.auto()
    """Refused: a number was NaN or infinite."""
    JUMP = enum.auto()
    """Refused: the first target was too far from where the arm stood."""
    JOINT_LIMIT = enum.auto()
    GRIPPER_LIMIT = enum.auto()
    WORKSPACE = enum.auto()
    """The tool would have left its box."""
    SPEED = enum.auto()
    ACCELERATION = enum.auto()
    ARMS_APART = enum.auto()
    """The arms would have come too near each other."""

    @property
    def refused(self) -> bool:
        """Whether nothing of the target was followed."""
        return bool(self & (Clamp.NOT_FINITE | Clamp.JUMP))


class ArmReport(NamedTuple):
    """One arm as its rig saw it last. Times are of `time.monotonic` but for `device_s`.

    Recordings take the executed action from `sent_*`, what was wished for from `requested_*`, and
    why they differ from `clamps`.
    """

    seq: int
    """Counts the controller's messages."""
    device_s: float
    """When this was measured, by the clock of the controller."""
    received_s: float
    """When the rig saw it first."""
    joint_rad: np.ndarray
    """(n,) measured."""
    joint_rad_s: np.ndarray
    """(n,) measured."""
    effort_nm: np.ndarray
    """(n,) measured."""
    gripper_m: float
    """Measured distance of each finger from the middle; the opening is twice that."""
    requested_joint_rad: np.ndarray
    """(n,) the target of the command `command_seq`, as it came."""
    requested_gripper_m: float
    sent_joint_rad: np.ndarray
    """(n,) what the driver was sent last; NaN while the arm is idle."""
    sent_gripper_m: float
    clamps: Clamp
    """All that was clamped or refused since the command `command_seq` came."""


class RigState(NamedTuple):
    """A rig at one moment."""

    mode: RigMode
    arrived_seq: int
    """The last command of `Rig.move_to` or `Rig.home` that got the arms there."""
    fault: Fault
    fault_text: str
    """Which arm, what happened and what to do; empty without a fault."""
    loop_s: float
    """`time.monotonic` of the loop's last round."""
    loops: int
    """Rounds so far."""
    late: int
    """Rounds that began more than a period late."""
    command_seq: int
    """The last command that the rig took up; 0 before the first."""
    arms: tuple[ArmReport, ...]
