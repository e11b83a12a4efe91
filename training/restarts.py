"""When a process that died is started again, and when the run ends instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from .child_process import ChildProcess, ProcessDiedError
from .process_main import BUG
from .replay_client import ReplayUnreachableError

ACCIDENTS = (BUG, ReplayUnreachableError.exit_code)
"""Exit codes after which another try may succeed; another error on purpose would come again."""


@dataclass
class Restarts:
    """Decides by how each process died before; a life of `quick_s` makes up for earlier deaths."""

    most_quick_deaths: int = 5
    """So many deaths of one process in a row, each soon after its start, end the run."""
    quick_s: float = 60.0
    """Seconds after its start in which a death is a quick one."""
    first_delay_s: float = 1.0
    """Seconds to wait before a process is started again; twice as long after each quick death, but
    at most `quick_s`."""
    clock: Callable[[], float] = monotonic
    """Seconds."""
    _quick_deaths: dict[str, int] = field(default_factory=dict)

    def delay_s(self, dead: ChildProcess) -> float:
        """How long to wait before starting a process again that died.

        Raises:
            ProcessDiedError: It ended with an error that another try would meet again, or it has
                died too often; the message has its last words.
        """
        code = dead.exit_code
        if code is not None and code > 0 and code not in ACCIDENTS:
            raise dead.died()
        if self.clock() - dead.started_s >= self.quick_s:
            self._quick_deaths[dead.name] = 0
        deaths = self._quick_deaths[dead.name] = self._quick_deaths.get(dead.name, 0) + 1
        if deaths >= self.most_quick_deaths:
            raise ProcessDiedError(
                f"the {dead.name} died {deaths} times in a row, each time within "
                f"{self.quick_s:.0f} s of its start, and is not started again. At last "
                f"{dead.died()}"
            )
        return min(self.first_delay_s * 2 ** (deaths - 1), self.quick_s)
