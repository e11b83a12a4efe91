"""Writing transitions into the replay tables."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .replay_client import flood_notice, flush
from .replay_items import ItemLayout, LooseRow, Rows
from .replay_tables import ROWS, frames_column
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

SEND_INTERVAL_S = 0.05
ITEM_BYTES = 1_000_000
"""Rows with frames are packed into items of about this size."""
_SIZES = (64, 16, 4, 1)
_FLUSH_INTERVAL = 16  # more items under way make Reverb warn


def rows_per_item(layout: ItemLayout, most: int) -> int:
    """How many rows to pack into an item, at most so many."""
    return min(max(ITEM_BYTES // layout.row_bytes, 1), most)


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

    Rows that come within one interval are sent together, in items of 64, 16, 4 or 1, or fewer where
    images make them large: at both ends Reverb's price is per message and per item. Where rows come
    faster than one of the largest items in an interval, those that fill none wait for the next.
    """

    def __init__(
        self,
        client: reverb.Client,
        table: str,
        layout: ItemLayout,
        stop: StopRequest | None = None,
        interval_s: float = SEND_INTERVAL_S,
        is_over: Callable[[], bool] = bool,
    ) -> None:
        """Starts sending.

        Args:
            client: Connected to the replay server.
            table: Name of the table.
            layout: Of the rows.
            stop: Ends waiting for a server that does not answer.
            interval_s: Time between two messages.
            is_over: Whether nobody takes rows any more, as when the learner is done: what comes
                then is left out.
        """
        most = rows_per_item(layout, _SIZES[0])
        sizes = sorted({min(size, most) for size in _SIZES}, reverse=True)
        self._writers = {size: TransitionWriter(client, table, stop, is_over) for size in sizes}
        self._layout = layout
        self._interval_s = interval_s
        self._is_over = is_over
        self._queue: queue.SimpleQueue[LooseRow] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"send-{table}", daemon=True)
        self._thread.start()

    def write(self, row: LooseRow) -> None:
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
            waiting: list[LooseRow] = []
            is_last = False
            while not is_last:
                is_last = self._closing.wait(self._interval_s)
                waiting += [self._queue.get() for _ in range(self._queue.qsize())]
                waiting = [] if self._is_over() else self._send(waiting, is_last)
        except Exception as error:  # for the thread that writes: it must not go on unheard
            self._error = error

    def _send(self, waiting: list[LooseRow], is_last: bool) -> list[LooseRow]:
        """Sends rows; returns those that are for the next message."""
        sizes = [*self._writers]
        if len(waiting) >= sizes[0] and not is_last:
            sizes = sizes[:1]
        for size in sizes:
            while len(waiting) >= size:
                self._writers[size].write(self._layout.joined(waiting[:size]))
                waiting = waiting[size:]
            self._writers[size].flush()  # what the next one writes comes later
        return waiting
