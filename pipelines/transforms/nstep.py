"""Returns over several steps, beside the data they are made from."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Field, FieldDoc, Schema
from ..action_rows import num_action_rows
from .rows import with_void_rows
from .schema_edits import add_fields, check_reward_fields
from .transform import Transform

REWARD, DISCOUNT, LENGTH = "nstep/reward", "nstep/discount", "nstep/length"


@dataclasses.dataclass(frozen=True)
class AddNstep(Transform):
    """Adds what an n-step target needs, in three new fields; rewards and discounts stay.

    An RLDS reader pairs each step with the next one, so an n-step sum in the field `reward` would
    be wrong for it. Beside it stand, for step t with m = min(n, actions left):
    `nstep/reward`: r[t] + gamma d[t] r[t+1] + ... , m rewards, each discounted;
    `nstep/discount`: gamma^m d[t] ... d[t+m-1], the factor of the value of the observation in row
    t + m, which is 0 where the episode terminated on the way;
    `nstep/length`: m, so that the target is nstep/reward + nstep/discount * V(row t + m).
    Length 0 marks a row without a target: the void last one. Where an episode has no observation
    after its last action and did not terminate, sums end one action earlier, and the row of that
    action has no target.

    Attributes:
      n: number of steps.
      gamma: discount per step, above 0, at most 1.
    """

    name: ClassVar[str] = "add_nstep"
    example: ClassVar[str] = "add_nstep:n=3,gamma=0.99"
    n: int
    gamma: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("n", self.n >= 1, "at least 1")
        self._require("gamma", 0 < self.gamma <= 1, "above 0, at most 1")

    def map_schema(self, schema: Schema) -> Schema:
        check_reward_fields(self.name, schema)
        steps = f"of up to {self.n} steps, gamma {self.gamma:g}"
        return add_fields(
            self.name,
            schema,
            Field(REWARD, "float32", about=FieldDoc(f"Discounted sum of the rewards {steps}.")),
            Field(
                DISCOUNT,
                "float32",
                about=FieldDoc(f"Factor of the value of the observation after them, {steps}."),
            ),
            Field(
                LENGTH,
                "int32",
                about=FieldDoc("How many rows ahead that observation is; 0: no target.", "steps"),
            ),
        )

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        steps, rows = len(episode), num_action_rows(episode)
        open_end = rows == steps and not episode.columns[keys.IS_TERMINAL][-1]
        actions = rows - 1 if open_end else rows
        sums = nstep_returns(
            np.asarray(episode.columns[keys.REWARD], np.float64)[:actions],
            np.asarray(episode.columns[keys.DISCOUNT], np.float64)[:actions],
            self.n,
            self.gamma,
        )
        names = ((REWARD, np.float32), (DISCOUNT, np.float32), (LENGTH, np.int32))
        added = {
            path: with_void_rows(column.astype(dtype), steps)
            for (path, dtype), column in zip(names, sums, strict=True)
        }
        return Episode({**episode.columns, **added}, episode.metadata)


def nstep_returns(
    reward: np.ndarray, discount: np.ndarray, n: int, gamma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of rewards, products of discounts and lengths of the windows that begin at each step.

    Source: Sutton and Barto 2018, "Reinforcement Learning", equation 7.1.

    Args:
      reward: (N,).
      discount: (N,), 0 where the episode terminated.
      n: longest window.
      gamma: discount per step.

    Returns:
      (N,) reward, (N,) discount, (N,) length.
    """
    count = len(reward)
    total, factor = np.zeros(count), np.ones(count)
    length = np.minimum(n, count - np.arange(count))
    for offset in range(min(n, count)):
        inside = slice(0, count - offset)
        total[inside] += factor[inside] * reward[offset:]
        factor[inside] *= gamma * discount[offset:]
    return total, factor, length
