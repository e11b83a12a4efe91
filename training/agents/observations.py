"""Observations in units of their spread in the demonstrations."""

from __future__ import annotations

from typing import Any

import flax
import jax
import jax.numpy as jnp

from ..policy import PolicySpec
from ..transition import Transition

MINIMUM_STD = 1e-2
"""Floor of a dimension's standard deviation: one that hardly moved is not blown up."""


@flax.struct.dataclass
class Normaliser:
    """A fixed affine map of observations."""

    mean: jax.Array
    """(S,)."""
    std: jax.Array
    """(S,) at least MINIMUM_STD."""

    @classmethod
    def create(cls, mean: jax.Array, std: jax.Array) -> Normaliser:
        """From the observations' mean and standard deviation, (S,) each."""
        mean, std = jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32)
        return cls(mean, jnp.maximum(std, MINIMUM_STD))

    def observations(self, observations: jax.Array) -> jax.Array:
        """(..., S) -> (..., S)."""
        return (observations - self.mean) / self.std

    def transitions(self, batch: Transition) -> Transition:
        """The same transitions with both observations normalised."""
        return batch._replace(
            observation=self.observations(batch.observation),
            next_observation=self.observations(batch.next_observation),
        )


def pack_policy(spec: PolicySpec, params: Any, normaliser: Normaliser) -> jax.Array:
    """All arrays of a policy in the order of `spec.layout()`: (spec.size,) float32."""
    arrays = {"observation/mean": normaliser.mean, "observation/std": normaliser.std}
    for layer, weights in params.items():
        for name, value in weights.items():
            arrays[f"{layer}/{name}"] = value
    return jnp.concatenate([arrays[name].ravel() for name in spec.layout()])
