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
    """From now on they drive, also while they do not move anything."""
    RELEASE = "release"
    """From now on they drive only while they move something."""
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


class TeleopDevice(Protocol):
    """A device that people steer with."""

    def connect(self) -> None:
        """Begins to listen.

        Raises:
          UsageError: the device is not there; says what to do.
        """

    def poll(self) -> TeleopSample:
        """The newest sample, at once.

        Raises:
          RobotError: the device is gone.
        """

    def close(self) -> None:
        """Ends listening and leaves everything as it was; again and again is fine."""


KEYBOARD = "keyboard"
DEVICES: Mapping[str, str] = {
    KEYBOARD: "keyboard:Keyboard",
    "spacemouse": "spacemouse:SpaceMouse",
    "gamepad": "gamepad:Gamepad",
}
"""Module and class of each device, by the name that `--by` and `--intervene` take."""

_WITH_KEYS = "with_keys:WithKeys"


def open_device(name: str, arms: int = 1) -> TeleopDevice:
    """Connects a device for so many arms; keys of the terminal tell events beside any other.

    Raises:
      UsageError: there is no device of that name, or it cannot be opened.
    """
    if name not in DEVICES:
        raise UsageError(f"there is no device {name!r}; the devices are {', '.join(DEVICES)}")
    device: TeleopDevice = _named(DEVICES[name])(arms)
    if name != KEYBOARD:
        device = _named(_WITH_KEYS)(device)
    device.connect()
    return device


def _named(name: str) -> Any:
    module, kind = name.split(":")
    return getattr(importlib.import_module(f".{module}", __package__), kind)
