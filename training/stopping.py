"""How a process of a run learns that it should end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

ORPHAN_GRACE_S = 30.0


class StopRequest:
    """Set by SIGTERM, by SIGINT, and when the supervisor that holds our standard input dies."""

    def __init__(self) -> None:
        """Not requested yet; nothing is installed."""
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Waits for the request at most this long; returns whether it came."""
        return self._event.wait(timeout_s)

    def request(self) -> None:
        """Asks the process to end."""
        self._event.set()

    def listen_to_signals(self, insists: Callable[[], None] | None = None) -> None:
        """Makes SIGTERM and SIGINT requests; call it in the main thread.

        Args:
            insists: Called at every signal after the first.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            if self and insists is not None:
                insists()
            self.request()

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)

    def listen_to_supervisor(self) -> None:
        """Takes the end of standard input as the supervisor's death.

        The supervisor holds the other end of the pipe and never writes to it; the kernel closes it
        however the supervisor dies. A process that does not end by itself is ended after a grace.
        """

        def watch() -> None:
            while os.read(sys.stdin.fileno(), 1):
                pass
            self.request()
            threading.Event().wait(ORPHAN_GRACE_S)
            os._exit(1)

        threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
