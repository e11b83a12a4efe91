"""Sharing the parts of a local run among processes of this machine.

This process is one of the workers, so that work begins before the others have started. Beam's own
local processes listen on all network interfaces, start in seconds, and when one of them dies the
run waits for it for ever. These listen on nothing, and a death ends the run.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from .claims import run_unclaimed_parts
from .job import Job
from .results import unique_name

_POLL_S = 0.05


def run_in_processes(job: Job, count: int, directory: Path, workers: int) -> None:
    """Runs `job` on the `count` parts of the plan in `directory`; results are left there.

    Args:
      job: what to do with a part.
      count: parts of the plan.
      directory: of the plan and the results.
      workers: processes to share the parts, this one included.

    Raises:
      RuntimeError: a worker failed or was killed; the others are ended then.
    """
    claims = directory / unique_name("claims", "")
    claims.mkdir()
    request = pickle.dumps((job, count, directory, claims))
    with tempfile.TemporaryFile() as messages:
        processes = [_start(messages) for _ in range(min(workers, count) - 1)]
        try:
            for process in processes:
                _send(process, request)
            for _ in run_unclaimed_parts(job, count, directory, claims):
                _still_running(processes, messages)
            while _still_running(processes, messages):
                time.sleep(_POLL_S)
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
        pass  # it died already; how, `_still_running` will see


def _still_running(processes: list[subprocess.Popen[bytes]], messages: IO[bytes]) -> bool:
    """Whether one of them still runs; raises RuntimeError when one has failed."""
    codes = [process.poll() for process in processes]
    for code in codes:
        if code:
            raise RuntimeError(_reason(code, messages))
    return None in codes


def _reason(code: int, messages: IO[bytes]) -> str:
    if code < 0:
        return f"a worker process was killed by signal {-code}; was there enough memory?"
    messages.seek(0)
    lines = [line for line in messages.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"a worker process ended with exit code {code}"
