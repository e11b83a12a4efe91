"""A process that the supervisor starts, watches and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..datasets.errors import SerldsError

_LAST_LINES = 15
_LAST_BYTES = 20_000


class ProcessDiedError(SerldsError):
    """A process of a run ended although it should not have."""


class ChildProcess:
    """A running Python module with its output in a log file.

    It lives in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone,
    and holds a pipe to the supervisor by which it notices that the supervisor is gone.

    Attributes:
        name: What to call it.
        log: Where its output goes.
        started_s: Monotonic clock at its start.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Starts `python -m module arguments --supervised`.

        Args:
            name: What to call it.
            module: Importable name.
            arguments: Of its command line.
            log: Its output is appended here.
            environment: Variables set in addition to the supervisor's.
        """
        self.name = name
        self.log = log
        self.started_s = time.monotonic()
        self._start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--supervised"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self._process.poll()

    @property
    def has_failed(self) -> bool:
        """It has ended, and not by itself with code 0."""
        return self.exit_code not in (None, 0)

    def ask_to_stop(self) -> None:
        """Asks it to end."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float) -> bool:
        """Asks it to end, waits, and kills it when it does not; returns whether it ended itself."""
        if self.exit_code is None:
            self.ask_to_stop()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        return True

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()

    def died(self) -> ProcessDiedError:
        """The error that says how it ended and its last words."""
        return ProcessDiedError(
            f"the {self.name} {self.how_it_ended()}. Its last words ({self.log}):\n"
            + "\n".join(f"  {line}" for line in self.last_lines())
        )

    def last_lines(self) -> list[str]:
        """The last lines it printed."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._start, size - _LAST_BYTES))
            text = file.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:] or ["(nothing)"]

    def how_it_ended(self) -> str:
        """How it ended, for a sentence that begins with its name."""
        code = self.exit_code
        if code is None:
            return "does not answer"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"was killed by {name}{hint}"
