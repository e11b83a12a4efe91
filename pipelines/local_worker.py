"""A local worker process: `python -m serlds.pipelines.local_worker`, started by `local_pool`."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

from .parts import Part
from .results import write_result

_POLL_S = 0.5


def main() -> None:
    """Takes parts until none is left; what to do comes from the launcher on standard input."""
    # Ctrl-C reaches every process of the terminal; the launcher ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    launcher = os.getppid()
    threading.Thread(target=_end_with, args=(launcher,), name="watch-launcher", daemon=True).start()
    job, parts, directory, claims = pickle.load(sys.stdin.buffer)
    for part in parts:
        if _claim(claims, part):
            write_result(directory, part, job.run(part, directory))


def _claim(claims: Path, part: Part) -> bool:
    """Whether this process is the first to want the part."""
    try:
        (claims / str(part.index)).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_POLL_S)
    os._exit(1)


if __name__ == "__main__":
    main()
