"""Records that two processes share: one writes, the other reads the newest at any time.

Each slot is a sequence lock (Lameter, "Effective synchronization on Linux/NUMA systems", 2005): the
writer makes a counter odd, writes, and makes it even; a reader tries again when the counter was odd
or changed. The writer never waits, and `try_read` does not either. The memory has no name: it goes
to the other process as a file descriptor and vanishes with the last process that has it. Nothing
but the processor keeps the writes in order, which x86-64 does.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence

import numpy as np

from .errors import RobotError

_SPINS = 100
"""Tries before a reader lets others run: the writer may wait for its processor."""
_SLEEP_S = 2e-4
_PATIENCE_S = 2.0


class Slot:
    """One record in shared memory."""

    def __init__(self, buffer: mmap.mmap, offset: int, dtype: np.dtype) -> None:
        """Uses `buffer` from `offset`, a multiple of 64, on."""
        self._count = np.frombuffer(buffer, np.uint64, 1, offset)
        self._record = np.frombuffer(buffer, dtype, 1, offset + 64)
        self.dtype = dtype

    def write(self, record: np.ndarray) -> None:
        """Replaces the content by a record (1,); for one thread of one process."""
        self._count += np.uint64(1)
        self._record[:] = record
        self._count += np.uint64(1)

    def read(self) -> np.ndarray:
        """A copy (1,) of the newest whole record; zeros before the first.

        Raises:
          RobotError: the writer has been writing for 2 s: it died, or stands still.
        """
        for _ in range(_SPINS):
            if (record := self.try_read()) is not None:
                return record
        end_s = time.monotonic() + _PATIENCE_S
        while (record := self.try_read()) is None:
            if time.monotonic() > end_s:
                raise RobotError("shared memory is torn: the process that wrote it died")
            time.sleep(_SLEEP_S)
        return record

    def try_read(self) -> np.ndarray | None:
        """A copy (1,) of the record; None where the writer was busy with it."""
        before = int(self._count[0])
        if before % 2:
            return None
        record = self._record.copy()
        return record if before == int(self._count[0]) else None


class SharedSlots:
    """Slots in one piece of shared memory, in a fixed order."""

    def __init__(self, *dtypes: np.dtype, fd: int | None = None) -> None:
        """Makes the memory, or uses that of a descriptor `fd` that processes share.

        Where `fd` is still empty, it is given its size: by one process, before the other looks.
        """
        offsets, size = _layout(dtypes)
        self.fd = os.memfd_create("serlds-rig") if fd is None else fd
        if os.fstat(self.fd).st_size == 0:
            os.ftruncate(self.fd, size)
        buffer = mmap.mmap(self.fd, size)
        self.slots = [
            Slot(buffer, offset, dtype) for offset, dtype in zip(offsets, dtypes, strict=True)
        ]

    def close(self) -> None:
        """Gives the descriptor back; the memory stays while an array looks at it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _layout(dtypes: Sequence[np.dtype]) -> tuple[list[int], int]:
    """Where each slot begins, and the size of all."""
    offsets, size = [], 0
    for dtype in dtypes:
        offsets.append(size)
        size += 64 + -(-dtype.itemsize // 64) * 64
    return offsets, size
