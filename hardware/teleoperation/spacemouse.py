"""Steering with a SpaceMouse by 3Dconnexion, through `pyspacemouse`."""

from __future__ import annotations

import threading
import time

import numpy as np

from ...datasets.errors import UsageError
from ..errors import RobotError
from .device import STALE_S, TeleopEvent, TeleopSample

DEADZONE = 0.05
"""A cap that is let go does not stand quite still."""
_IDLE_S = 0.002
_GRIPPER_BUTTON, _TAKEOVER_BUTTON = 0, 1


class SpaceMouse:
    """One SpaceMouse for one arm: the cap moves the tool along the axes of the arm's base.

    The first button turns the gripper over; the second takes over and lets go; both: once more.

    The library gives one report for each read and keeps the last one for ever. A thread reads
    faster than the mouse reports, and a mouse that is deflected and silent drives nothing.
    """

    def __init__(self, arms: int = 1) -> None:
        """Nothing is opened yet.

        Raises:
          UsageError: more than one arm.
        """
        if arms != 1:
            raise UsageError(f"spacemouse: steers one arm, and the task has {arms}; use keyboard")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._motion = np.zeros(6, np.float32)
        self._heard_s = -np.inf
        self._gripper = 1.0
        self._buttons = (0, 0)
        self._events: list[TeleopEvent] = []
        self._problem = ""

    def connect(self) -> None:
        """See `TeleopDevice.connect`."""
        try:
            import pyspacemouse
        except ImportError as error:
            raise UsageError(
                "spacemouse: pyspacemouse is not installed; pip install 'serlds[spacemouse]'"
            ) from error
        try:
            # x forward, y left, z up, and right-handed turns: the axes of an arm's base.
            self._device = pyspacemouse.open(axis_convention=pyspacemouse.AxisConvention.ROS)
        except Exception as error:  # of the library, of its HID bindings or of the system
            raise UsageError(
                f"spacemouse: none can be opened ({error}); plug it in, install libhidapi-hidraw0, "
                f"and let users read it (a udev rule for vendor 256f)"
            ) from error
        self._thread = threading.Thread(target=self._drain, name="spacemouse", daemon=True)
        self._thread.start()

    def poll(self) -> TeleopSample:
        """See `TeleopDevice.poll`."""
        with self._lock:
            if self._problem:
                raise RobotError(f"spacemouse: it is gone ({self._problem}); plug it in again")
            age_s = time.monotonic() - self._heard_s
            is_moved = bool(np.abs(self._motion).max() > 0) and age_s <= STALE_S
            motion = self._motion.copy() if is_moved else np.zeros(6, np.float32)
            events, self._events = tuple(self._events), []
            # One at rest is silent: its age says nothing.
            age_s = age_s if np.abs(self._motion).max() > 0 else 0.0
            gripper = np.array([self._gripper], np.float32)
        return TeleopSample(age_s, is_moved, motion, gripper, events)

    def close(self) -> None:
        """See `TeleopDevice.close`."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._device.close()

    def _drain(self) -> None:
        told_s = None
        while not self._closing.is_set():
            try:
                state = self._device.read()
            except Exception as error:  # the HID bindings have errors of their own
                with self._lock:
                    self._problem = str(error) or type(error).__name__
                return
            if state.t == told_s:
                time.sleep(_IDLE_S)
                continue
            told_s = state.t
            with self._lock:
                self._take(state)

    def _take(self, state: object) -> None:
        names = ("x", "y", "z", "roll", "pitch", "yaw")
        motion = np.array([getattr(state, name) for name in names], np.float32)
        self._motion = np.where(np.abs(motion) > DEADZONE, np.clip(motion, -1.0, 1.0), 0.0)
        self._heard_s = time.monotonic()
        before, self._buttons = self._buttons, tuple(state.buttons)
        pressed = [now and not then for now, then in zip(self._buttons, before, strict=False)]
        if any(pressed) and self._buttons[_GRIPPER_BUTTON] and self._buttons[_TAKEOVER_BUTTON]:
            self._events.append(TeleopEvent.REDO)
            return
        if pressed[_GRIPPER_BUTTON]:
            self._gripper = -self._gripper
        if pressed[_TAKEOVER_BUTTON]:
            self._events.append(TeleopEvent.TAKEOVER)
