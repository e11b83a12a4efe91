"""Sharing the parts of a local run among processes of this machine.

Beam's own local processes listen on all network interfaces, start in seconds, and when one of them
dies the run waits for it for ever. These listen on nothing, and a death ends the run.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from .job import Job
from .parts import Part
from .results import unique_name

_POLL_S = 0.05


def run_in_processes(job: Job, parts: tuple[Part, ...], directory: Path, workers: int) -> None:
    """Runs `job` on every part, in `workers` processes; results are left in `directory`.

    Raises:
      RuntimeError: a worker failed or was killed; the others are ended then.
    """
    # Each part goes to whichever process claims it first; claims are files made exclusively.
    claims = directory / unique_name("claims", "")
    claims.mkdir()
    request = pickle.dumps((job, parts, directory, claims))
    with tempfile.TemporaryFile() as messages:
        processes = [_start(messages) for _ in range(min(workers, len(parts)))]
        try:
            for process in processes:
                _send(process, request)
            _wait(processes, messages)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _start(messages: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P: the directory that the command runs in may hold modules that shadow installed ones.
    command = [sys.executable, "-P", "-m", f"{__package__}.local_worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=messages, stderr=messages)


def _send(process: subprocess.Popen[bytes], request: bytes) -> None:
    assert process.stdin is not None  # it was started with a pipe
    try:
        with process.stdin as pipe:
            pipe.write(request)
    except BrokenPipeError:
        pass  # it died already; how, `_wait` will see


def _wait(processes: list[subprocess.Popen[bytes]], messages: IO[bytes]) -> None:
    running = list(processes)
    while running:
        for process in list(running):
            code = process.poll()
            if code:
                raise RuntimeError(_reason(code, messages))
            if code == 0:
                running.remove(process)
        time.sleep(_POLL_S)


def _reason(code: int, messages: IO[bytes]) -> str:
    if code < 0:
        return f"a worker process was killed by signal {-code}; was there enough memory?"
    messages.seek(0)
    lines = [line for line in messages.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"a worker process ended with exit code {code}"
