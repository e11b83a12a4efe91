"""Writing files so that after a crash each one is whole, old or new, and never half-written."""

from __future__ import annotations

import os
from pathlib import Path

TEMPORARY_SUFFIX = ".serlds-tmp"


def write_durably(path: Path, data: bytes) -> None:
    """Creates or replaces `path`; when this returns, the content survives a power failure.

    Raises:
      OSError: as the operating system reports it; `path` is then untouched.
    """
    commit(stage(path, data), path)


def staged_name(path: Path) -> Path:
    """The temporary name under which `stage` writes what shall become `path`."""
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def final_name(temporary: Path) -> Path:
    """Inverse of `staged_name`."""
    return temporary.with_name(temporary.name.removeprefix(".").removesuffix(TEMPORARY_SUFFIX))


def stage(path: Path, data: bytes) -> Path:
    """Writes `data` durably under a temporary name beside `path` and returns that name."""
    temporary = staged_name(path)
    try:
        try:
            file = temporary.open("xb")
        except FileExistsError:  # what lies there may be a link to somewhere else
            temporary.unlink()
            file = temporary.open("xb")
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def commit(temporary: Path, path: Path) -> None:
    """Gives a staged file its final name, durably."""
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in `directory` (new, renamed, removed files) durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_directory(directory: Path) -> None:
    """Creates a directory and its parents durably; one that is there already is left alone."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_directory(path.parent)


def leftover_temporaries(directory: Path) -> list[Path]:
    """The staged files in `directory`, sorted.

    They are leftovers of a crash where nobody else writes in the directory.
    """
    return sorted(directory.glob(f".*{TEMPORARY_SUFFIX}"))
