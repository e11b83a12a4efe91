"""Steering with the keys of a terminal, also over SSH.

A terminal tells of keys that go down and repeat, not of keys that come up: a key counts as held for
`HOLD_S` after it was heard last.
"""

from __future__ import annotations

import atexit
import os
import select
import termios
import threading
import time
import tty

import numpy as np

from ...datasets.errors import UsageError
from ..errors import RobotError
from .device import TeleopEvent, TeleopSample

HOLD_S = 0.15
_TERMINAL = "/dev/tty"
TERMINAL_VARIABLE = "SERLDS_TERMINAL"
"""Environment variable that names the terminal, for a process that has none of its own."""
_WAIT_S = 0.05

MOTIONS = {
    "w": (0, 1.0), "s": (0, -1.0), "a": (1, 1.0), "d": (1, -1.0), "r": (2, 1.0), "f": (2, -1.0),
    "l": (3, 1.0), "j": (3, -1.0), "i": (4, 1.0), "k": (4, -1.0), "q": (5, 1.0), "e": (5, -1.0),
}  # fmt: skip
"""Dimension of the motion and direction of each key."""
EVENTS = {
    "t": TeleopEvent.TAKEOVER,
    "y": TeleopEvent.SUCCESS,
    "n": TeleopEvent.FAILURE,
    "u": TeleopEvent.REDO,
    "\n": TeleopEvent.KEEP,
    "x": TeleopEvent.STOP,
}
HELP = """w s  forward, back     q e  turn left, right   space  gripper        y n  success, failure
a d  left, right       i k  pitch              t      take over, let go   u  again, do not keep
r f  up, down          j l  roll               tab    other arm           x  stop
after an episode:      enter or a motion  keep it     y n u  as above"""


class Keyboard:
    """The keys of the terminal that the process was started from."""

    def __init__(self, arms: int = 1) -> None:
        """Steers one of `arms` at a time."""
        self._arms = arms
        self._arm = 0
        self._gripper = np.ones(arms, np.float32)
        self._heard_s: dict[str, float] = {}
        self._events: list[TeleopEvent] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._fd = -1
        self._before: list | None = None
        self._thread: threading.Thread | None = None

    def connect(self) -> None:
        """Puts the terminal into a mode that gives each key at once.

        Raises:
          UsageError: there is no terminal.
        """
        try:
            path = os.environ.get(TERMINAL_VARIABLE, _TERMINAL)
            self._fd = os.open(path, os.O_RDONLY | os.O_NOCTTY)
            self._before = termios.tcgetattr(self._fd)
        except (OSError, termios.error) as error:
            raise UsageError(
                f"keyboard: there is no terminal to read keys from ({error}); run this in one, and "
                f"not in the background"
            ) from error
        tty.setcbreak(self._fd, termios.TCSANOW)
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._listen, name="keyboard", daemon=True)
        self._thread.start()

    def poll(self) -> TeleopSample:
        """The keys held now, and what they told since the last call.

        Raises:
          RobotError: the terminal was closed.
        """
        if self._thread is None or not self._thread.is_alive():
            raise RobotError("keyboard: its terminal was closed; start again in an open one")
        now_s = time.monotonic()
        motion = np.zeros((self._arms, 6), np.float32)
        with self._lock:
            for key, (dimension, direction) in MOTIONS.items():
                if now_s - self._heard_s.get(key, -np.inf) < HOLD_S:
                    motion[self._arm, dimension] += direction
            events, self._events = tuple(self._events), []
            gripper = self._gripper.copy()
        return TeleopSample(0.0, bool(motion.any()), motion.ravel(), gripper, events)

    def close(self) -> None:
        """Gives the terminal back as it was."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            self._before = None
            os.close(self._fd)
            atexit.unregister(self.close)

    def _listen(self) -> None:
        while not self._closing.is_set():
            ready, _, _ = select.select([self._fd], [], [], _WAIT_S)
            if ready:
                keys = os.read(self._fd, 64)
                if not keys:
                    return
                for key in keys.decode(errors="replace").lower():
                    self._take(key)

    def _take(self, key: str) -> None:
        with self._lock:
            self._heard_s[key] = time.monotonic()
            if key == " ":
                self._gripper[self._arm] *= -1.0
            elif key == "\t":
                self._arm = (self._arm + 1) % self._arms
            elif key in EVENTS:
                self._events.append(EVENTS[key])
