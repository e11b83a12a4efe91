"""Behaviour cloning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import flax
import jax
import jax.numpy as jnp

from ..config import BCConfig
from ..networks import Params, PolicyNetwork
from ..policy import policy_spec
from ..transition import Transition
from .actor import cloning_error, gaussian_log_prob
from .minibatches import over_minibatches
from .observations import Normaliser, PolicyParams, pack_policy
from .optimiser import Optimised, descend, start
from .vision import Vision

Info = dict[str, jax.Array]


@flax.struct.dataclass
class BCAgent:
    """A policy that imitates the actions of its batches; pure updates.

    The actions of its batches are (B, K * A): those of `config.chunk` steps side by side.
    """

    rng: jax.Array
    actor: Optimised
    vision: Vision
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
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> BCAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights and all later augmentation.
            observation_mean: (S,) float32 mean of the demonstrations' states.
            observation_std: (S,) float32 standard deviation of the same.
            action_dim: Length A of the action.
            config: Hyper-parameters.
            image_shapes: (H, W, 3) of the cameras that the agent sees.
        """
        rng, vision_key = jax.random.split(jax.random.PRNGKey(seed))
        normaliser = Normaliser.create(observation_mean, observation_std)
        vision = Vision.create(config.encoder, vision_key, image_shapes, config.learning_rate)
        return _create(rng, normaliser, vision, action_dim, config)

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[BCAgent, Info]:
        """One update per minibatch of `batches` (U, B, ...); info is the mean over them."""
        has_images = self.vision.config is not None
        batches = self.normaliser.transitions(batches)
        agent, info = over_minibatches(_update, self, batches, has_images)
        return agent, jax.tree.map(jnp.mean, info)

    def update(self, batch: Transition) -> tuple[BCAgent, Info]:
        """One update from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    @jax.jit
    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""
        vision, state_dim = self.vision, self.normaliser.mean.size
        spec = policy_spec(self.config, state_dim, self.action_dim, vision.image_shapes)
        params = PolicyParams(self.actor.params, vision.encoder.params, gripper={})
        return pack_policy(spec, params, self.normaliser)

    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: the same as the actors'."""
        return self.packed_policy()


def _update(agent: BCAgent, batch: Transition) -> tuple[BCAgent, Info]:
    """One update from normalised transitions (B, ...)."""
    config, vision = agent.config, agent.vision
    rng, shift_key, dropout_key = jax.random.split(agent.rng, 3)
    batch = vision.shifted(shift_key, batch)

    def loss(params: Params, encoder: Params) -> jax.Array:
        view = vision.view(encoder, batch.observation, dropout_key)
        network = _network(config, agent.action_dim, vision.proprio_features)
        mean, log_std = network.apply({"params": params}, view)
        if config.distribution == "deterministic":
            return cloning_error(jnp.tanh(mean), batch.action)
        return -gaussian_log_prob(batch.action, mean, log_std).mean()

    value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(
        agent.actor.params, vision.encoder.params
    )
    actor = descend(agent.actor, gradients[0], config.learning_rate)
    encoder = descend(vision.encoder, gradients[1], config.learning_rate)
    agent = agent.replace(rng=rng, actor=actor, vision=vision.replace(encoder=encoder))
    return agent, {"actor_loss": value}


def _network(config: BCConfig, action_dim: int, proprio_features: int) -> PolicyNetwork:
    return PolicyNetwork(
        config.network,
        config.chunk * action_dim,
        config.distribution,
        config.log_std_bounds,
        proprio_features=proprio_features,
    )


@partial(jax.jit, static_argnames=("action_dim", "config"))
def _create(
    rng: jax.Array, normaliser: Normaliser, vision: Vision, action_dim: int, config: BCConfig
) -> BCAgent:
    rng, key = jax.random.split(rng)
    view = vision.example(normaliser.mean)
    params = _network(config, action_dim, vision.proprio_features).init(key, view)["params"]
    actor = start(params, config.learning_rate)
    return BCAgent(rng, actor, vision, normaliser, config, action_dim)
