"""Reading HDF5 files of demonstrations through a process of their own: see `hdf5_child`."""

from __future__ import annotations

import atexit
import dataclasses
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...datasets.errors import DamagedDatasetError

_MOST_BYTES = 2**40
LENGTH = struct.Struct("<Q")
"""Before each answer: the bytes of its JSON."""
_CHUNK = 2**20


@dataclasses.dataclass(frozen=True)
class Demo:
    """One trajectory of a file.

    Attributes:
      fields: dtype and shape of each dataset by path inside its group, e.g. `obs/object`.
      attributes: of its group.
    """

    fields: dict[str, tuple[np.dtype, tuple[int, ...]]]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class DemoFile:
    """What a file holds.

    Attributes:
      demos: by name of the group.
      masks: names of demos by filter key.
      attributes: of the group `data`.
    """

    demos: dict[str, Demo]
    masks: dict[str, list[str]]
    attributes: dict[str, Any]


class Hdf5Reader:
    """Reads files in a child process, which is started when needed and again when it died."""

    def __init__(self, timeout_s: float = 300.0):
        """A reader that waits `timeout_s` for an answer."""
        self.timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def describe(self, path: Path) -> DemoFile:
        """The demos of a file, without their values.

        Raises:
          DamagedDatasetError: the file is no HDF5 of demonstrations, or damaged.
        """
        answer, _ = self._ask(path, {"do": "describe", "path": str(path)})
        demos = {
            name: Demo(
                {
                    key: (np.dtype(kind), tuple(shape))
                    for key, (kind, shape) in one["fields"].items()
                },
                one["attributes"],
            )
            for name, one in answer["demos"].items()
        }
        return DemoFile(demos, answer["masks"], answer["attributes"])

    def read(self, path: Path, demo: str, fields: list[tuple[str, str]]) -> dict[str, np.ndarray]:
        """Datasets of a demo by path; of each either `all` rows or the `last` one.

        Raises:
          DamagedDatasetError: one is missing, not numeric, or damaged.
        """
        request = {"do": "read", "path": str(path), "demo": demo, "fields": fields}
        answer, payload = self._ask(path, request)
        arrays, begin = {}, 0
        for key, kind, shape, size in answer["arrays"]:
            part = payload[begin : begin + size]
            arrays[key] = np.frombuffer(part, np.dtype(kind)).reshape(shape)
            begin += size
        return arrays

    def close(self) -> None:
        """Ends the child process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _ask(self, path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        with self._lock:
            try:
                return self._exchange(path, request)
            except _NoAnswerError as error:
                child, self._child = self._child, None
                code = _end(child)
                reason = str(error) or f"its process ended with {code}"
                raise DamagedDatasetError(
                    f"{path}: the HDF5 library failed on this file ({reason}); it is damaged"
                ) from error

    def _exchange(self, path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        child = self._start()
        assert child.stdin is not None and child.stdout is not None  # started with pipes
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError as error:
            raise _NoAnswerError from error
        deadline = time.monotonic() + self.timeout_s
        (length,) = LENGTH.unpack(_read_exactly(child.stdout, LENGTH.size, deadline))
        answer = json.loads(_read_exactly(child.stdout, length, deadline))
        if "error" in answer:
            raise DamagedDatasetError(f"{path}: {answer['error']}")
        size = sum(one[3] for one in answer.get("arrays", []))
        return answer, _read_exactly(child.stdout, size, deadline)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            _end(self._child)
            # Filters are not loaded from elsewhere; locks are refused by some file systems.
            safe = {"HDF5_PLUGIN_PRELOAD": "::", "HDF5_USE_FILE_LOCKING": "FALSE"}
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.hdf5_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, **safe},
            )
        return self._child


class _NoAnswerError(Exception):
    """The child process died or does not answer."""


def _end(child: subprocess.Popen[bytes] | None) -> str:
    if child is None:
        return ""
    try:
        code = child.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    return f"signal {-code}" if code < 0 else f"code {code}"


def _read_some(pipe: IO[bytes], most: int, deadline: float) -> bytes:
    wait = deadline - time.monotonic()
    if wait <= 0 or not select.select([pipe], [], [], wait)[0]:
        raise _NoAnswerError("it does not answer")
    part = os.read(pipe.fileno(), most)
    if not part:
        raise _NoAnswerError
    return part


def _read_exactly(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    if size > _MOST_BYTES:
        raise _NoAnswerError(f"{size} bytes are announced")
    parts, left = [], size
    while left:
        parts.append(_read_some(pipe, min(left, _CHUNK), deadline))
        left -= len(parts[-1])
    return b"".join(parts)


reader = Hdf5Reader()
"""One per process."""
atexit.register(reader.close)
