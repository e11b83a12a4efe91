"""Behaviour cloning."""

from __future__ import annotations

from functools import partial

import flax
import jax
import jax.numpy as jnp

from ..config import BCConfig
from ..networks import Params, PolicyNetwork
from ..policy import policy_spec
from ..transition import Transition
from .actor import cloning_error, gaussian_log_prob
from .observations import Normaliser, pack_policy
from .optimiser import Optimised, descend, start

Info = dict[str, jax.Array]


@flax.struct.dataclass
class BCAgent:
    """A policy that imitates the actions of its batches; pure updates."""

    actor: Optimised
    normaliser: Normaliser
    config: BCConfig = flax.struct.field(pytree_node=False)
    action_dim: int = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        action_dim: int,
        config: BCConfig,
    ) -> BCAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights.
            observation_mean: (S,) float32 mean of the demonstrations' observations.
            observation_std: (S,) float32 standard deviation of the same.
            action_dim: Length A of the action.
            config: Hyper-parameters.
        """
        normaliser = Normaliser.create(observation_mean, observation_std)
        return _create(jax.random.PRNGKey(seed), normaliser, action_dim, config)

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[BCAgent, Info]:
        """One update per minibatch of `batches` (U, B, ...); info is the mean over them."""

        def step(actor: Optimised, batch: Transition) -> tuple[Optimised, jax.Array]:
            loss, gradients = jax.value_and_grad(self._loss)(actor.params, batch)
            return descend(actor, gradients, self.config.learning_rate), loss

        actor, losses = jax.lax.scan(step, self.actor, self.normaliser.transitions(batches))
        return self.replace(actor=actor), {"actor_loss": losses.mean()}

    def update(self, batch: Transition) -> tuple[BCAgent, Info]:
        """One update from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    @jax.jit
    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""
        spec = policy_spec(self.config, self.normaliser.mean.size, self.action_dim)
        return pack_policy(spec, self.actor.params, self.normaliser)

    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: the same as the actors'."""
        return self.packed_policy()

    def _loss(self, params: Params, batch: Transition) -> jax.Array:
        mean, log_std = _network(self.config, self.action_dim).apply(
            {"params": params}, batch.observation
        )
        if self.config.distribution == "deterministic":
            return cloning_error(jnp.tanh(mean), batch.action)
        return -gaussian_log_prob(batch.action, mean, log_std).mean()


def _network(config: BCConfig, action_dim: int) -> PolicyNetwork:
    return PolicyNetwork(config.network, action_dim, config.distribution)


@partial(jax.jit, static_argnames=("action_dim", "config"))
def _create(rng: jax.Array, normaliser: Normaliser, action_dim: int, config: BCConfig) -> BCAgent:
    params = _network(config, action_dim).init(rng, normaliser.mean)["params"]
    return BCAgent(start(params, config.learning_rate), normaliser, config, action_dim)
