"""What every teleoperation device tells, and how to open one by name."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...datasets.errors import UsageError

STALE_S = 0.2
"""A device that has been silent for so long drives nothing."""


class TeleopEvent(enum.Enum):
    """What a person tells besides motion."""

    TAKEOVER = "takeover"
    """From now on they drive, also while they do not move anything; once more: not any longer."""
    SUCCESS = "success"
    FAILURE = "failure"
    REDO = "redo"
    """This episode shall not count."""
    KEEP = "keep"
    """The episode that has ended is well as it is: on to the next."""
    STOP = "stop"


class TeleopSample(NamedTuple):
    """What a person's hands say now."""

    age_s: float
    """Seconds since the device told anything last."""
    engaged: bool
    """They move something now; never when the device is silent for longer than STALE_S."""
    motion: np.ndarray
    """(6 * arms,) float32 in [-1, 1], in units of the action: translation and rotation of each tool
    along the axes of its arm's base; zeros unless engaged."""
    gripper: np.ndarray
    """(arms,) float32: +1 open, -1 closed; the last wish stays."""
    events: tuple[TeleopEvent, ...]
    """Since the last poll, in their order."""
    pose: np.ndarray | None = None
    """(6 * arms,) where hands hold the tools of leader arms: position in m and rotation vector in
    rad along the axes of each one's base. None: the device tells motions."""


class TeleopDevice(Protocol):
    """A device that people steer with."""

    def connect(self) -> None:
        """Begins to listen.

        Raises:
          UsageError: the device is not there; says what to do.
          RobotError: it is an arm, and cannot be reached.
        """

    def poll(self) -> TeleopSample:
        """The newest sample, at once.

        Raises:
          RobotError: the device is gone.
        """

    def close(self) -> None:
        """Ends listening and leaves everything as it was; again and again is fine."""


KEYBOARD, LEADER = "keyboard", "leader"
DEVICES: Mapping[str, str] = {
    KEYBOARD: "keyboard:Keyboard",
    "spacemouse": "spacemouse:SpaceMouse",
    "gamepad": "gamepad:Gamepad",
    LEADER: "leader:Leader",
}
"""Module and class of each device, by the name that `--by` and `--intervene` take; the addresses of
leader arms may follow their name: `leader:ADDRESS,ADDRESS`."""

_WITH_KEYS = "with_keys:WithKeys"


def kind_of(name: str) -> str:
    """The name of a device without the addresses behind it; empty where there is no such device."""
    kind, _, addresses = name.partition(":")
    return kind if kind in DEVICES and (kind == LEADER or not addresses) else ""


def open_device(name: str, arms: int = 1) -> TeleopDevice:
    """Connects a device for so many arms; keys of the terminal tell events beside any other.

    Raises:
      UsageError: there is no device of that name, or it cannot be opened.
    """
    kind = kind_of(name)
    if not kind:
        raise UsageError(f"there is no device {name!r}; the devices are {', '.join(DEVICES)}")
    addresses = [one for one in name.partition(":")[2].split(",") if one]
    device: TeleopDevice = _named(DEVICES[kind])(arms, *([addresses] if kind == LEADER else []))
    if kind != KEYBOARD:
        device = _named(_WITH_KEYS)(device)
    device.connect()
    return device


def _named(name: str) -> Any:
    module, kind = name.split(":")
    return getattr(importlib.import_module(f".{module}", __package__), kind)
