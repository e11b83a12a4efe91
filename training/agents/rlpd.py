"""RLPD: soft actor-critic on half demonstrations, half online data (arXiv:2302.02948)."""

from __future__ import annotations

import flax
import jax
import jax.numpy as jnp
import optax

from ..config import RLPDConfig
from ..networks import Params
from ..transition import Transition
from .actor import cloning_error
from .optimiser import Optimised, descend, start
from .sac import Info, SACAgent, policy_network, update_sac


@flax.struct.dataclass
class RLPDAgent:
    """A soft actor-critic whose batches hold demonstrations first, then online transitions."""

    sac: SACAgent
    cloning_state: optax.OptState
    config: RLPDConfig = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        action_dim: int,
        config: RLPDConfig,
    ) -> RLPDAgent:
        """A fresh agent.

        Args:
            seed: Decides the initial weights and all later sampling.
            observation_mean: (S,) float32 mean of the demonstrations' observations.
            observation_std: (S,) float32 standard deviation of the same.
            action_dim: Length A of the action.
            config: Hyper-parameters.
        """
        sac = SACAgent.create(seed, observation_mean, observation_std, action_dim, config.sac)
        cloning = start(sac.actor.params, config.bc_pretrain_learning_rate)
        return cls(sac, cloning.state, config)

    @jax.jit
    def pretrain(self, batches: Transition) -> tuple[RLPDAgent, Info]:
        """Clones the demonstrated actions, before any reinforcement learning.

        Args:
            batches: (U, B, ...) demonstrations; one actor update per minibatch.

        Returns:
            The agent after, and the mean of the loss.
        """
        batches = self.sac.normaliser.transitions(batches)

        def loss(params: Params, batch: Transition) -> jax.Array:
            mean, _ = policy_network(self.sac).apply({"params": params}, batch.observation)
            return cloning_error(jnp.tanh(mean), batch.action)

        def step(actor: Optimised, batch: Transition) -> tuple[Optimised, jax.Array]:
            value, gradients = jax.value_and_grad(loss)(actor.params, batch)
            return descend(actor, gradients, self.config.bc_pretrain_learning_rate), value

        cloned = Optimised(self.sac.actor.params, self.cloning_state)
        cloned, losses = jax.lax.scan(step, cloned, batches)
        average = None if self.sac.average_actor is None else cloned.params
        sac = self.sac.replace(
            actor=self.sac.actor.replace(params=cloned.params), average_actor=average
        )
        return self.replace(sac=sac, cloning_state=cloned.state), {"cloning_loss": losses.mean()}

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[RLPDAgent, Info]:
        """A critic update per minibatch of `batches` (U, B, ...), then actor and temperature.

        The first `config.demo_rows(B)` rows of each minibatch are demonstrations.
        """
        regulariser = self._cloning_penalty if self.config.bc_weight > 0 else None
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
        return self.config.bc_weight * cloning_error(mode[:rows], batch.action[:rows])
