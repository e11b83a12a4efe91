"""The terminal of a process, lent to another one that reads keys there."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Mapping

from .keyboard import TERMINAL_VARIABLE


class LentTerminal:
    """Remembers how this process's terminal was, for a borrower that was killed before it said so.

    Without a terminal there is nothing to lend.
    """

    def __init__(self) -> None:
        """Lends the terminal of standard input, if it is one."""
        self._fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._before = termios.tcgetattr(self._fd) if self._fd >= 0 else None

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment variables that tell the borrower where the terminal is."""
        return {TERMINAL_VARIABLE: os.ttyname(self._fd)} if self._before else {}

    def take_back(self) -> None:
        """Brings it back as it was lent, when the borrower is gone."""
        if self._before is None:
            return
        try:
            if os.tcgetpgrp(self._fd) == os.getpgrp():  # in the background it is the shell's
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        except (OSError, termios.error):
            return  # it was closed
