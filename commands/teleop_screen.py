"""What a person who steers sees in the terminal."""

from __future__ import annotations

import sys
from typing import TextIO

_COLOURS = {"RECORDING": "1;97;41", "RESET": "1;30;43", "DECIDE": "1;97;44"}
_OTHER_COLOUR = "1;97;42"
_CLEAR_LINE = "\r\x1b[K"


class TerminalScreen:
    """A line for each state, coloured on a terminal, with a line of progress below it."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        """Writes to `stream`."""
        self._stream = stream
        self._is_terminal = stream.isatty()

    def state(self, name: str, text: str) -> None:
        """See `Screen.state`."""
        if self._is_terminal:
            self._write(f"{_CLEAR_LINE}\x1b[{_COLOURS.get(name, _OTHER_COLOUR)}m {name} \x1b[0m ")
            self._write(f"{text}\n")
        else:
            self._write(f"{name}: {text}\n")

    def progress(self, text: str) -> None:
        """See `Screen.progress`."""
        if self._is_terminal:
            self._write(f"{_CLEAR_LINE}{text}")

    def note(self, text: str) -> None:
        """See `Screen.note`."""
        self._write(f"{_CLEAR_LINE if self._is_terminal else ''}{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
