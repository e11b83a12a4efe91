"""What workers leave for the launcher: one JSON file per part, each whole or absent.

Results do not travel through the runner: runners differ in what they guarantee about several
outputs, a file beside the data does not.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...datasets.errors import SerldsError
from .parts import Part

_PATTERN = "result-*.json"


def unique_name(stem: str, suffix: str) -> str:
    """A file name that no other attempt at the same part uses, on this host or another."""
    return f"{stem}-{socket.gethostname()}-{uuid.uuid4().hex}{suffix}"


def write_result(directory: Path, part: Part, result: dict[str, Any]) -> None:
    """Leaves a part's result; of several attempts at a part the last one counts."""
    # A name of its own first: two attempts at one part may be at work at the same time.
    temporary = directory / unique_name(f"attempt-{part.index:05d}", ".json")
    temporary.write_text(json.dumps(result))
    temporary.replace(_path(directory, part))


def read_results(directory: Path, parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
    """The results of all parts, in the order of the parts.

    Raises:
      SerldsError: a part has left none.
    """
    for part in parts:
        path = _path(directory, part)
        if not path.is_file():
            raise SerldsError(
                f"{directory}: part {part.index} of {len(parts)} left no result; the workers must "
                f"see the same file system as the launcher"
            )
        yield json.loads(path.read_bytes())


def finished_parts(directory: Path) -> set[int]:
    """Indices of the parts that have left a result so far."""
    return {int(path.stem.removeprefix("result-")) for path in directory.glob(_PATTERN)}


def _path(directory: Path, part: Part) -> Path:
    return directory / f"result-{part.index:05d}.json"
