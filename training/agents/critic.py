"""The critics' equations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def draw_subset(rng: jax.Array, ensemble: Any, ensemble_size: int, subset_size: int) -> Any:
    """Draws `subset_size` members without replacement (REDQ, arXiv:2101.05982, algorithm 1).

    Args:
        rng: Random key.
        ensemble: Pytree of arrays with leading axis E.
        ensemble_size: E.
        subset_size: M, at most E.

    Returns:
        The same pytree with leading axis M.
    """
    if subset_size == ensemble_size:
        return ensemble
    members = jax.random.choice(rng, ensemble_size, (subset_size,), replace=False)
    return jax.tree.map(lambda x: jnp.take(x, members, axis=0), ensemble)


def td_target(
    reward: jax.Array,
    discount: jax.Array,
    next_values: jax.Array,
    discount_factor: float,
    next_bonus: jax.Array,
    bounds: tuple[float, float] | None,
) -> jax.Array:
    """The critics' regression target (SAC, arXiv:1812.05905, equations 3 and 5).

    reward + discount_factor * discount * (min over critics of next_values + next_bonus)

    Args:
        reward: (B,).
        discount: (B,) 0.0 after a true termination, else 1.0.
        next_values: (M, B) target critics at the next observation and action.
        discount_factor: Gamma per environment step.
        next_bonus: (B,) entropy bonus of the next action; zeros for none.
        bounds: Lowest and highest reachable return to clip to, or None.

    Returns:
        (B,).
    """
    target = reward + discount_factor * discount * (next_values.min(axis=0) + next_bonus)
    return target if bounds is None else jnp.clip(target, *bounds)


def critic_loss(values: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error of every critic (E, B) to the shared target (B,): a scalar."""
    return jnp.square(values - target).mean()
