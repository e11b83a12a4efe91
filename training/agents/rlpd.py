"""RLPD: soft actor-critic on half demonstrations, half online data (arXiv:2302.02948)."""

from __future__ import annotations

from collections.abc import Mapping

import flax
import jax
import jax.numpy as jnp
import optax

from ..config import RLPDConfig
from ..networks import Params
from ..transition import Transition
from .actor import cloning_error
from .minibatches import over_minibatches
from .optimiser import Optimised, descend, start
from .sac import Info, SACAgent, current_policy, policy_network, update_sac


@flax.struct.dataclass
class RLPDAgent:
    """A soft actor-critic whose batches hold demonstrations first, then online transitions."""

    sac: SACAgent
    cloning_state: optax.OptState
    encoder_cloning_state: optax.OptState
    config: RLPDConfig = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        action_dim: int,
        config: RLPDConfig,
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> RLPDAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights and all later sampling.
            observation_mean: (S,) float32 mean of the demonstrations' observations.
            observation_std: (S,) float32 standard deviation of the same.
            action_dim: Length A of the action.
            config: Hyper-parameters.
            image_shapes: (H, W, 3) of the cameras that the agent sees.
        """
        sac = SACAgent.create(
            seed, observation_mean, observation_std, action_dim, config.sac, image_shapes
        )
        actor = start(sac.actor.params, config.bc_pretrain_learning_rate)
        encoder = start(sac.vision.encoder.params, config.bc_pretrain_learning_rate)
        return cls(sac, actor.state, encoder.state, config)

    @jax.jit
    def pretrain(self, batches: Transition) -> tuple[RLPDAgent, Info]:
        """Clones the demonstrated actions, before any reinforcement learning.

        Encoders are trained with the policy here: there is no value yet that they could learn from.
        A gripper critic is left as it is.

        Args:
            batches: (U, B, ...) demonstrations; one actor update per minibatch.

        Returns:
            The agent after, and the mean of the loss.
        """
        has_images = self.sac.vision.config is not None
        batches = self.sac.normaliser.transitions(batches)
        agent, info = over_minibatches(_clone, self, batches, has_images)
        if agent.sac.average_policy is not None:
            agent = agent.replace(sac=agent.sac.replace(average_policy=current_policy(agent.sac)))
        return agent, jax.tree.map(jnp.mean, info)

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[RLPDAgent, Info]:
        """A critic update per minibatch of `batches` (U, B, ...), then actor and temperature.

        The first `config.demo_rows(B)` rows of each minibatch are demonstrations.
        """
        demos = self.config.demo_rows(batches.reward.shape[1])
        regulariser = self._cloning_penalty if self.config.bc_weight > 0 and demos else None
        sac, info = update_sac(self.sac, batches, regulariser)
        return self.replace(sac=sac), info

    def update(self, batch: Transition) -> tuple[RLPDAgent, Info]:
        """One update of critics, actor and temperature from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""
        return self.sac.packed_policy()

    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: the average of the last policies where the config asks."""
        return self.sac.packed_evaluation_policy()

    def _cloning_penalty(self, mode: jax.Array, batch: Transition) -> jax.Array:
        rows = self.config.demo_rows(batch.reward.shape[0])
        demonstrated = self.sac.gripper.motion(batch.action[:rows])
        return self.config.bc_weight * cloning_error(mode[:rows], demonstrated)


def _clone(agent: RLPDAgent, batch: Transition) -> tuple[RLPDAgent, Info]:
    """One cloning update of policy and encoders from normalised demonstrations (B, ...)."""
    sac, rate = agent.sac, agent.config.bc_pretrain_learning_rate
    rng, shift_key, dropout_key = jax.random.split(sac.rng, 3)
    batch = sac.vision.shifted(shift_key, batch)

    def loss(params: Params, encoder: Params) -> jax.Array:
        view = sac.vision.view(encoder, batch.observation, dropout_key)
        mean, _ = policy_network(sac).apply({"params": params}, view)
        return cloning_error(jnp.tanh(mean), sac.gripper.motion(batch.action))

    before = sac.actor.params, sac.vision.encoder.params
    value, gradients = jax.value_and_grad(loss, (0, 1))(*before)
    actor = descend(Optimised(before[0], agent.cloning_state), gradients[0], rate)
    encoder = descend(Optimised(before[1], agent.encoder_cloning_state), gradients[1], rate)
    vision = sac.vision.replace(encoder=sac.vision.encoder.replace(params=encoder.params))
    sac = sac.replace(rng=rng, actor=sac.actor.replace(params=actor.params), vision=vision)
    agent = agent.replace(sac=sac, cloning_state=actor.state, encoder_cloning_state=encoder.state)
    return agent, {"cloning_loss": value}
