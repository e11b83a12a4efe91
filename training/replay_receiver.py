"""Taking transitions out of a replay table, in a thread, as they come.

Reverb's reader runs in C++ and cannot be interrupted; it is given a time limit after which it ends
and is begun again, so that the thread sees a request to stop. Nothing is lost at these ends.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .replay_client import ReplayUnreachableError
from .replay_items import ItemLayout, Rows
from .replay_tables import item_columns

if TYPE_CHECKING:
    import tensorflow as tf

_READ_LIMIT_MS = 500
_CLOSE_TIMEOUT_S = 3.0
_ITEMS_PER_REQUEST = 64


class TableReceiver:
    """Takes every item of one table, once, in the order of their arrival.

    Attributes:
        items: How many items were handed out so far.
    """

    def __init__(self, address: str, table: str, layout: ItemLayout) -> None:
        """Starts taking.

        Args:
            address: `host:port` of the replay server.
            table: Name of the table.
            layout: The layout of its rows.
        """
        self.items = 0
        self._table = table
        self._address = address
        self._layout = layout
        self._queue: queue.SimpleQueue[Rows] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"receive-{table}", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float = 0.0) -> list[Rows]:
        """The rows of every item that has arrived since; empty when there are none in time.

        Raises:
            ReplayUnreachableError: The replay server cannot be read any more.
        """
        taken: list[Rows] = []
        try:
            taken.append(self._queue.get(block=timeout_s > 0, timeout=timeout_s))
            while True:
                taken.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        if not taken and self._error is not None:
            raise ReplayUnreachableError(
                f"table {self._table!r} of the replay server at {self._address} cannot be "
                f"read: {self._error}"
            ) from self._error
        self.items += len(taken)
        return taken

    def close(self) -> None:
        """Ends the thread; one whose server has died is left behind, it cannot be interrupted."""
        self._stop.set()
        self._thread.join(timeout=_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            for rows in self._read():
                self._queue.put(rows)
        except Exception as error:
            self._error = error

    def _read(self) -> Iterator[Rows]:
        dataset = _reader(self._address, self._table, self._layout)
        cameras = [camera.name for camera in self._layout.cameras]
        while not self._stop.is_set():
            for packed, *frames in dataset.as_numpy_iterator():
                by_camera = zip(cameras, (one[0] for one in frames), strict=True)
                yield Rows(packed[0], dict(by_camera))
                if self._stop.is_set():
                    return


def _reader(address: str, table: str, layout: ItemLayout) -> tf.data.Dataset:
    """Items as tuples of their columns, in the order of `item_columns`."""
    import reverb
    import tensorflow as tf

    columns = item_columns(layout)
    dataset = reverb.TrajectoryDataset(
        address,
        table,
        dtypes={name: tf.as_dtype(dtype) for name, (_, dtype) in columns.items()},
        shapes={name: tf.TensorShape(shape) for name, (shape, _) in columns.items()},
        max_in_flight_samples_per_worker=_ITEMS_PER_REQUEST,
        num_workers_per_iterator=1,  # more would change the order
        rate_limiter_timeout_ms=_READ_LIMIT_MS,
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    # Each tensor that crosses into Python costs 25 us: leave all but the columns behind.
    taken = dataset.map(lambda sample: tuple(sample.data[name] for name in columns))
    return taken.with_options(options)
