"""Soft actor-critic with a critic ensemble (Haarnoja et al. 2018, arXiv:1812.05905).

With image encoders it is DrQ (Kostrikov et al. 2020, arXiv:2004.13649): images are shifted at
random, and the encoders, which actor and critics share, are trained by the critics' loss alone. The
targets look through the encoders themselves, not through an average of them, as in DrQ-v2 (Yarats
et al. 2021, arXiv:2107.09645), and the actor learns from the features that the last critic update
computed, as there: each observation is encoded once.

With a gripper critic (`gripper.py`), policy and critics know the action without the grippers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import flax
import jax
import jax.numpy as jnp

from ..config import SACConfig
from ..networks import Critic, Params, PolicyNetwork, View, critic_values, init_critics
from ..policy import policy_spec
from ..transition import Transition
from .actor import actor_loss, sample_tanh_gaussian
from .critic import critic_loss, draw_subset, td_target
from .gripper import Gripper
from .minibatches import over_minibatches
from .observations import Normaliser, PolicyParams, pack_policy
from .optimiser import Optimised, descend, interpolate, start
from .temperature import temperature_loss
from .vision import Vision

Info = dict[str, jax.Array]
Regulariser = Callable[[jax.Array, Transition], jax.Array]
"""Mode actions (B, A) and the batch -> a scalar that is added to the actor's loss."""


@flax.struct.dataclass
class SACAgent:
    """Policy, critics, target critics, temperature, encoders and grippers; pure updates."""

    rng: jax.Array
    actor: Optimised
    average_policy: PolicyParams | None
    critic: Optimised
    target_critic: Params
    log_temperature: Optimised
    vision: Vision
    gripper: Gripper
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
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> SACAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights and all later sampling.
            observation_mean: (S,) float32 that observations are centred on; zeros for none.
            observation_std: (S,) float32 that observations are divided by; ones for none.
            action_dim: Length A of the action.
            config: Hyper-parameters.
            image_shapes: (H, W, 3) of the cameras that the agent sees.
        """
        rng, vision_key = jax.random.split(jax.random.PRNGKey(seed))
        normaliser = Normaliser.create(observation_mean, observation_std)
        rate = config.critic_learning_rate
        vision = Vision.create(config.encoder, vision_key, image_shapes, rate)
        gripper = Gripper.create(
            config.gripper,
            jax.random.fold_in(vision_key, 0),
            vision.example(normaliser.mean),
            action_dim,
            vision.proprio_features,
        )
        return _create(rng, normaliser, vision, gripper, action_dim, config)

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
        return _pack(self, current_policy(self))

    @jax.jit
    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: the average of the last policies where the config asks."""
        average = self.average_policy
        return _pack(self, current_policy(self) if average is None else average)


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
    has_images = agent.vision.config is not None
    agent, (critic_info, views) = over_minibatches(update_critics, agent, batches, has_images)
    last, view = jax.tree.map(lambda x: x[-1], (batches, views))
    agent, actor_info = update_actor(agent, last, view, regulariser)
    return agent, {**jax.tree.map(jnp.mean, critic_info), **actor_info}


def update_critics(agent: SACAgent, batch: Transition) -> tuple[SACAgent, tuple[Info, View]]:
    """One update of all critics, encoders and targets from normalised transitions (B, ...).

    Returns:
        The agent after; scalars, and what the critics saw of the observations.
    """
    config, vision, gripper = agent.config, agent.vision, agent.gripper
    rng, action_key, subset_key, shift_key, dropout_key = jax.random.split(agent.rng, 5)
    batch = vision.shifted(shift_key, batch)
    next_view = vision.view(vision.encoder.params, batch.next_observation)
    target = _target(agent, batch, next_view, action_key, subset_key)
    gripper_target = gripper.learning_target(
        next_view,
        agent.normaliser.raw(batch.observation.state),
        batch.action,
        batch.reward,
        config.discount * batch.discount,
    )

    def loss(
        params: Params, encoder: Params, gripper_params: Params
    ) -> tuple[jax.Array, tuple[Info, View]]:
        view = vision.view(encoder, batch.observation, dropout_key)
        motion = gripper.motion(batch.action)
        values = critic_values(critic_network(agent), params, view, motion)
        info = {"critic_loss": critic_loss(values, target), "value": values.mean()}
        gripper_loss = gripper.loss(gripper_params, view, batch.action, gripper_target)
        if gripper.config is not None:
            info["gripper_loss"] = gripper_loss
        return info["critic_loss"] + gripper_loss, (info, view)

    (_, (info, view)), gradients = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(
        agent.critic.params, vision.encoder.params, gripper.critic.params
    )
    critic = descend(agent.critic, gradients[0], config.critic_learning_rate)
    encoder = descend(vision.encoder, gradients[1], config.critic_learning_rate)
    vision = vision.replace(encoder=encoder)
    target_critic = interpolate(agent.target_critic, critic.params, config.target_update_rate)
    gripper = gripper.descended(gradients[2], config.target_update_rate)
    agent = agent.replace(
        rng=rng, critic=critic, target_critic=target_critic, vision=vision, gripper=gripper
    )
    return agent, ({**info, "target_value": target.mean()}, view)


def update_actor(
    agent: SACAgent, batch: Transition, view: View, regulariser: Regulariser | None
) -> tuple[SACAgent, Info]:
    """One update of actor and temperature; the encoders are looked through, not trained.

    Args:
        agent: The agent before.
        batch: Normalised transitions (B, ...).
        view: What the critics saw of their observations.
        regulariser: Added to the actor's loss when given.
    """
    config = agent.config
    rng, key = jax.random.split(agent.rng)
    temperature = jnp.exp(agent.log_temperature.params)

    def loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        mean, log_std = policy_network(agent).apply({"params": params}, view)
        action, log_prob = sample_tanh_gaussian(key, mean, log_std)
        values = critic_values(critic_network(agent), agent.critic.params, view, action)
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
    agent = agent.replace(rng=rng, actor=actor)
    agent = agent.replace(average_policy=_average(agent))
    return _update_temperature(agent, log_prob), info


def current_policy(agent: SACAgent) -> PolicyParams:
    """The newest policy's parameters."""
    return PolicyParams(
        agent.actor.params, agent.vision.encoder.params, agent.gripper.critic.params
    )


def policy_network(agent: SACAgent) -> PolicyNetwork:
    """The actor's network."""
    return _policy_network(agent.config, motion_dim(agent), agent.vision)


def motion_dim(agent: SACAgent) -> int:
    """Length of the action without the grippers that have a critic of their own."""
    return agent.action_dim - len(agent.gripper.positions)


def critic_network(agent: SACAgent) -> Critic:
    """One critic's network."""
    return Critic(agent.config.critic, agent.vision.proprio_features)


def _update_temperature(agent: SACAgent, log_prob: jax.Array) -> SACAgent:
    config = agent.config
    if not config.learn_temperature:
        return agent
    target_entropy = config.target_entropy_per_dim * motion_dim(agent)
    gradient = jax.grad(temperature_loss)(agent.log_temperature.params, log_prob, target_entropy)
    return agent.replace(
        log_temperature=descend(agent.log_temperature, gradient, config.temperature_learning_rate)
    )


def _target(
    agent: SACAgent,
    batch: Transition,
    next_view: View,
    action_key: jax.Array,
    subset_key: jax.Array,
) -> jax.Array:
    config = agent.config
    mean, log_std = policy_network(agent).apply({"params": agent.actor.params}, next_view)
    next_action, next_log_prob = sample_tanh_gaussian(action_key, mean, log_std)
    subset = draw_subset(subset_key, agent.target_critic, config.ensemble_size, config.subset_size)
    next_values = critic_values(critic_network(agent), subset, next_view, next_action)
    bonus = jnp.zeros_like(next_log_prob)
    if config.entropy_backup:
        bonus = -jnp.exp(agent.log_temperature.params) * next_log_prob
    return td_target(
        batch.reward, batch.discount, next_values, config.discount, bonus, config.target_bounds
    )


def _average(agent: SACAgent) -> PolicyParams | None:
    if agent.average_policy is None:
        return None
    rate = agent.config.evaluation_average_rate
    return interpolate(agent.average_policy, current_policy(agent), rate)


def _pack(agent: SACAgent, params: PolicyParams) -> jax.Array:
    vision, state_dim = agent.vision, agent.normaliser.mean.size
    spec = policy_spec(agent.config, state_dim, agent.action_dim, vision.image_shapes)
    return pack_policy(spec, params, agent.normaliser)


def _policy_network(config: SACConfig, action_dim: int, vision: Vision) -> PolicyNetwork:
    return PolicyNetwork(
        config.actor,
        action_dim,
        "tanh_gaussian",
        config.log_std_bounds,
        config.initial_log_std,
        vision.proprio_features,
    )


@partial(jax.jit, static_argnames=("action_dim", "config"))
def _create(
    rng: jax.Array,
    normaliser: Normaliser,
    vision: Vision,
    gripper: Gripper,
    action_dim: int,
    config: SACConfig,
) -> SACAgent:
    rng, actor_key, critic_key = jax.random.split(rng, 3)
    view, action = vision.example(normaliser.mean), gripper.motion(jnp.zeros(action_dim))
    actor = _policy_network(config, action.size, vision).init(actor_key, view)["params"]
    critic = Critic(config.critic, vision.proprio_features)
    critics = init_critics(critic, config.ensemble_size, critic_key, view, action)
    log_temperature = jnp.log(jnp.full((), config.initial_temperature, jnp.float32))
    return SACAgent(
        rng=rng,
        actor=start(actor, config.actor_learning_rate),
        average_policy=(
            PolicyParams(actor, vision.encoder.params, gripper.critic.params)
            if config.evaluation_average_rate < 1.0
            else None
        ),
        critic=start(critics, config.critic_learning_rate),
        target_critic=critics,
        log_temperature=start(log_temperature, config.temperature_learning_rate),
        vision=vision,
        gripper=gripper,
        normaliser=normaliser,
        config=config,
        action_dim=action_dim,
    )
