"""The actor's equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def sample_tanh_gaussian(
    rng: jax.Array, mean: jax.Array, log_std: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Bounded actions and their log-likelihood (SAC, arXiv:1812.05905, appendix C).

    Args:
        rng: Random key.
        mean: (B, A) of the Gaussian before the tanh.
        log_std: (B, A).

    Returns:
        Actions (B, A) in (-1, 1), differentiable in mean and log_std, and log-likelihoods (B,).
    """
    noise = jax.random.normal(rng, mean.shape, mean.dtype)
    raw = mean + jnp.exp(log_std) * noise
    return jnp.tanh(raw), tanh_gaussian_log_prob(raw, mean, log_std)


def tanh_gaussian_log_prob(raw: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log-likelihood of tanh(raw) where raw is Gaussian; (B, A) each -> (B,)."""
    # log(1 - tanh(x)^2) in the form that does not underflow for large |x|.
    log_slope = 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
    return gaussian_log_prob(raw, mean, log_std) - log_slope.sum(axis=-1)


def gaussian_log_prob(x: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log-likelihood under a diagonal Gaussian; (B, A) each -> (B,)."""
    z = (x - mean) * jnp.exp(-log_std)
    return (-0.5 * jnp.square(z) - log_std - 0.5 * jnp.log(2.0 * jnp.pi)).sum(axis=-1)


def actor_loss(log_prob: jax.Array, value: jax.Array, temperature: jax.Array) -> jax.Array:
    """Soft policy improvement: mean of temperature * log_prob - value (SAC, equation 7).

    Args:
        log_prob: (B,) log-likelihood of the policy's own actions.
        value: (B,) their value, the mean over the ensemble (REDQ, algorithm 1).
        temperature: Scalar.
    """
    return (temperature * log_prob - value).mean()


def cloning_error(mode: jax.Array, action: jax.Array) -> jax.Array:
    """Mean squared error of the policy's mode (B, A) to demonstrated actions (B, A): a scalar."""
    return jnp.square(mode - action).mean()
