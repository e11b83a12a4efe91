"""Parameters together with the Adam state of exactly these parameters."""

from __future__ import annotations

from typing import Any

import flax
import jax
import optax

Pytree = Any


@flax.struct.dataclass
class Optimised:
    """Parameters and their optimiser's state."""

    params: Pytree
    state: optax.OptState


def start(params: Pytree, learning_rate: float) -> Optimised:
    """Parameters with a fresh Adam state."""
    return Optimised(params, optax.adam(learning_rate).init(params))


def descend(optimised: Optimised, gradients: Pytree, learning_rate: float) -> Optimised:
    """One Adam step (Kingma and Ba 2015, algorithm 1) against the gradients."""
    updates, state = optax.adam(learning_rate).update(gradients, optimised.state, optimised.params)
    return Optimised(optax.apply_updates(optimised.params, updates), state)


def interpolate(target: Pytree, source: Pytree, rate: float) -> Pytree:
    """Moves a share of the source into the target: (1 - rate) * target + rate * source."""
    return jax.tree.map(lambda t, s: (1.0 - rate) * t + rate * s, target, source)
