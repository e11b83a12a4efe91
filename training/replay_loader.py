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

from ..datasets import keys
from ..datasets.episode import Episode, resize_image
from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from .interventions import Interventions
from .replay_items import (
    Camera,
    ItemLayout,
    Rows,
    concatenated,
    episode_rows,
    online_source,
    rows_at,
    transitions_in,
)
from .replay_tables import DEMOS, ONLINE, demo_rows
from .replay_writer import TransitionWriter, rows_per_item
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

    from .run_directory import RunDirectory, RunRecord, Session

Placed = tuple[str, int, int, Episode]
"""Id of an episode, which sorts by the time of its start, source, ordinal, episode."""
Cut = tuple[Placed, int, int]
"""An episode, and the transitions of it that are meant: the first, and the one after the last."""
ROWS_PER_ITEM = 256


def fill_tables(
    client: reverb.Client,
    directory: RunDirectory,
    record: RunRecord,
    session: Session,
    stop: StopRequest | None = None,
) -> None:
    """Fills a fresh server's tables with the demonstrations and with earlier sessions' episodes.

    What people did in episodes for which the table `online` has no room any more is among the
    demonstrations; what they did in the others the learner finds there.

    Args:
        client: Connected to the server.
        directory: The run.
        record: Its record.
        session: The session that begins.
        stop: Ends waiting for a server that takes no more.

    Raises:
        UsageError: There are more demonstrations than `replay.demos_capacity`.
        DamagedDatasetError: A dataset cannot be read, or an image in it cannot be decoded.
        ReplayUnreachableError: The server took no more before the stop.
    """
    capacity, layout = record.run.replay, session.replay.layout
    # A run's last episode may outlast it, so that its log holds more than its table.
    online = min(capacity.online_capacity, session.replay.capacity.online_capacity)
    demos = _within(packed_demos(record, session), capacity.demos_capacity)
    if session.env_steps > online and demo_rows(record.run):
        driven = packed_interventions(directory, record, session, online)
        demos = _with_newest(demos, driven, session.replay.capacity.demos_capacity)
    write_table(client, DEMOS, demos, layout, stop)
    if session.env_steps:
        newest = packed_online(directory, record, session, online)
        write_table(client, ONLINE, newest, layout, stop)


def packed_demos(record: RunRecord, session: Session) -> Iterator[Rows]:
    """The rows of each demonstration, in order."""
    for source, dataset in enumerate(record.datasets):
        episodes = _by_start(open_dataset(dataset.path), source)
        yield from _packed(_cut_at(episodes, 0)[1], record, session)


def packed_online(
    directory: RunDirectory, record: RunRecord, session: Session, transitions: int
) -> Iterator[Rows]:
    """The newest rows of the run's own logs that hold at most so many transitions, in order.

    The first of the episodes is cut.
    """
    yield from _packed(_logs_cut(directory, transitions)[1], record, session)


def packed_interventions(
    directory: RunDirectory, record: RunRecord, session: Session, transitions: int
) -> Iterator[Rows]:
    """The rows in which a person drove, of all that are older than those of `packed_online`."""
    older = (
        cut
        for cut in _logs_cut(directory, transitions)[0]
        if np.any(cut[0][-1].columns.get(keys.INTERVENED, False))
    )
    find = Interventions(session.replay.layout)
    for rows in _packed(older, record, session):
        yield from find.among([rows])


def write_table(
    client: reverb.Client,
    table: str,
    episodes: Iterable[Rows],
    layout: ItemLayout,
    stop: StopRequest | None = None,
) -> None:
    """Writes all rows in order; returns when the server has them all, raises as `fill_tables`."""
    block = rows_per_item(layout, ROWS_PER_ITEM)
    # A writer's items all have one shape: many rows at a time, then the rest one by one.
    writer, size = TransitionWriter(client, table, stop), block
    for rows in _blocks(episodes, block):
        if len(rows.packed) != size:
            writer.flush()
            writer.close()
            writer = TransitionWriter(client, table, stop)
            size = 1
        for first in range(0, len(rows.packed), size):
            writer.write(rows_at(rows, slice(first, first + size)))
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


def _logs_cut(directory: RunDirectory, transitions: int) -> tuple[Iterator[Cut], Iterator[Cut]]:
    """The run's own logs in order: all but the newest so many transitions, and those."""
    logs = directory.logs_of_episodes()
    datasets = {online_source(actor): open_dataset(log) for actor, log in logs.items()}
    counts = (e.num_transitions for dataset in datasets.values() for e in dataset.episodes())
    held = sum(counts)
    in_order = heapq.merge(*(_by_start(dataset, source) for source, dataset in datasets.items()))
    return _cut_at(in_order, max(held - transitions, 0))


def _cut_at(episodes: Iterable[Placed], first: int) -> tuple[Iterator[Cut], Iterator[Cut]]:
    """What is before transition `first` of all, and what is from there on; take one of both."""

    def cuts() -> Iterator[tuple[Placed, int, int]]:
        left = first
        for placed in episodes:
            count = placed[-1].num_transitions
            yield placed, min(left, count), count
            left = max(left - count, 0)

    older = ((placed, 0, cut) for placed, cut, _ in cuts() if cut)
    newer = ((placed, cut, count) for placed, cut, count in cuts() if cut < count)
    return older, newer


def _packed(cuts: Iterable[Cut], record: RunRecord, session: Session) -> Iterator[Rows]:
    """The rows of each episode, as far as they are meant."""
    fields, layout = record.task.state_fields, session.replay.layout
    jobs = (functools.partial(_rows_of, cut, fields, layout) for cut in cuts)
    yield from _in_parallel(jobs) if layout.cameras else (job() for job in jobs)


def _rows_of(cut: Cut, fields: tuple[str, ...], layout: ItemLayout) -> Rows:
    (_, source, ordinal, episode), begin, end = cut
    rows = episode_rows(episode, fields, layout, source, ordinal, decoded_frames)
    # From pixels row `begin` brings the frames of the observation of the transition after it.
    return rows_at(rows, slice(begin, end + 1 if layout.cameras else end))


def _with_newest(demos: Iterable[Rows], others: Iterable[Rows], capacity: int) -> Iterator[Rows]:
    """The demonstrations, then as many of the newest other rows as there is room for."""
    room = capacity
    for rows in demos:
        room -= len(rows.packed)
        yield rows
    kept: deque[Rows] = deque()
    count = 0
    for rows in others:
        kept.append(rows)
        count += len(rows.packed)
        while count > room:
            count -= len(kept.popleft().packed)
    yield from kept


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
            joined = concatenated(held)
            whole = count - count % size
            for first in range(0, whole, size):
                yield rows_at(joined, slice(first, first + size))
            held, count = [rows_at(joined, slice(whole, None))], count - whole
    if count:
        yield concatenated(held)
