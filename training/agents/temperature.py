"""The temperature's equation."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def temperature_loss(
    log_temperature: jax.Array, log_prob: jax.Array, target_entropy: float
) -> jax.Array:
    """Mean of -temperature * (log_prob + target_entropy) (SAC, arXiv:1812.05905, equation 18).

    Args:
        log_temperature: Scalar; its exponential is the temperature.
        log_prob: (B,) log-likelihood of the policy's own actions, a constant here.
        target_entropy: Nats.

    Returns:
        Scalar whose gradient raises the temperature while the entropy is below its target.
    """
    return -jnp.exp(log_temperature) * (log_prob + target_entropy).mean()
