"""Soft actor-critic with a critic ensemble (Haarnoja et al. 2018, arXiv:1812.05905)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax
import jax
import jax.numpy as jnp

from ..config import SACConfig
from ..networks import Params, PolicyNetwork, critic_values, init_critics
from ..policy import policy_spec
from ..transition import Transition
from .actor import actor_loss, sample_tanh_gaussian
from .critic import critic_loss, draw_subset, td_target
from .observations import Normaliser, pack_policy
from .optimiser import Optimised, descend, interpolate, start
from .temperature import temperature_loss

Info = dict[str, jax.Array]
Regulariser = Callable[[jax.Array, Transition], jax.Array]
"""Mode actions (B, A) and the batch -> a scalar that is added to the actor's loss."""


@flax.struct.dataclass
class SACAgent:
    """Policy, critics, target critics and temperature; pure updates."""

    rng: jax.Array
    actor: Optimised
    average_actor: Params | None
    critic: Optimised
    target_critic: Params
    log_temperature: Optimised
    normaliser: Normaliser
    config: SACConfig = flax.struct.field(pytree_node=False)
    action_dim: int = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        action_dim: int,
        config: SACConfig,
    ) -> SACAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights and all later sampling.
            observation_mean: (S,) float32 that observations are centred on; zeros for none.
            observation_std: (S,) float32 that observations are divided by; ones for none.
            action_dim: Length A of the action.
            config: Hyper-parameters.
        """
        normaliser = Normaliser.create(observation_mean, observation_std)
        return _create(jax.random.PRNGKey(seed), normaliser, action_dim, config)

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[SACAgent, Info]:
        """A critic update per minibatch of `batches` (U, B, ...), then actor and temperature."""
        return update_sac(self, batches)

    def update(self, batch: Transition) -> tuple[SACAgent, Info]:
        """One update of critics, actor and temperature from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    @jax.jit
    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""
        return _pack(self, self.actor.params)

    @jax.jit
    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: the average of the last policies where the config asks."""
        average = self.average_actor
        return _pack(self, self.actor.params if average is None else average)


def update_sac(
    agent: SACAgent, batches: Transition, regulariser: Regulariser | None = None
) -> tuple[SACAgent, Info]:
    """U critic updates, then one update of actor and temperature from the last minibatch.

    Args:
        agent: The agent before.
        batches: (U, B, ...) raw transitions.
        regulariser: Added to the actor's loss when given.

    Returns:
        The agent after, and scalars; those of the critics are means over the U updates.
    """
    batches = agent.normaliser.transitions(batches)
    agent, critic_infos = jax.lax.scan(update_critics, agent, batches)
    last = jax.tree.map(lambda x: x[-1], batches)
    agent, actor_info = update_actor(agent, last, regulariser)
    return agent, {**jax.tree.map(jnp.mean, critic_infos), **actor_info}


def update_critics(agent: SACAgent, batch: Transition) -> tuple[SACAgent, Info]:
    """One update of critics and target critics from normalised transitions (B, ...)."""
    config = agent.config
    rng, action_key, subset_key = jax.random.split(agent.rng, 3)
    target = _target(agent, batch, action_key, subset_key)

    def loss(params: Params) -> tuple[jax.Array, jax.Array]:
        values = critic_values(config.critic, params, batch.observation, batch.action)
        return critic_loss(values, target), values.mean()

    (loss_value, mean_value), gradients = jax.value_and_grad(loss, has_aux=True)(
        agent.critic.params
    )
    critic = descend(agent.critic, gradients, config.critic_learning_rate)
    target_critic = interpolate(agent.target_critic, critic.params, config.target_update_rate)
    info = {"critic_loss": loss_value, "value": mean_value, "target_value": target.mean()}
    return agent.replace(rng=rng, critic=critic, target_critic=target_critic), info


def update_actor(
    agent: SACAgent, batch: Transition, regulariser: Regulariser | None
) -> tuple[SACAgent, Info]:
    """One update of actor and temperature from normalised transitions (B, ...)."""
    config = agent.config
    rng, key = jax.random.split(agent.rng)
    temperature = jnp.exp(agent.log_temperature.params)

    def loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        mean, log_std = policy_network(agent).apply({"params": params}, batch.observation)
        action, log_prob = sample_tanh_gaussian(key, mean, log_std)
        values = critic_values(config.critic, agent.critic.params, batch.observation, action)
        improvement = actor_loss(log_prob, values.mean(axis=0), temperature)
        penalty = jnp.float32(0.0)
        if regulariser is not None:
            penalty = regulariser(jnp.tanh(mean), batch)
        return improvement + penalty, (log_prob, penalty)

    (loss_value, (log_prob, penalty)), gradients = jax.value_and_grad(loss, has_aux=True)(
        agent.actor.params
    )
    actor = descend(agent.actor, gradients, config.actor_learning_rate)
    info = {
        "actor_loss": loss_value,
        "actor_regulariser": penalty,
        "entropy": -log_prob.mean(),
        "temperature": temperature,
    }
    agent = agent.replace(rng=rng, actor=actor, average_actor=_average(agent, actor.params))
    return _update_temperature(agent, log_prob), info


def policy_network(agent: SACAgent) -> PolicyNetwork:
    """The actor's network."""
    return _policy_network(agent.config, agent.action_dim)


def _update_temperature(agent: SACAgent, log_prob: jax.Array) -> SACAgent:
    config = agent.config
    if not config.learn_temperature:
        return agent
    target_entropy = config.target_entropy_per_dim * agent.action_dim
    gradient = jax.grad(temperature_loss)(agent.log_temperature.params, log_prob, target_entropy)
    return agent.replace(
        log_temperature=descend(agent.log_temperature, gradient, config.temperature_learning_rate)
    )


def _target(
    agent: SACAgent, batch: Transition, action_key: jax.Array, subset_key: jax.Array
) -> jax.Array:
    config = agent.config
    mean, log_std = policy_network(agent).apply(
        {"params": agent.actor.params}, batch.next_observation
    )
    next_action, next_log_prob = sample_tanh_gaussian(action_key, mean, log_std)
    subset = draw_subset(subset_key, agent.target_critic, config.ensemble_size, config.subset_size)
    next_values = critic_values(config.critic, subset, batch.next_observation, next_action)
    bonus = jnp.zeros_like(next_log_prob)
    if config.entropy_backup:
        bonus = -jnp.exp(agent.log_temperature.params) * next_log_prob
    return td_target(
        batch.reward, batch.discount, next_values, config.discount, bonus, config.target_bounds
    )


def _average(agent: SACAgent, params: Params) -> Params | None:
    if agent.average_actor is None:
        return None
    return interpolate(agent.average_actor, params, agent.config.evaluation_average_rate)


def _pack(agent: SACAgent, params: Params) -> jax.Array:
    spec = policy_spec(agent.config, agent.normaliser.mean.size, agent.action_dim)
    return pack_policy(spec, params, agent.normaliser)


def _policy_network(config: SACConfig, action_dim: int) -> PolicyNetwork:
    return PolicyNetwork(
        config.actor, action_dim, "tanh_gaussian", config.log_std_bounds, config.initial_log_std
    )


@partial(jax.jit, static_argnames=("action_dim", "config"))
def _create(rng: jax.Array, normaliser: Normaliser, action_dim: int, config: SACConfig) -> SACAgent:
    rng, actor_key, critic_key = jax.random.split(rng, 3)
    observation, action = normaliser.mean, jnp.zeros(action_dim, jnp.float32)
    actor = _policy_network(config, action_dim).init(actor_key, observation)["params"]
    critics = init_critics(config.critic, config.ensemble_size, critic_key, observation, action)
    log_temperature = jnp.log(jnp.full((), config.initial_temperature, jnp.float32))
    return SACAgent(
        rng=rng,
        actor=start(actor, config.actor_learning_rate),
        average_actor=actor if config.evaluation_average_rate < 1.0 else None,
        critic=start(critics, config.critic_learning_rate),
        target_critic=critics,
        log_temperature=start(log_temperature, config.temperature_learning_rate),
        normaliser=normaliser,
        config=config,
        action_dim=action_dim,
    )
