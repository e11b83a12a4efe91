"""Learning from one minibatch after the other inside of one compiled function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ..transition import Transition

Carry = TypeVar("Carry")


def over_minibatches(
    step: Callable[[Carry, Transition], tuple[Carry, Any]],
    carry: Carry,
    batches: Transition,
    has_images: bool,
) -> tuple[Carry, Any]:
    """`jax.lax.scan` of `step` over the leading axis of `batches`, which stacks its outputs.

    With images, the loop is unrolled where the backend is a CPU: there XLA runs convolutions inside
    of loops many times slower (SERL's DrQ update with its small encoder: 13 times).
    """
    if has_images and jax.default_backend() == "cpu":
        outputs = []
        for index in range(batches.reward.shape[0]):
            carry, output = step(carry, jax.tree.map(lambda x, i=index: x[i], batches))
            outputs.append(output)
        return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *outputs)
    return jax.lax.scan(step, carry, batches)
