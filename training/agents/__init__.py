"""Agents: frozen pytrees with pure updates, one module each."""

from __future__ import annotations

from typing import Protocol, Self

import jax

from ..config import AgentConfig, BCConfig, RLPDConfig
from ..transition import Transition
from .bc import BCAgent
from .rlpd import RLPDAgent
from .sac import SACAgent

__all__ = ["Agent", "BCAgent", "RLPDAgent", "SACAgent", "create_agent"]


class Agent(Protocol):
    """What the learner needs of an agent."""

    def update_utd(self, batches: Transition) -> tuple[Self, dict[str, jax.Array]]:
        """Learns from U stacked minibatches (U, B, ...); returns the agent after and scalars."""

    def update(self, batch: Transition) -> tuple[Self, dict[str, jax.Array]]:
        """Learns from one minibatch (B, ...)."""

    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""

    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate: (PolicySpec.size,) float32."""


def create_agent(
    config: AgentConfig,
    seed: int,
    observation_mean: jax.Array,
    observation_std: jax.Array,
    action_dim: int,
) -> BCAgent | SACAgent | RLPDAgent:
    """A fresh agent of the configuration's class.

    Args:
        config: Hyper-parameters.
        seed: Decides the initial weights and all later sampling.
        observation_mean: (S,) float32 that observations are centred on.
        observation_std: (S,) float32 that observations are divided by.
        action_dim: Length A of the action.
    """
    if isinstance(config, BCConfig):
        return BCAgent.create(seed, observation_mean, observation_std, action_dim, config)
    if isinstance(config, RLPDConfig):
        return RLPDAgent.create(seed, observation_mean, observation_std, action_dim, config)
    return SACAgent.create(seed, observation_mean, observation_std, action_dim, config)
