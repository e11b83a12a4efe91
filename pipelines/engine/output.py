"""A directory that appears complete or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ...datasets.durable_files import sync_directory
from ...datasets.errors import SerldsError, UsageError

_SUFFIX = ".incomplete"


def check_absent(target: Path) -> None:
    """Refuses a target that exists: what is there is never overwritten.

    Raises:
      UsageError: naming the target.
    """
    if target.exists():
        raise UsageError(
            f"{target} exists already and is never overwritten; give another name or version, or "
            f"remove it first"
        )


@contextlib.contextmanager
def appearing_directory(target: Path) -> Iterator[Path]:
    """Gives a directory to fill; it becomes `target` when the block ends without an error.

    It lies beside the target, which a reader therefore sees complete or not at all. What an
    earlier run left behind because it was killed is removed first.

    Raises:
      UsageError: `target` exists, or appears before the block ends.
      SerldsError: the operating system refuses to write; nothing stays behind.
    """
    check_absent(target)
    created = _first_missing(target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        scratch = target.parent / f".{target.name}-{uuid.uuid4().hex}{_SUFFIX}"
        scratch.mkdir()
    except OSError as error:
        raise SerldsError(f"{target}: cannot be written: {error}") from error
    held = _lock(scratch)
    try:
        yield scratch
        _appear(scratch, target)
    except OSError as error:
        raise SerldsError(f"{target}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if held is not None:
            os.close(held)
        _remove_empty(target.parent, created)


def _appear(scratch: Path, target: Path) -> None:
    check_absent(target)
    sync_directory(scratch)
    try:
        scratch.rename(target)
    except OSError:
        check_absent(target)
        raise
    sync_directory(target.parent)


def _lock(scratch: Path) -> int | None:
    """Takes the lock that says a run is at work; the kernel releases it when the process dies."""
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(target: Path) -> None:
    for scratch in target.parent.glob(f".{target.name}-*{_SUFFIX}"):
        descriptor = _lock(scratch)
        if descriptor is not None:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(descriptor)


def _first_missing(directory: Path) -> Path | None:
    missing = None
    while not directory.exists():
        missing, directory = directory, directory.parent
    return missing


def _remove_empty(directory: Path, first_created: Path | None) -> None:
    # After a failed run the directories made for it must not stay behind either.
    if first_created is None:
        return
    while directory.is_relative_to(first_created):
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent
