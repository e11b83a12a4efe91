"""A replay item: one transition and where it came from, packed into one float32 row.

    [observation S | action A | reward | discount | next observation S | source | episode | step]

One column, because Reverb's price is per item and per column. `source` is -1 for the run's own
online episodes, else the position of the dataset among the run's demonstrations; `episode` is the
ordinal of the episode in that dataset and `step` the row of the transition's observation in it: so
each sampled row can be looked up in the RLDS log. float32 counts exactly up to 2**24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..datasets import keys
from ..datasets.episode import Episode
from .transition import Transition

ONLINE_SOURCE = -1
_PROVENANCE = 3


class Origin(NamedTuple):
    """Where transitions came from; arrays of one shape, int64."""

    source: np.ndarray
    """-1: the run's online episodes; else index of the dataset of demonstrations."""
    episode: np.ndarray
    """Ordinal of the episode in its dataset."""
    step: np.ndarray
    """Row of the episode that holds the transition's observation."""


@dataclass(frozen=True)
class ItemLayout:
    """Which columns of a packed row hold what."""

    observation_dim: int
    """Length S of the observation vector."""
    action_dim: int
    """Length A of the action vector."""

    @property
    def width(self) -> int:
        """Length W of a packed row."""
        return 2 * self.observation_dim + self.action_dim + 2 + _PROVENANCE

    def pack(self, transition: Transition, origin: Origin) -> np.ndarray:
        """Packs N transitions: fields (N, ...) -> (N, W) float32."""
        columns = (
            transition.observation,
            transition.action,
            np.asarray(transition.reward)[:, None],
            np.asarray(transition.discount)[:, None],
            transition.next_observation,
            *(np.asarray(part)[:, None] for part in origin),
        )
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def unpack(self, rows: np.ndarray) -> Transition:
        """The transitions in packed rows (..., W), as views."""
        s, a = self.observation_dim, self.action_dim
        return Transition(
            observation=rows[..., :s],
            action=rows[..., s : s + a],
            reward=rows[..., s + a],
            discount=rows[..., s + a + 1],
            next_observation=rows[..., s + a + 2 : 2 * s + a + 2],
        )

    def origin(self, rows: np.ndarray) -> Origin:
        """Where the transitions in packed rows (..., W) came from."""
        parts = rows[..., -_PROVENANCE:].astype(np.int64)
        return Origin(*np.moveaxis(parts, -1, 0))


def state_vectors(episode: Episode, state_fields: Sequence[str]) -> np.ndarray:
    """The named state fields of an episode side by side: (T, S) float32."""
    columns = [np.asarray(episode[path]).reshape(len(episode), -1) for path in state_fields]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def pack_episode(
    episode: Episode, state_fields: Sequence[str], layout: ItemLayout, source: int, ordinal: int
) -> np.ndarray:
    """The N transitions of an episode of N + 1 steps: (N, W) float32.

    Args:
        episode: The RLDS episode.
        state_fields: Paths of the fields that make the observation vector, in order.
        layout: The row's layout.
        source: -1 for online episodes, else the index of the dataset.
        ordinal: The episode's ordinal in its dataset.
    """
    states, n = state_vectors(episode, state_fields), episode.num_transitions
    transition = Transition(
        observation=states[:-1],
        action=np.asarray(episode[keys.ACTION])[:-1],
        reward=np.asarray(episode[keys.REWARD])[:-1],
        discount=np.asarray(episode[keys.DISCOUNT])[:-1],
        next_observation=states[1:],
    )
    origin = Origin(np.full(n, source), np.full(n, ordinal), np.arange(n))
    return layout.pack(transition, origin)
