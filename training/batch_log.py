"""Which transitions each update learned from: a small append-only log of one learner's life.

`batches/<n>.bin` of the n-th learner of a run is a row of records of six little-endian int32, in
the order in which things happened:

    ROWS of a table:  source, episode, first step, number of rows that follow each other
    DRAW of a batch:  updates before it, minibatches, rows of demonstrations, online rows
    LOGGED episodes:  actor, episodes that were in its log when the learner began
    UNUSED batch:     the last DRAW was for an update that was not made any more

A batch is drawn with a random generator that is made of the run's seed and the number of updates
before it alone (`draw_batch`); so the rows that had arrived, in their order, decide it. Rows that
come together take one record, and so does an update: some 50 bytes an update. `tracing.py` reads
the log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..datasets.errors import DamagedDatasetError
from .replay_items import Origin
from .replay_tables import DEMOS, ONLINE

RECORD = np.dtype([("kind", "<i4"), ("values", "<i4", (5,))])
DEMO_ROWS, ONLINE_ROWS, DRAW, LOGGED, UNUSED = range(5)
KINDS_OF_ROWS: Mapping[str, int] = {DEMOS: DEMO_ROWS, ONLINE: ONLINE_ROWS}


class BatchLog:
    """Appends to the log of one learner."""

    def __init__(self, directory: Path, logged_episodes: Sequence[int] = ()) -> None:
        """Begins the next log of a directory, which need not exist.

        Args:
            directory: The run's `batches`.
            logged_episodes: Online episodes in the logs of the run now, by actor.
        """
        directory.mkdir(parents=True, exist_ok=True)
        number = len(list_batch_logs(directory)) + 1
        self._file = (directory / f"{number:06d}.bin").open("xb")
        for actor, count in enumerate(logged_episodes):
            self._write(LOGGED, (actor, count))

    def arrived(self, table: str, origin: Origin) -> None:
        """Rows from `origin`, (n,), were taken into the memory of a table, in this order."""
        places = np.stack(origin, axis=1)
        follows = np.all(np.diff(places, axis=0) == (0, 0, 1), axis=1)
        starts = np.flatnonzero(np.concatenate([[True], ~follows]))
        counts = np.diff(np.append(starts, len(places)))
        for start, count in zip(starts, counts, strict=True):
            self._write(KINDS_OF_ROWS[table], (*places[start], count))

    def drawn(self, updates: int, minibatches: int, rows: Mapping[str, int]) -> None:
        """A batch is drawn now, for the update after so many."""
        self._write(DRAW, (updates, minibatches, rows.get(DEMOS, 0), rows.get(ONLINE, 0)))

    def unused(self) -> None:
        """The batch drawn last was for an update that is not made any more."""
        self._write(UNUSED, ())

    def sync(self) -> None:
        """Makes durable what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Makes all durable and ends the log."""
        self.sync()
        self._file.close()

    def _write(self, kind: int, values: Sequence[int]) -> None:
        record = np.zeros((), RECORD)
        record["kind"] = kind
        record["values"][: len(values)] = values
        self._file.write(record.tobytes())


def list_batch_logs(directory: Path) -> list[Path]:
    """The logs of a run, oldest first."""
    return sorted(directory.glob("[0-9]*.bin"))


def draws_in(records: np.ndarray) -> np.ndarray:
    """Positions of the draws that updates were made of, in the records of a log."""
    positions = np.flatnonzero(records["kind"] == DRAW)
    return positions[:-1] if (records["kind"] == UNUSED).any() else positions


def read_batch_log(path: Path) -> np.ndarray:
    """The whole records of a log, (N,) RECORD; what a kill left of the last one is not read.

    Raises:
        DamagedDatasetError: It holds a kind of record that there is not.
    """
    content = path.read_bytes()
    records = np.frombuffer(content[: len(content) // RECORD.itemsize * RECORD.itemsize], RECORD)
    unknown = np.flatnonzero((records["kind"] < DEMO_ROWS) | (records["kind"] > UNUSED))
    if len(unknown):
        number = int(unknown[0])
        raise DamagedDatasetError(
            f"{path}, record {number}: kind {records['kind'][number]} is not known; the file is "
            f"damaged, its updates cannot be traced"
        )
    return records
