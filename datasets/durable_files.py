"""Writing files so that after a crash each one is whole, old or new, and never half-written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".serlds-tmp"


def write_durably(path: Path, data: bytes) -> None:
    """Creates or replaces `path`; when this returns, the content survives a power failure.

    Raises:
      OSError: as the operating system reports it; `path` is then untouched.
    """
    (temporary,) = stage({path: data})
    commit(temporary, path)


def staged_name(path: Path) -> Path:
    """The temporary name under which `stage` writes what shall become `path`."""
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def final_name(temporary: Path) -> Path:
    """Inverse of `staged_name`."""
    return temporary.with_name(temporary.name.removeprefix(".").removesuffix(TEMPORARY_SUFFIX))


def stage(contents: Mapping[Path, bytes]) -> list[Path]:
    """Writes each content durably under a temporary name beside its path; returns those names.

    Raises:
      OSError: as the operating system reports it; none of the temporary files is left then.
    """
    temporaries = [staged_name(path) for path in contents]
    try:
        with contextlib.ExitStack() as files:
            written = []
            for temporary, data in zip(temporaries, contents.values(), strict=True):
                file = files.enter_context(_create(temporary))
                file.write(data)
                file.flush()
                written.append(file)
            for file in written:  # after all are written: what one waits for serves the next
                os.fsync(file.fileno())
    except OSError:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    return temporaries


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError:  # what lies there may be a link to somewhere else
        path.unlink()
        return path.open("xb")


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
