"""Networks: multi-layer perceptrons for policies and an ensemble of critics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from .config import NetworkConfig
from .policy import LAYER_NORM_EPSILON, Distribution

Params = dict[str, Any]

_KERNEL_INIT = nn.initializers.xavier_uniform()
_ACTIVATIONS = {"relu": nn.relu, "tanh": nn.tanh}


class PolicyNetwork(nn.Module):
    """Observation -> mean and log standard deviation of the action before bounding.

    Its arrays are those of `PolicySpec.layout`, so that `MLPPolicy` runs it in NumPy.
    """

    network: NetworkConfig
    action_dim: int
    distribution: Distribution
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    initial_log_std: float = 0.0

    @nn.compact
    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(..., S) -> mean (..., A), log_std (..., A); log_std is zeros when deterministic."""
        x = hidden_layers(self.network, observation)
        mean = nn.Dense(self.action_dim, kernel_init=_KERNEL_INIT, name="mean")(x)
        if self.distribution == "deterministic":
            return mean, jnp.zeros_like(mean)
        log_std = nn.Dense(
            self.action_dim,
            kernel_init=_KERNEL_INIT,
            bias_init=nn.initializers.constant(self.initial_log_std),
            name="log_std",
        )(x)
        return mean, jnp.clip(log_std, *self.log_std_bounds)


class Critic(nn.Module):
    """Observation and action -> value."""

    network: NetworkConfig

    @nn.compact
    def __call__(self, observation: jax.Array, action: jax.Array) -> jax.Array:
        """(..., S), (..., A) -> (...)."""
        x = hidden_layers(self.network, jnp.concatenate([observation, action], axis=-1))
        return nn.Dense(1, kernel_init=_KERNEL_INIT, name="value")(x).squeeze(-1)


def hidden_layers(network: NetworkConfig, x: jax.Array) -> jax.Array:
    """The hidden layers of a network, inside the module that calls: (..., F) -> (..., H)."""
    for i, units in enumerate(network.hidden_dims):
        x = nn.Dense(units, kernel_init=_KERNEL_INIT, name=f"hidden_{i}")(x)
        if network.layer_norm:
            x = nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=f"norm_{i}")(x)
        x = _ACTIVATIONS[network.activation](x)
    return x


def init_critics(
    network: NetworkConfig, size: int, rng: jax.Array, observation: jax.Array, action: jax.Array
) -> Params:
    """Parameters of `size` independent critics, stacked along a leading axis E."""
    critic = Critic(network)
    return jax.vmap(lambda key: critic.init(key, observation, action)["params"])(
        jax.random.split(rng, size)
    )


def critic_values(
    network: NetworkConfig, params: Params, observation: jax.Array, action: jax.Array
) -> jax.Array:
    """Values by every critic of an ensemble.

    Args:
        network: The critics' architecture.
        params: Stacked parameters, leading axis E.
        observation: (B, S).
        action: (B, A).

    Returns:
        (E, B).
    """
    critic = Critic(network)
    return jax.vmap(lambda p: critic.apply({"params": p}, observation, action))(params)
