"""A local worker process, started by `local_pool` with `python -m`."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time

from .claims import run_unclaimed_parts

_POLL_S = 0.5


def main() -> None:
    """Takes parts until none is left; what to do comes from the launcher on standard input."""
    # Ctrl-C reaches every process of the terminal; the launcher ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    launcher = os.getppid()
    threading.Thread(target=_end_with, args=(launcher,), name="watch-launcher", daemon=True).start()
    job, count, directory, claims = pickle.load(sys.stdin.buffer)
    for _ in run_unclaimed_parts(job, count, directory, claims):
        pass


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_POLL_S)
    os._exit(1)


if __name__ == "__main__":
    main()
