"""Reading parquet files that may come from anybody."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...datasets.errors import DamagedDatasetError, SerldsError
from . import layout


def read_rows(path: Path, leave_out: str | tuple[()] = ()) -> list[dict[str, Any]]:
    """The rows of a file as dictionaries, without the columns that begin with `leave_out`.

    Raises:
      DamagedDatasetError: it is missing or torn.
    """
    with _reading(path):
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if not name.startswith(leave_out)]
        return file.read(columns=names).to_pylist()


class FrameFile:
    """A data file, whose rows are the frames of one episode after the other."""

    def __init__(self, path: Path):
        """Opens the file and finds which of its row groups holds which episodes.

        The episodes are read and not taken from the file's own statistics: where those are damaged,
        the library ends the process.
        """
        self._path = path
        with _reading(path):
            self._file = pq.ParquetFile(path)
            self._names = frozenset(self._file.schema_arrow.names)
            self._need([layout.EPISODE_INDEX])
            self._ranges = [self._range(group) for group in range(self._file.num_row_groups)]

    def frames(self, episode: int, columns: list[str]) -> pa.Table:
        """The frames of an episode; of the row groups only those that hold some are read.

        Raises:
          DamagedDatasetError: the file is torn or has no such column.
        """
        with _reading(self._path):
            self._need(columns)
            groups = [
                group for group, (low, high) in enumerate(self._ranges) if low <= episode <= high
            ]
            table = self._file.read_row_groups(groups, columns=columns)
            return table.filter(pc.equal(table[layout.EPISODE_INDEX], episode))

    def _need(self, columns: list[str]) -> None:
        missing = [name for name in columns if name not in self._names]
        if missing:
            raise DamagedDatasetError(f"{self._path}: there is no column {', '.join(missing)}")

    def _range(self, group: int) -> tuple[int, int]:
        column = self._file.read_row_group(group, columns=[layout.EPISODE_INDEX])
        ends = pc.min_max(column[layout.EPISODE_INDEX]).as_py()
        return (ends["min"], ends["max"]) if ends["min"] is not None else (0, -1)


@functools.lru_cache(maxsize=4)
def open_frames(path: Path) -> FrameFile:
    """A data file, kept open for the episodes that follow.

    Raises:
      DamagedDatasetError: it is missing, torn, or does not say which frame is of which episode.
    """
    return FrameFile(path)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever the library raises, the error names the file."""
    try:
        yield
    except SerldsError:
        raise
    except FileNotFoundError as error:
        raise DamagedDatasetError(f"{path}: the file is missing") from error
    except Exception as error:  # damaged bytes may show as any kind of error
        detail = f"{type(error).__name__}: {error!s:.300}"
        raise DamagedDatasetError(f"{path}: cannot be read: {detail}") from error
