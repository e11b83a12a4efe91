"""Leaving out steps of an episode while it stays a true RLDS episode."""

from __future__ import annotations

import numpy as np

from ...datasets import keys
from ...datasets.episode import Column, Episode
from ..action_rows import num_action_rows
from ..findings import ERROR, BadEpisodeError, Finding


def merge_steps(episode: Episode, kept: np.ndarray) -> Episode:
    """The episode with some of its actions left out, none of their reward and termination lost.

    The reward of a step left out is added to the last kept step before it (before the first kept
    step: to that one), and its discount multiplied into it. An observation after the last action
    stays. All other fields are those of the kept steps.

    Args:
      episode: with N action rows.
      kept: (K,) the rows to keep, ascending, at least one, each below N.

    Raises:
      BadEpisodeError: fewer steps would be left than an episode needs.
    """
    rows = num_action_rows(episode)
    take = np.concatenate([kept, np.arange(rows, len(episode))])
    check_enough(len(take))
    columns = {path: take_rows(column, take) for path, column in episode.columns.items()}
    starts = np.concatenate([[0], kept[1:]])
    for path, merge in ((keys.REWARD, np.add), (keys.DISCOUNT, np.multiply)):
        if path in columns:
            merged = np.array(columns[path])
            values = np.asarray(episode.columns[path])[:rows]
            merged[: len(kept)] = merge.reduceat(values, starts)
            columns[path] = merged
    terminal = bool(episode.columns[keys.IS_TERMINAL][-1])
    return Episode(columns | edge_flags(len(take), terminal), episode.metadata)


def check_enough(steps: int) -> None:
    """Checks that an episode of so many steps holds a transition; raises BadEpisodeError."""
    if steps < 2:
        message = "an episode needs two steps; fewer would be left"
        raise BadEpisodeError(Finding("flags", ERROR, message, 0, "", "2 steps", f"{steps}"))


def edge_flags(steps: int, terminal: bool) -> dict[str, Column]:
    """`is_first`, `is_last` and `is_terminal` of an episode of so many steps."""
    rows = np.arange(steps)
    last = rows == steps - 1
    return {keys.IS_FIRST: rows == 0, keys.IS_LAST: last, keys.IS_TERMINAL: last & terminal}


def take_rows(column: Column, rows: np.ndarray) -> Column:
    """The values of a column at some rows."""
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows]


def with_void_rows(values: np.ndarray, steps: int) -> np.ndarray:
    """Values of N action rows (N, ...) with zeros below, so that there are `steps` rows.

    A row without an action is told by its zeros; see `action_rows`.
    """
    void = np.zeros((steps - len(values), *values.shape[1:]), values.dtype)
    return np.concatenate([values, void])
