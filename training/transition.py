"""The unit of experience every agent learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jax
    import numpy as np

    Array = np.ndarray | jax.Array


class Transition(NamedTuple):
    """A batch of transitions, float32, B rows (or (U, B, ...) for U stacked minibatches).

    `discount` is the data's own: 0.0 only where the episode truly terminated, 1.0 at a time limit.
    Agents multiply it by their discount factor, so values bootstrap through time limits.
    """

    observation: Array
    """(B, S) state the action was taken from."""
    action: Array
    """(B, A) in [-1, 1]."""
    reward: Array
    """(B,) reward that followed the action."""
    discount: Array
    """(B,) 0.0 after a true termination, else 1.0."""
    next_observation: Array
    """(B, S) state that followed the action."""
