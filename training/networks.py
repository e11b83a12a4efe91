"""Networks: multi-layer perceptrons for policies and an ensemble of critics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from ..envs.policy_forward import LAYER_NORM_EPSILON
from .config import NetworkConfig
from .policy import Distribution

Params = dict[str, Any]

_KERNEL_INIT = nn.initializers.xavier_uniform()
_ACTIVATIONS = {"relu": nn.relu, "tanh": nn.tanh}


class View(NamedTuple):
    """What a network sees of observations."""

    state: jax.Array
    """(..., S) normalised."""
    features: jax.Array
    """(..., F) of the images; (0,) where there are none."""


class PolicyNetwork(nn.Module):
    """View -> mean and log standard deviation of the action before bounding.

    Its arrays are those of `PolicySpec.layout`, so that `PackedPolicy` runs it in NumPy.
    """

    network: NetworkConfig
    action_dim: int
    distribution: Distribution
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    initial_log_std: float = 0.0
    proprio_features: int = 0

    @nn.compact
    def __call__(self, view: View) -> tuple[jax.Array, jax.Array]:
        """A view -> mean (..., A), log_std (..., A); log_std is zeros when deterministic."""
        x = hidden_layers(self.network, joined(view, self.proprio_features))
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
    """View and action -> value."""

    network: NetworkConfig
    proprio_features: int = 0

    @nn.compact
    def __call__(self, view: View, action: jax.Array) -> jax.Array:
        """A view and an action (..., A) -> (...)."""
        seen = joined(view, self.proprio_features)
        x = hidden_layers(self.network, jnp.concatenate([seen, action], axis=-1))
        return nn.Dense(1, kernel_init=_KERNEL_INIT, name="value")(x).squeeze(-1)


class GripperNetwork(nn.Module):
    """View -> value of each joint command of the grippers."""

    network: NetworkConfig
    commands: int
    proprio_features: int = 0

    @nn.compact
    def __call__(self, view: View) -> jax.Array:
        """A view -> (..., commands)."""
        x = hidden_layers(self.network, joined(view, self.proprio_features))
        return nn.Dense(self.commands, kernel_init=_KERNEL_INIT, name="values")(x)


def joined(view: View, proprio_features: int) -> jax.Array:
    """Image features and state side by side, inside the module that calls: (..., F + S).

    Args:
        view: What the network sees.
        proprio_features: Units of a layer that the state passes first, as in SERL; 0: none.
    """
    state, features = view
    if proprio_features:
        state = nn.Dense(proprio_features, kernel_init=_KERNEL_INIT, name="proprio")(state)
        state = nn.tanh(nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name="proprio_norm")(state))
    return state if features.shape[-1] == 0 else jnp.concatenate([features, state], axis=-1)


def hidden_layers(network: NetworkConfig, x: jax.Array) -> jax.Array:
    """The hidden layers of a network, inside the module that calls: (..., F) -> (..., H)."""
    for i, units in enumerate(network.hidden_dims):
        x = nn.Dense(units, kernel_init=_KERNEL_INIT, name=f"hidden_{i}")(x)
        if network.layer_norm:
            x = nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name=f"norm_{i}")(x)
        x = _ACTIVATIONS[network.activation](x)
    return x


def init_critics(
    critic: Critic, size: int, rng: jax.Array, view: View, action: jax.Array
) -> Params:
    """Parameters of `size` independent critics, stacked along a leading axis E."""
    keys = jax.random.split(rng, size)
    return jax.vmap(lambda key: critic.init(key, view, action)["params"])(keys)


def critic_values(critic: Critic, params: Params, view: View, action: jax.Array) -> jax.Array:
    """Values by every critic of an ensemble.

    Args:
        critic: The critics' architecture.
        params: Stacked parameters, leading axis E.
        view: Of B observations.
        action: (B, A).

    Returns:
        (E, B).
    """
    return jax.vmap(lambda p: critic.apply({"params": p}, view, action))(params)
