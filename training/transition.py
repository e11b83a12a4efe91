"""The unit of experience every agent learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jax
    import numpy as np

    Array = np.ndarray | jax.Array


class Observation(NamedTuple):
    """What a policy sees, B rows (or (U, B, ...) for U stacked minibatches)."""

    state: Array
    """(B, S) float32."""
    images: Mapping[str, Array] = {}
    """By camera, (B, H, W, 3) uint8 RGB; none for a policy that sees the state alone."""


class Transition(NamedTuple):
    """A batch of transitions, B rows (or (U, B, ...) for U stacked minibatches); float32.

    `discount` is the data's own: 0.0 only where the episode truly terminated, 1.0 at a time limit.
    Agents multiply it by their discount factor, so values bootstrap through time limits.
    """

    observation: Observation
    """What the action was taken from."""
    action: Array
    """(B, A) in [-1, 1]."""
    reward: Array
    """(B,) reward that followed the action."""
    discount: Array
    """(B,) 0.0 after a true termination, else 1.0."""
    next_observation: Observation
    """What followed the action."""
