"""The lock that keeps a second writer out of a dataset directory."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import socket
from pathlib import Path

from .errors import StoreLockedError

LOCK_FILE = ".serlds-lock"


class StoreLock:
    """Held by one open file at a time, and released by the kernel when its process dies."""

    def __init__(self, directory: Path):
        """Takes the lock of `directory`.

        Raises:
          StoreLockedError: another holds it, naming its process, host and since when.
        """
        self._path = directory / LOCK_FILE
        self._descriptor: int | None = _acquire(self._path)
        try:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, _describe_self(), 0)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Gives the lock back; a second call does nothing."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held_by = _describe_holder(os.read(descriptor, 4096))
            os.close(descriptor)
            raise StoreLockedError(
                f"{path.parent}: another process is writing this dataset: {held_by}; wait until "
                f"it has ended, or use another dataset",
                held_by,
            ) from error
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    # The holder before us may have removed the file between our open and our flock.
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _describe_self() -> bytes:
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    return json.dumps(holder).encode()


def _describe_holder(content: bytes) -> str:
    try:
        holder = json.loads(content)
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has not written its name yet"


def is_held(directory: Path) -> bool:
    """Whether a living process, or one of another machine, holds the lock of `directory`.

    It does not touch the lock, so that nobody who takes it meanwhile is turned away.
    """
    try:
        holder = json.loads((directory / LOCK_FILE).read_bytes())
        if holder["host"] != socket.gethostname():
            return True
        os.kill(holder["pid"], 0)
    except PermissionError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
