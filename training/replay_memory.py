"""What the learner has taken from the replay tables, and how batches are drawn from it.

Frames are kept as they come, raw and each once: a transition's observation and next observation are
two slots of the same ring. Which slot holds the frames before a row's is found by the episode and
step that the row carries, not by its place: rows of several actors may come in any mixture, and a
row whose predecessor is missing or has made way is kept but never drawn.

A step costs `ItemLayout.row_bytes` and `LINK_BYTES`: with two cameras of 64 x 64 some 25 kB, 5 GB
for 200 000 steps; with two of 128 x 128 some 99 kB, 20 GB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..datasets.errors import SerldsError
from .replay_items import ItemLayout, Origin, Rows, opening_step
from .transition import Observation, Transition

LINK_BYTES = 16
"""Bytes by which a step with frames knows the step before and after."""
_MOST_OPEN_EPISODES = 4096
_NONE = -1


class Batch(NamedTuple):
    """U minibatches of B transitions and where each of them came from."""

    transitions: Transition
    """Fields (U, B, ...)."""
    origin: Origin
    """Fields (U, B)."""


class ReplayMemory:
    """The newest rows of one table, in a ring."""

    def __init__(self, capacity: int, layout: ItemLayout) -> None:
        """Holds up to `capacity` rows of `layout`; memory is used as it fills.

        From pixels the row that opens an episode counts as one too.
        """
        self._layout = layout
        self._packed = np.empty((capacity, layout.width), np.float32)
        self._frames = {
            camera.name: np.empty((capacity, *camera.shape), np.uint8) for camera in layout.cameras
        }
        self._links = FrameLinks(capacity) if layout.cameras else None
        self._size = 0
        self._next = 0

    def __len__(self) -> int:
        """Transitions that can be drawn."""
        return self._size if self._links is None else self._links.drawable

    @property
    def transitions(self) -> np.ndarray:
        """The packed transitions held, (N, W), in no particular order."""
        packed = self._packed[: self._size]
        return packed if self._links is None else packed[packed[:, -1] >= 0]

    def add(self, rows: Rows) -> None:
        """Takes rows; the oldest make way when there is no room."""
        capacity = len(self._packed)
        kept = slice(max(len(rows.packed) - capacity, 0), None)
        packed = rows.packed[kept]
        if self._links is not None:
            self._links.extend(self._layout.origin(packed))
        _write(self._packed, self._next, packed)
        for name, frames in self._frames.items():
            _write(frames, self._next, rows.frames[name][kept])
        self._next = (self._next + len(packed)) % capacity
        self._size = min(self._size + len(packed), capacity)

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Slots of transitions drawn uniformly with replacement: (U, R); there must be one."""
        if self._links is None:
            return rng.integers(self._size, size=shape)
        return self._links.draw(rng, self._size, shape)

    def gather(self, slots: np.ndarray, batch: Transition, packed: np.ndarray, first: int) -> None:
        """Copies transitions into a batch.

        Args:
            slots: (U, R), from `draw`.
            batch: Its images (U, B, H, W, 3) are filled in the rows from `first` on.
            packed: (U, B, W) float32, filled there too.
            first: Row of each minibatch for the first of the R.
        """
        rows = slice(first, first + slots.shape[1])
        for u, chosen in enumerate(slots):
            # Any mode but `raise` writes straight into `out`; the slots are in range.
            np.take(self._packed, chosen, axis=0, out=packed[u, rows], mode="clip")
        if self._links is None:
            return
        sides = (batch.observation, self._links.before[slots]), (batch.next_observation, slots)
        for observation, places in sides:
            for name, frames in self._frames.items():
                for u, chosen in enumerate(places):
                    out = observation.images[name][u, rows]
                    np.take(frames, chosen, axis=0, out=out, mode="clip")


class FrameLinks:
    """Which slot of a ring holds the frames before and after each row's.

    Attributes:
        before: (capacity,) int64 slot of the row before in the same episode; -1: none, so that the
            row cannot be drawn.
        after: (capacity,) int64 slot of the row that follows in the same episode; -1: none.
        drawable: How many rows can be drawn.
    """

    def __init__(self, capacity: int) -> None:
        """No row yet."""
        self.before = np.full(capacity, _NONE)
        self.after = np.full(capacity, _NONE)
        self.drawable = 0
        self._written = 0
        self._heads: dict[tuple[int, int], tuple[int, int]] = {}
        """Number and step of the last row of each episode, the last used at the end."""

    def extend(self, origin: Origin) -> None:
        """Links n new rows, at most `capacity`, to those before them in their episodes.

        Row number k, counted from the first ever, has slot k modulo the capacity; what was there
        is forgotten.

        Args:
            origin: Where they come from, (n,); rows of one episode come in their order.
        """
        capacity, first = len(self.before), self._written
        self._written += len(origin.step)
        slots = np.arange(first, self._written) % capacity
        self._forget(slots)
        oldest = self._written - capacity
        places = zip(*(part.tolist() for part in origin), strict=True)
        for number, (source, episode, step) in enumerate(places, first):
            last, last_step = self._heads.pop((source, episode), (_NONE, _NONE))
            if last >= max(oldest, 0) and step == last_step + 1 and step >= 0:
                slot, last_slot = number % capacity, last % capacity
                self.before[slot], self.after[last_slot] = last_slot, slot
                self.drawable += 1
            # An opening row stands for the step before the one that it opens.
            self._heads[source, episode] = number, step if step >= 0 else opening_step(step) - 1
        while len(self._heads) > _MOST_OPEN_EPISODES:
            del self._heads[next(iter(self._heads))]

    def draw(self, rng: np.random.Generator, size: int, shape: tuple[int, int]) -> np.ndarray:
        """Slots below `size` of rows that can be drawn, uniformly with replacement."""
        slots = rng.integers(size, size=shape)
        while (refused := self.before[slots] == _NONE).any():
            slots[refused] = rng.integers(size, size=int(refused.sum()))
        return slots

    def _forget(self, slots: np.ndarray) -> None:
        after = self.after[slots]
        orphans = after[after != _NONE]
        self.drawable -= int((self.before[orphans] != _NONE).sum())
        self.before[orphans] = _NONE
        self.drawable -= int((self.before[slots] != _NONE).sum())
        before = self.before[slots]
        self.after[before[before != _NONE]] = _NONE
        self.before[slots] = self.after[slots] = _NONE


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

    Raises:
        SerldsError: A table that rows are wanted of has given no transition yet.
    """
    if empty := [table for table, count in rows.items() if count and not len(memories[table])]:
        raise SerldsError(
            f"replay table {empty[0]!r} has given no transition to learn from: the episodes are "
            f"empty, or steps were lost on their way; see the logs of actor and replay server"
        )
    shape = minibatches, sum(rows.values())
    packed = np.empty((*shape, layout.width), np.float32)
    unpacked = layout.unpack(packed)
    batch = unpacked._replace(
        observation=_with_images(unpacked.observation, layout, shape),
        next_observation=_with_images(unpacked.next_observation, layout, shape),
    )
    first = 0
    for table, count in rows.items():
        if count:
            slots = memories[table].draw(rng, (minibatches, count))
            memories[table].gather(slots, batch, packed, first)
            first += count
    return Batch(batch, layout.origin(packed))


def _with_images(
    observation: Observation, layout: ItemLayout, shape: tuple[int, int]
) -> Observation:
    images = {c.name: np.empty((*shape, *c.shape), np.uint8) for c in layout.cameras}
    return observation._replace(images=images)


def _write(ring: np.ndarray, start: int, values: np.ndarray) -> None:
    first = min(len(values), len(ring) - start)
    ring[start : start + first] = values[:first]
    ring[: len(values) - first] = values[first:]
