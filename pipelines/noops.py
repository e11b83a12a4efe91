"""Leaving out the steps in which nothing is commanded."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ..datasets import keys
from ..datasets.episode import Column, Episode
from ..datasets.errors import SchemaError, UsageError
from ..datasets.schema import Schema
from .action_rows import num_action_rows
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class DropNoops(Transform):
    """Drops the steps whose action neither moves the arm nor changes the gripper.

    A step is dropped where the norm of its action without the gripper, as stored, is below
    `threshold` and the gripper command equals that of the last kept step; before the first kept
    step the gripper is not looked at. The reward of dropped steps is added to the last step kept
    before them (before the first kept step: to that one), and their discount is multiplied into it,
    so that return and termination stay. Timestamps stay as recorded. An episode of nothing but
    such steps is left out.
    Source of the rule: Kim et al. 2024, "OpenVLA": its preparation of the LIBERO data.

    Attributes:
      threshold: norm below which an action does not move, in the action's stored units.
    """

    name: ClassVar[str] = "drop_noops"
    threshold: float = 1e-4

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise UsageError(f"{self.name}: threshold: expected above 0, found {self.threshold}")

    def map_schema(self, schema: Schema) -> Schema:
        if len(schema.action.shape) != 1 or schema.action.size < 2:
            raise SchemaError(
                f"{self.name}: needs an action vector whose last value is the gripper, found "
                f"{schema.action.describe()}"
            )
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        rows = num_action_rows(episode)
        kept = np.flatnonzero(
            moving_steps(np.asarray(episode.columns[keys.ACTION])[:rows], self.threshold)
        )
        if not kept.size:
            return None
        if len(kept) == rows:
            return episode
        # What follows the last action, where there is such a row, stays.
        take = np.concatenate([kept, np.arange(rows, len(episode))])
        columns = {path: _take(column, take) for path, column in episode.columns.items()}
        owner = np.maximum(np.searchsorted(kept, np.arange(rows), side="right") - 1, 0)
        for path, merge in ((keys.REWARD, np.add), (keys.DISCOUNT, np.multiply)):
            if path in columns:
                columns[path] = _merged(merge, columns[path], episode.columns[path], owner, kept)
        return Episode(_with_edges(columns, episode), episode.metadata)


def moving_steps(actions: np.ndarray, threshold: float) -> np.ndarray:
    """Which of the actions (N, A), the last value being the gripper, are no no-ops: (N,) bool."""
    still = np.linalg.norm(actions[:, :-1], axis=1) < threshold
    moving = np.ones(len(actions), bool)
    gripper: float | None = None
    for step in range(len(actions)):
        if still[step] and (gripper is None or actions[step, -1] == gripper):
            moving[step] = False
        else:
            gripper = actions[step, -1]
    return moving


def _take(column: Column, rows: np.ndarray) -> Column:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows]


def _merged(
    merge: np.ufunc, taken: Column, column: Column, owner: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """`taken`, each kept row being the merger of the rows that it owns."""
    values = np.asarray(column)[: len(owner)]
    starts = np.searchsorted(owner, np.arange(len(kept)))
    result = np.array(taken)
    result[: len(kept)] = merge.reduceat(values, starts)
    return result


def _with_edges(columns: dict[str, Column], original: Episode) -> dict[str, Column]:
    """Flags as an episode needs them: the first and the last row may have been dropped."""
    edges = (
        (keys.IS_FIRST, 0, True),
        (keys.IS_LAST, -1, True),
        (keys.IS_TERMINAL, -1, bool(original.columns[keys.IS_TERMINAL][-1])),
    )
    for path, row, value in edges:
        flags = np.array(columns[path])
        flags[row] = value
        columns[path] = flags
    return columns
