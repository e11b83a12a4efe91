"""How many rows of an episode hold an action."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..datasets import keys
from ..datasets.episode import Column, Episode

_OF_ACTION = (keys.ACTION, keys.ACTION_REQUESTED, keys.REWARD, keys.DISCOUNT)


def is_about_action(path: str) -> bool:
    """Whether a step field holds what was done or what came of it, not what was observed."""
    return path in _OF_ACTION or path.startswith(f"{keys.ACTION}/")


def num_action_rows(episode: Episode) -> int:
    """T - 1 for RLDS proper, whose last row is void, or T where the last row holds an action.

    Published robot datasets have both kinds. A void row has no reward and no discount; it is told
    from the row of an action that failed and terminated by its zero action, or by the row before
    it, which then says how the episode ended.
    """
    columns = episode.columns
    rows = len(episode)
    if any(_is_set(columns, path) for path in (keys.REWARD, keys.DISCOUNT)):
        return rows
    actions = [p for p in columns if p == keys.ACTION or p.startswith(f"{keys.ACTION}/")]
    if not any(_is_set(columns, path) for path in actions):
        return rows - 1
    terminal = keys.IS_TERMINAL in columns and bool(columns[keys.IS_TERMINAL][-1])
    discount = np.asarray(columns.get(keys.DISCOUNT, []))
    ended_before = len(discount) > 1 and discount[-2] == 0
    return rows if terminal and not ended_before else rows - 1


def _is_set(columns: Mapping[str, Column], path: str) -> bool:
    return path in columns and bool(np.any(np.asarray(columns[path][-1])))
