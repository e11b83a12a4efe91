"""Filling replay tables from RLDS: the log on disk is the truth, the tables are derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.errors import UsageError
from ..datasets.reading import Dataset, open_dataset
from .replay_items import ONLINE_SOURCE, pack_episode
from .replay_tables import DEMOS, ONLINE
from .replay_writer import TransitionWriter

if TYPE_CHECKING:
    import reverb

    from .run_directory import RunDirectory, RunRecord, Session

ROWS_PER_ITEM = 256


def fill_tables(
    client: reverb.Client, directory: RunDirectory, record: RunRecord, session: Session
) -> None:
    """Fills a fresh server's tables with the demonstrations and with earlier sessions' episodes.

    Raises:
        UsageError: There are more demonstrations than `replay.demos_capacity`.
        DamagedDatasetError: A dataset cannot be read.
    """
    replay = record.run.replay
    demos = list(packed_demos(record, session))
    count = sum(map(len, demos))
    if count > replay.demos_capacity:
        raise UsageError(
            f"the demonstrations hold {count} transitions, more than replay.demos_capacity = "
            f"{replay.demos_capacity}; set it higher"
        )
    write_table(client, DEMOS, demos)
    if session.env_steps:
        online = list(packed_online(directory, record, session))
        write_table(client, ONLINE, newest_rows(online, replay.online_capacity))


def packed_demos(record: RunRecord, session: Session) -> Iterator[np.ndarray]:
    """The transitions of each demonstration, in order: (N, W) float32 each."""
    for source, dataset in enumerate(record.datasets):
        yield from _packed(open_dataset(dataset.path), source, record, session)


def packed_online(
    directory: RunDirectory, record: RunRecord, session: Session
) -> Iterator[np.ndarray]:
    """The transitions of each episode in the run's own log, in order: (N, W) float32 each."""
    yield from _packed(open_dataset(directory.episodes), ONLINE_SOURCE, record, session)


def newest_rows(episodes: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """The last episodes, the first of them cut, so that they hold at most `count` rows."""
    kept: list[np.ndarray] = []
    for rows in reversed(episodes):
        if count <= 0:
            break
        kept.append(rows[-count:])
        count -= len(rows)
    return kept[::-1]


def write_table(client: reverb.Client, table: str, episodes: Sequence[np.ndarray]) -> None:
    """Writes the rows (N, W) of all episodes in order; returns when the server has them all."""
    if not episodes:
        return
    rows = np.concatenate(episodes)
    blocks, rest = np.split(rows, [len(rows) - len(rows) % ROWS_PER_ITEM])
    # A writer's items all have one shape: many rows at a time, then the rest one by one.
    for items in (blocks.reshape(-1, ROWS_PER_ITEM, rows.shape[1]), rest[:, None]):
        writer = TransitionWriter(client, table)
        for item in items:
            writer.write(item)
        writer.flush()
        writer.close()


def _packed(
    dataset: Dataset, source: int, record: RunRecord, session: Session
) -> Iterator[np.ndarray]:
    fields, layout = record.task.state_fields, session.replay.layout
    for ordinal, episode in enumerate(dataset.episodes()):
        if episode.num_transitions:
            yield pack_episode(episode, fields, layout, source, ordinal)
