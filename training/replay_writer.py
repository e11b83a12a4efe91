"""Writing transitions into the replay tables."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .replay_client import flood_notice, flush
from .replay_items import Rows, concatenated
from .replay_tables import ROWS, frames_column
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

SEND_INTERVAL_S = 0.05
_BLOCKS = (32, 4, 1)
_FLUSH_INTERVAL = 16  # more items under way make Reverb warn


class TransitionWriter:
    """Sends rows to one table, in order; not for several threads.

    All items of one writer hold the same number of rows.
    """

    def __init__(
        self,
        client: reverb.Client,
        table: str,
        stop: StopRequest | None = None,
        is_over: Callable[[], bool] = bool,
    ) -> None:
        """Opens a stream to the server.

        Args:
            client: Connected to the replay server.
            table: Name of the table.
            stop: Ends waiting for a server that does not answer.
            is_over: Whether nobody takes rows any more; ends waiting for room in the table.
        """
        self._client = client
        self._table = table
        self._stop = stop
        self._is_over = is_over
        self._pending = 0
        self._writer = client.trajectory_writer(num_keep_alive_refs=1)
        self._columns: set[str] = set()

    def write(self, rows: Rows) -> None:
        """Sends rows as one item; waits for the server's answer only now and then.

        Raises:
            ReplayUnreachableError: The server did not take earlier rows.
        """
        columns = {ROWS: rows.packed}
        columns |= {frames_column(name): frames for name, frames in rows.frames.items()}
        for name in columns.keys() - self._columns:
            # A chunk holds one item's rows; with longer chunks Reverb 0.14 can mix up items.
            self._writer.configure((name,), num_keep_alive_refs=1, max_chunk_length=1)
            self._columns.add(name)
        self._writer.append(columns)
        newest = {name: self._writer.history[name][-1:] for name in columns}
        self._writer.create_item(self._table, 1.0, newest)
        self._pending += 1
        if self._pending >= _FLUSH_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Waits until the server has confirmed all rows, or nobody takes them any more.

        Raises:
            ReplayUnreachableError: It did not.
        """
        if self._pending:
            what = f"transitions for table {self._table!r}"
            notice = functools.partial(flood_notice, self._client, self._table)
            flush(self._writer, what, self._stop, notice, self._is_over)
            self._pending = 0

    def close(self) -> None:
        """Closes the stream; call `flush` first, rows under way may be lost."""
        self._writer.close()


class TransitionStream:
    """Sends rows to one table from a thread, so that acting never waits for the server.

    Rows that come within one interval are sent together, in items of 32, 4 or 1: at both ends
    Reverb's price is per message and per item.
    """

    def __init__(
        self,
        client: reverb.Client,
        table: str,
        stop: StopRequest | None = None,
        interval_s: float = SEND_INTERVAL_S,
        is_over: Callable[[], bool] = bool,
    ) -> None:
        """Starts sending.

        Args:
            client: Connected to the replay server.
            table: Name of the table.
            stop: Ends waiting for a server that does not answer.
            interval_s: Time between two messages.
            is_over: Whether nobody takes rows any more, as when the learner is done: what comes
                then is left out.
        """
        self._writers = {rows: TransitionWriter(client, table, stop, is_over) for rows in _BLOCKS}
        self._interval_s = interval_s
        self._is_over = is_over
        self._queue: queue.SimpleQueue[Rows] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"send-{table}", daemon=True)
        self._thread.start()

    def write(self, row: Rows) -> None:
        """Sends a row, soon.

        Raises:
            ReplayUnreachableError: The server did not take earlier rows.
            Exception: Whatever else ended the thread.
        """
        if self._error is not None:
            raise self._error
        self._queue.put(row)

    def close(self) -> None:
        """Returns when the server has all rows that anybody takes; raises as `write`."""
        self._closing.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                is_last = self._closing.wait(self._interval_s)
                self._send()
        except Exception as error:  # for the thread that writes: it must not go on unheard
            self._error = error

    def _send(self) -> None:
        waiting = [self._queue.get() for _ in range(self._queue.qsize())]
        if self._is_over():
            return
        for size, writer in self._writers.items():
            while len(waiting) >= size:
                writer.write(concatenated(waiting[:size]))
                del waiting[:size]
            writer.flush()  # what the next one writes comes later
