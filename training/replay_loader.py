"""Filling replay tables from RLDS: the log on disk is the truth, the tables are derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.reading import Dataset
from .replay_items import pack_episode, state_vectors
from .replay_writer import TransitionWriter

if TYPE_CHECKING:
    import reverb

    from ..datasets.episode import Episode
    from .replay_items import ItemLayout


def load_table(
    client: reverb.Client,
    table: str,
    episodes: Iterator[tuple[int, int, Episode]],
    state_fields: Sequence[str],
    layout: ItemLayout,
    newest: int | None = None,
) -> int:
    """Writes the transitions of episodes into a table and returns how many were written.

    Args:
        client: Connected to the replay server.
        table: Name of the table.
        episodes: (source, ordinal, episode), see `replay_items`.
        state_fields: Paths of the fields that make the observation vector, in order.
        layout: The row's layout.
        newest: Write only the last so many transitions; None for all.
    """
    packed = [pack_episode(e, state_fields, layout, s, i) for s, i, e in episodes]
    if not packed:
        return 0
    rows = np.concatenate(packed)
    rows = rows if newest is None else rows[-newest:]
    writer = TransitionWriter(client, table)
    for row in rows:
        writer.write(row)
    writer.flush()
    writer.close()
    return len(rows)


def numbered_episodes(
    datasets: Sequence[Dataset], first_source: int = 0
) -> Iterator[tuple[int, int, Episode]]:
    """All episodes of the datasets as (source, ordinal, episode); sources count from the first."""
    for source, dataset in enumerate(datasets, first_source):
        for ordinal, episode in enumerate(dataset.episodes()):
            yield source, ordinal, episode


def observation_statistics(
    datasets: Sequence[Dataset], state_fields: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (S,) float32 over all observations of the datasets."""
    states = np.concatenate(
        [state_vectors(e, state_fields) for _, _, e in numbered_episodes(datasets)]
    )
    mean, std = states.mean(axis=0, dtype=np.float64), states.std(axis=0, dtype=np.float64)
    return mean.astype(np.float32), std.astype(np.float32)
