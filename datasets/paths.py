"""Where a dataset lives: `<data_dir>/<name>/<version>`, as TFDS lays it out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from .errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
FIRST_VERSION = "1.0.0"


@dataclasses.dataclass(frozen=True)
class DatasetPath:
    """A dataset's directory, split into what TFDS calls data directory, name and version."""

    data_dir: Path
    name: str
    version: str

    @property
    def directory(self) -> Path:
        return self.data_dir / self.name / self.version

    def __str__(self) -> str:
        return str(self.directory)

    @classmethod
    def parse(cls, text: str | Path) -> DatasetPath:
        """Reads `<data_dir>/<name>/<version>` or `<data_dir>/<name>`.

        Without a version it is the newest one there is, or 1.0.0 where there is none yet.

        Raises:
          UsageError: the name is not one that TFDS takes (lower case, digits, single `_`).
        """
        path = Path(text).expanduser().absolute()
        if _VERSION.fullmatch(path.name):
            directory, version = path.parent, path.name
        else:
            directory, version = path, newest_version(path) or FIRST_VERSION
        if path.is_file():
            raise UsageError(
                f"dataset {str(text)!r}: this is a file, and a dataset is a directory; `serlds "
                f"import` makes one from files"
            )
        if not _NAME.fullmatch(directory.name):
            raise UsageError(
                f"dataset {str(text)!r}: the name {directory.name!r} is not allowed; a name is "
                f"lower-case letters, digits and single underscores, e.g. data/pick_cube"
            )
        return cls(directory.parent, directory.name, version)


def newest_version(directory: Path) -> str | None:
    """The highest version among the sub-directories of `<data_dir>/<name>`, or None."""
    if not directory.is_dir():
        return None
    versions = [child.name for child in directory.iterdir() if _VERSION.fullmatch(child.name)]
    return max(versions, key=lambda version: tuple(map(int, version.split("."))), default=None)
