"""Filling replay tables from RLDS: the log on disk is the truth, the tables are derived.

Episodes are read in order by one thread; for an agent that sees, all cores decode their images,
each once, a few episodes ahead: what is held besides the table does not grow with the dataset.
"""

from __future__ import annotations

import functools
import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.episode import Episode, resize_image
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from .replay_items import Camera, ItemLayout, Rows, episode_rows, online_source, transitions_in
from .replay_tables import DEMOS, ONLINE
from .replay_writer import TransitionWriter

if TYPE_CHECKING:
    import reverb

    from .run_directory import RunDirectory, RunRecord, Session

Placed = tuple[str, int, int, Episode]
"""Id of an episode, which sorts by the time of its start, source, ordinal, episode."""
ROWS_PER_ITEM = 256
ITEM_BYTES = 1_000_000
"""Rows with frames are packed into items of about this size, at most ROWS_PER_ITEM."""


def fill_tables(
    client: reverb.Client, directory: RunDirectory, record: RunRecord, session: Session
) -> None:
    """Fills a fresh server's tables with the demonstrations and with earlier sessions' episodes.

    Raises:
        UsageError: There are more demonstrations than `replay.demos_capacity`.
        DamagedDatasetError: A dataset cannot be read, or an image in it cannot be decoded.
    """
    capacity, layout = record.run.replay, session.replay.layout
    demos = _within(packed_demos(record, session), capacity.demos_capacity)
    write_table(client, DEMOS, demos, layout)
    if session.env_steps:
        newest = packed_online(directory, record, session, capacity.online_capacity)
        write_table(client, ONLINE, newest, layout)


def packed_demos(record: RunRecord, session: Session) -> Iterator[Rows]:
    """The rows of each demonstration, in order."""
    for source, dataset in enumerate(record.datasets):
        yield from _packed(_by_start(open_dataset(dataset.path), source), record, session)


def packed_online(
    directory: RunDirectory, record: RunRecord, session: Session, transitions: int
) -> Iterator[Rows]:
    """The newest rows of the run's own logs that hold at most so many transitions, in order.

    The first of the episodes is cut.
    """
    logs = directory.logs_of_episodes()
    datasets = {online_source(actor): open_dataset(log) for actor, log in logs.items()}
    counts = (e.num_transitions for dataset in datasets.values() for e in dataset.episodes())
    held = sum(counts)
    in_order = heapq.merge(*(_by_start(dataset, source) for source, dataset in datasets.items()))
    yield from _packed(in_order, record, session, max(held - transitions, 0))


def write_table(
    client: reverb.Client, table: str, episodes: Iterable[Rows], layout: ItemLayout
) -> None:
    """Writes all rows in order; returns when the server has them all."""
    block = min(max(ITEM_BYTES // layout.row_bytes, 1), ROWS_PER_ITEM)
    # A writer's items all have one shape: many rows at a time, then the rest one by one.
    writer, size = TransitionWriter(client, table), block
    for rows in _blocks(episodes, block):
        if len(rows.packed) != size:
            writer = _replaced(writer, client, table)
            size = 1
        for first in range(0, len(rows.packed), size):
            writer.write(_part(rows, slice(first, first + size)))
    writer.flush()
    writer.close()


def decoded_frames(episode: Episode, camera: Camera) -> np.ndarray:
    """A camera's images of an episode at the size that the agent sees: (T, H, W, 3) uint8.

    Raises:
        DamagedDatasetError: One cannot be decoded, naming episode, field and step.
    """
    size, frames = (camera.height, camera.width), episode.pixels(camera.path)
    if frames.shape[1:3] == size:
        return frames
    return np.stack([resize_image(frame, size) for frame in frames])


def _by_start(dataset: Dataset, source: int) -> Iterator[Placed]:
    """The episodes of a dataset in order, with their place."""
    for ordinal, episode in enumerate(dataset.episodes()):
        yield episode.episode_id, source, ordinal, episode


def _packed(
    episodes: Iterator[Placed], record: RunRecord, session: Session, skipped: int = 0
) -> Iterator[Rows]:
    """The rows of each episode but for the first `skipped` transitions of all."""
    fields, layout = record.task.state_fields, session.replay.layout

    def work() -> Iterator[Callable[[], Rows]]:
        left = skipped
        for _, source, ordinal, episode in episodes:
            if episode.num_transitions > left:
                yield functools.partial(
                    _episode_rows, episode, fields, layout, source, ordinal, left
                )
            left = max(left - episode.num_transitions, 0)

    yield from _in_parallel(work()) if layout.cameras else (job() for job in work())


def _episode_rows(
    episode: Episode,
    fields: tuple[str, ...],
    layout: ItemLayout,
    source: int,
    ordinal: int,
    skipped: int,
) -> Rows:
    rows = episode_rows(episode, fields, layout, source, ordinal, decoded_frames)
    # From pixels the first row that is left brings the frames of the next one's observation.
    return _part(rows, slice(skipped, None))


def _in_parallel(jobs: Iterator[Callable[[], Rows]]) -> Iterator[Rows]:
    """The results of all jobs in order; only a few are held at a time."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers, "decode") as pool:
        running: deque[Future[Rows]] = deque()
        for job in jobs:
            running.append(pool.submit(job))
            if len(running) > workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _within(episodes: Iterable[Rows], capacity: int) -> Iterator[Rows]:
    count = 0
    for rows in episodes:
        count += transitions_in(rows.packed)
        if count > capacity:
            raise UsageError(
                f"the demonstrations hold more than replay.demos_capacity = {capacity} "
                f"transitions; set it higher"
            )
        yield rows


def _blocks(episodes: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The same rows in blocks of `size`; the last one may be smaller."""
    held: list[Rows] = []
    count = 0
    for rows in episodes:
        held.append(rows)
        count += len(rows.packed)
        if count >= size:
            joined = _joined(held)
            whole = count - count % size
            for first in range(0, whole, size):
                yield _part(joined, slice(first, first + size))
            held, count = [_part(joined, slice(whole, None))], count - whole
    if count:
        yield _joined(held)


def _joined(parts: list[Rows]) -> Rows:
    frames = {
        name: np.concatenate([part.frames[name] for part in parts]) for name in parts[0].frames
    }
    return Rows(np.concatenate([part.packed for part in parts]), frames)


def _part(rows: Rows, which: slice) -> Rows:
    return Rows(rows.packed[which], {name: frames[which] for name, frames in rows.frames.items()})


def _replaced(writer: TransitionWriter, client: reverb.Client, table: str) -> TransitionWriter:
    writer.flush()
    writer.close()
    return TransitionWriter(client, table)
