"""Sampling ahead of the learner, with an exact share of each minibatch from each table.

Each table has its own sampler: a thread that reads from Reverb into a short queue, so that a batch
is ready when the learner asks for it. Reverb's reader runs in C++ and cannot be interrupted; it is
given a time limit after which it ends and is begun again, so that the thread sees a request to
stop. No sample is lost at these ends: short reads are completed by the next ones.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from .replay_client import ReplayUnreachableError
from .replay_items import ItemLayout, Origin
from .replay_tables import ROW
from .transition import Transition

if TYPE_CHECKING:
    import tensorflow as tf

QUEUED_BATCHES = 4
_READ_LIMIT_MS = 500
_POLL_S = 0.2
_CLOSE_TIMEOUT_S = 3.0
# Items per request to Reverb: with fewer the price of each grows, with more they grow stale.
_MIN_REQUEST, _MAX_REQUEST = 256, 512


class Batch(NamedTuple):
    """U minibatches of B transitions and where each of them came from."""

    transitions: Transition
    """Fields (U, B, ...)."""
    origin: Origin
    """Fields (U, B)."""


class TableSampler:
    """Reads uniform samples of one table ahead of their use, in a thread of its own."""

    def __init__(self, address: str, table: str, width: int, minibatches: int, rows: int) -> None:
        """Starts reading.

        Args:
            address: `host:port` of the replay server.
            table: Name of the table.
            width: Length W of a packed row.
            minibatches: U.
            rows: Rows R of each minibatch that come from this table.
        """
        self.table = table
        self._shape = (minibatches, rows, width)
        self._address = address
        self._queue: queue.Queue[np.ndarray] = queue.Queue(QUEUED_BATCHES)
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"sample-{table}", daemon=True)
        self._thread.start()

    def get(self, timeout_s: float) -> np.ndarray | None:
        """The next (U, R, W) float32 rows, or None when there are none in time.

        Raises:
            ReplayUnreachableError: The replay server cannot be read any more.
        """
        try:
            return self._queue.get(timeout=max(timeout_s, 1e-6))
        except queue.Empty:
            if self._error is not None:
                raise ReplayUnreachableError(
                    f"table {self.table!r} of the replay server at {self._address} cannot be "
                    f"sampled: {self._error}"
                ) from self._error
            return None

    def close(self) -> None:
        """Ends the thread; one whose server has died is left behind, it cannot be interrupted."""
        self._stop.set()
        self._thread.join(timeout=_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            for rows in self._whole_batches():
                self._put(rows)
        except Exception as error:
            self._error = error

    def _whole_batches(self) -> Iterator[np.ndarray]:
        minibatches, rows, _ = self._shape
        needed = minibatches * rows
        parts: list[np.ndarray] = []
        for read in self._reads(needed):
            parts.append(read)
            while sum(map(len, parts)) >= needed:
                joined = np.concatenate(parts) if len(parts) > 1 else parts[0]
                yield joined[:needed].reshape(self._shape)
                parts = [joined[needed:]]

    def _reads(self, size: int) -> Iterator[np.ndarray]:
        """Arrays (up to `size`, W); ends when asked to stop."""
        dataset = _reader(self._address, self.table, self._shape[-1], size)
        while not self._stop.is_set():
            for sample in dataset.as_numpy_iterator():
                yield sample.data[ROW][:, 0]
                if self._stop.is_set():
                    return

    def _put(self, rows: np.ndarray) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(rows, timeout=_POLL_S)
            except queue.Full:
                continue


class BatchSampler:
    """Joins the rows of several tables into minibatches, in the order of the tables."""

    def __init__(
        self, address: str, layout: ItemLayout, minibatches: int, rows: dict[str, int]
    ) -> None:
        """Starts one sampler per table.

        Args:
            address: `host:port` of the replay server.
            layout: The layout of a row.
            minibatches: U.
            rows: Rows of every minibatch by table; tables with none are left out.
        """
        self._layout = layout
        self._samplers = [
            TableSampler(address, table, layout.width, minibatches, count)
            for table, count in rows.items()
            if count
        ]
        self._held: dict[str, np.ndarray] = {}

    def get(self, timeout_s: float) -> Batch | None:
        """The next batch, or None when it is not complete in time; see `waiting_for`.

        Raises:
            ReplayUnreachableError: The replay server cannot be read any more.
        """
        deadline_s = time.monotonic() + timeout_s
        for sampler in self._samplers:
            if sampler.table not in self._held:
                rows = sampler.get(deadline_s - time.monotonic())
                if rows is None:
                    return None
                self._held[sampler.table] = rows
        parts = [self._held.pop(sampler.table) for sampler in self._samplers]
        rows = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        return Batch(self._layout.unpack(rows), self._layout.origin(rows))

    def waiting_for(self) -> list[str]:
        """The tables that the next batch still lacks rows of."""
        return [s.table for s in self._samplers if s.table not in self._held]

    def close(self) -> None:
        """Ends all threads."""
        for sampler in self._samplers:
            sampler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _reader(address: str, table: str, width: int, size: int) -> tf.data.Dataset:
    import reverb
    import tensorflow as tf

    dataset = reverb.TrajectoryDataset(
        address,
        table,
        dtypes={ROW: tf.float32},
        shapes={ROW: tf.TensorShape((1, width))},
        max_in_flight_samples_per_worker=min(max(size, _MIN_REQUEST), _MAX_REQUEST),
        num_workers_per_iterator=1,
        rate_limiter_timeout_ms=_READ_LIMIT_MS,
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return dataset.batch(size).with_options(options)
