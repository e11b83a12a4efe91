"""What the learner has taken from the replay tables, and how batches are drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .replay_items import ItemLayout, Origin
from .transition import Transition


class Batch(NamedTuple):
    """U minibatches of B transitions and where each of them came from."""

    transitions: Transition
    """Fields (U, B, ...)."""
    origin: Origin
    """Fields (U, B)."""


class ReplayMemory:
    """The newest packed transitions of one table."""

    def __init__(self, capacity: int, width: int) -> None:
        """Holds up to `capacity` rows of `width` float32; memory is used as it fills."""
        self._rows = np.empty((capacity, width), np.float32)
        self._size = 0
        self._next = 0

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> np.ndarray:
        """All rows held, (N, W), in no particular order; a view."""
        return self._rows[: self._size]

    def add(self, rows: np.ndarray) -> None:
        """Takes rows (n, W); the oldest make way when there is no room."""
        capacity = len(self._rows)
        rows = rows[-capacity:]
        first = min(len(rows), capacity - self._next)
        self._rows[self._next : self._next + first] = rows[:first]
        self._rows[: len(rows) - first] = rows[first:]
        self._next = (self._next + len(rows)) % capacity
        self._size = min(self._size + len(rows), capacity)

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Rows drawn uniformly with replacement: (U, R, W)."""
        return self._rows[rng.integers(self._size, size=shape)]


def draw_batch(
    memories: Mapping[str, ReplayMemory],
    rows: Mapping[str, int],
    minibatches: int,
    layout: ItemLayout,
    rng: np.random.Generator,
) -> Batch:
    """Draws minibatches that hold exactly so many rows of each table, in the tables' order.

    Args:
        memories: By table.
        rows: Rows of every minibatch by table; 0 for none.
        minibatches: U.
        layout: The layout of a row.
        rng: Decides which; it advances.
    """
    parts = [memories[t].draw(rng, (minibatches, count)) for t, count in rows.items() if count]
    joined = np.concatenate(parts, axis=1)
    return Batch(layout.unpack(joined), layout.origin(joined))
