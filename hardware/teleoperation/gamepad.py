"""Steering with a gamepad, through `pygame`, without a window."""

from __future__ import annotations

import os

import numpy as np

from ...datasets.errors import UsageError
from ..errors import RobotError
from .device import TeleopEvent, TeleopSample

DEADZONE = 0.1
"""Sticks that are let go do not come back quite to the middle."""
# As SDL numbers an Xbox controller on Linux.
_LEFT_X, _LEFT_Y, _LEFT_TRIGGER, _RIGHT_X, _RIGHT_Y, _RIGHT_TRIGGER = range(6)
_AXES = 6
_A, _B, _X, _Y, _LEFT_BUMPER, _RIGHT_BUMPER, _BACK, _START = range(8)
_EVENTS = {
    _RIGHT_BUMPER: TeleopEvent.TAKEOVER,
    _Y: TeleopEvent.SUCCESS,
    _X: TeleopEvent.FAILURE,
    _BACK: TeleopEvent.REDO,
    _START: TeleopEvent.STOP,
}


class Gamepad:
    """The first gamepad, for one arm at a time. The sticks count while the left bumper is held.

    Left stick: forward, back, left, right; right stick: up, down, turn about z. A turns the gripper
    over, B chooses the other arm, the right bumper takes over and lets go, Y success, X failure,
    back once more, start stop.
    """

    def __init__(self, arms: int = 1) -> None:
        """Steers one of `arms` at a time."""
        self._arms = arms
        self._arm = 0
        self._gripper = np.ones(arms, np.float32)
        self._buttons: list[bool] = []
        self._pad = None

    def connect(self) -> None:
        """See `TeleopDevice.connect`."""
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise UsageError(
                "gamepad: pygame is not installed; pip install 'serlds[gamepad]'"
            ) from error
        self._pygame = pygame
        pygame.init()
        if not pygame.joystick.get_count():
            raise UsageError("gamepad: none is there; plug one in, or switch it on")
        self._pad = pygame.joystick.Joystick(0)
        if self._pad.get_numaxes() < _AXES or self._pad.get_numbuttons() <= _START:
            raise UsageError(
                f"gamepad: {self._pad.get_name()} has {self._pad.get_numaxes()} axes and "
                f"{self._pad.get_numbuttons()} buttons; expected {_AXES} and {_START + 1} or more"
            )
        self._buttons = self._held()

    def poll(self) -> TeleopSample:
        """See `TeleopDevice.poll`."""
        pad = self._pad
        assert pad is not None, "connect() comes first"
        for event in self._pygame.event.get():
            is_own = getattr(event, "instance_id", None) == pad.get_instance_id()
            if event.type == self._pygame.JOYDEVICEREMOVED and is_own:
                raise RobotError("gamepad: it is gone; plug it in again, or charge it")
        before, self._buttons = self._buttons, self._held()
        pressed = [now and not then for now, then in zip(self._buttons, before, strict=True)]
        events = [event for button, event in _EVENTS.items() if pressed[button]]
        if pressed[_B]:
            self._arm = (self._arm + 1) % self._arms
        if pressed[_A]:
            self._gripper[self._arm] *= -1.0
        motion = np.zeros((self._arms, 6), np.float32)
        if self._buttons[_LEFT_BUMPER]:
            axes = {0: -self._axis(_LEFT_Y), 1: -self._axis(_LEFT_X), 2: -self._axis(_RIGHT_Y)}
            for dimension, value in {**axes, 5: -self._axis(_RIGHT_X)}.items():
                motion[self._arm, dimension] = value
        moved = bool(motion.any())
        return TeleopSample(0.0, moved, motion.ravel(), self._gripper.copy(), tuple(events))

    def close(self) -> None:
        """See `TeleopDevice.close`."""
        if self._pad is not None:
            self._pad.quit()
            self._pad = None

    def _held(self) -> list[bool]:
        assert self._pad is not None
        return [bool(self._pad.get_button(number)) for number in range(_START + 1)]

    def _axis(self, number: int) -> float:
        assert self._pad is not None
        value = self._pad.get_axis(number)
        return value if abs(value) > DEADZONE else 0.0
