"""Writing transitions into the replay tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .replay_client import flush
from .replay_tables import ROW
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

_FLUSH_INTERVAL = 16  # more rows under way make Reverb warn


class TransitionWriter:
    """Sends packed rows to one table, in order; not for several threads."""

    def __init__(self, client: reverb.Client, table: str, stop: StopRequest | None = None) -> None:
        """Opens a stream to the server.

        Args:
            client: Connected to the replay server.
            table: Name of the table.
            stop: Ends waiting for a server that does not answer.
        """
        self._table = table
        self._stop = stop
        self._pending = 0
        self._writer = client.trajectory_writer(num_keep_alive_refs=1)
        # Chunks of one row: sampling decompresses a whole chunk to get one of its rows.
        self._writer.configure((ROW,), num_keep_alive_refs=1, max_chunk_length=1)

    def write(self, row: np.ndarray) -> None:
        """Sends one packed row (W,); waits for the server's answer only now and then.

        Raises:
            ReplayUnreachableError: The server did not take earlier rows.
        """
        self._writer.append({ROW: row})
        self._writer.create_item(self._table, 1.0, {ROW: self._writer.history[ROW][-1:]})
        self._pending += 1
        if self._pending >= _FLUSH_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Waits until the server has confirmed all rows.

        Raises:
            ReplayUnreachableError: It did not.
        """
        flush(self._writer, f"transitions for table {self._table!r}", self._stop)
        self._pending = 0

    def close(self) -> None:
        """Closes the stream; call `flush` first, rows under way may be lost."""
        self._writer.close()
