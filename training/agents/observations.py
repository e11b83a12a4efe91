"""Observations in units of their spread in the demonstrations."""

from __future__ import annotations

from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp

from ..networks import Params
from ..policy import PolicySpec
from ..transition import Observation, Transition

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

    def states(self, states: jax.Array) -> jax.Array:
        """(..., S) -> (..., S)."""
        return (states - self.mean) / self.std

    def raw(self, states: jax.Array) -> jax.Array:
        """The inverse of `states`: (..., S) -> (..., S)."""
        return states * self.std + self.mean

    def observations(self, observations: Observation) -> Observation:
        """The same observations with the state normalised."""
        return observations._replace(state=self.states(observations.state))

    def transitions(self, batch: Transition) -> Transition:
        """The same transitions with both observations normalised."""
        return batch._replace(
            observation=self.observations(batch.observation),
            next_observation=self.observations(batch.next_observation),
        )


class PolicyParams(NamedTuple):
    """All parameters of a policy."""

    actor: Params
    """Of its network."""
    encoder: Params
    """Of the image encoders that it looks through, by camera; empty without."""
    gripper: Params
    """Of the critic that chooses what grippers do; empty without."""


def pack_policy(spec: PolicySpec, params: PolicyParams, normaliser: Normaliser) -> jax.Array:
    """All arrays of a policy in the order of `spec.layout()`: (spec.size,) float32."""
    arrays = {"observation/mean": normaliser.mean, "observation/std": normaliser.std}
    parts = {**params.actor, "encoder": params.encoder, "gripper": params.gripper}
    arrays |= flax.traverse_util.flatten_dict(parts, sep="/")
    return jnp.concatenate([arrays[name].ravel() for name in spec.layout()])
