"""Giving steps other rewards."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Schema
from ..action_rows import num_action_rows
from .rows import with_void_rows
from .schema_edits import check_reward_fields, metadata_field
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class SparseReward(Transform):
    """Makes the reward 1 at the last action of a successful episode and 0 everywhere else.

    Success is what the metadata say. Where `terminate` is set, a successful episode also terminates
    there (`is_terminal`, discount 0), as RLDS has it for a task that is achieved; otherwise its end
    stays what it was.

    Attributes:
      terminate: whether success ends an episode.
    """

    name: ClassVar[str] = "sparse_reward"
    example: ClassVar[str] = "sparse_reward:terminate=true"
    terminate: bool = False

    def map_schema(self, schema: Schema) -> Schema:
        check_reward_fields(self.name, schema)
        metadata_field(self.name, schema, keys.SUCCESS)
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        rows = num_action_rows(episode)
        reward = np.zeros(len(episode), np.float32)
        reward[rows - 1] = episode.success
        columns = {**episode.columns, keys.REWARD: reward}
        if self.terminate and episode.success:
            columns |= terminated(episode, rows)
        return Episode(columns, episode.metadata)


@dataclasses.dataclass(frozen=True)
class ScaleReward(Transform):
    """Replaces each reward r by `scale` r + `offset`.

    With offset=-1 a sparse reward becomes -1 at each step and 0 at success: a step penalty.

    Attributes:
      scale: factor, above 0.
      offset: what is added at each action.
    """

    name: ClassVar[str] = "scale_reward"
    example: ClassVar[str] = "scale_reward:scale=10,offset=-0.1"
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("scale", self.scale > 0, "above 0")

    def map_schema(self, schema: Schema) -> Schema:
        check_reward_fields(self.name, schema)
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        rows = num_action_rows(episode)
        reward = np.asarray(episode.columns[keys.REWARD], np.float64)[:rows]
        changed = (reward * self.scale + self.offset).astype(np.float32)
        column = with_void_rows(changed, len(episode))
        return Episode({**episode.columns, keys.REWARD: column}, episode.metadata)


def terminated(episode: Episode, rows: int) -> dict[str, np.ndarray]:
    """Discount and `is_terminal` of an episode of `rows` actions that ends in a terminal state."""
    discount = np.array(episode.columns[keys.DISCOUNT])
    discount[rows - 1] = 0
    terminal = np.zeros(len(episode), bool)
    terminal[-1] = True
    return {keys.DISCOUNT: discount, keys.IS_TERMINAL: terminal}
