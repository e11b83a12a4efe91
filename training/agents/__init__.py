"""Agents: frozen pytrees with pure updates, one module each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, Self

import jax

from ..config import AgentConfig, BCConfig, RLPDConfig, SACConfig, VICEConfig
from ..division import Division
from ..transition import Transition
from .bc import BCAgent
from .rlpd import RLPDAgent
from .sac import SACAgent
from .several import SeveralAgents
from .vice import VICEAgent

__all__ = [
    "Agent",
    "BCAgent",
    "RLPDAgent",
    "SACAgent",
    "SeveralAgents",
    "VICEAgent",
    "create_agent",
]


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
    image_shapes: Mapping[str, tuple[int, int, int]] = MappingProxyType({}),
    division: Division | None = None,
) -> BCAgent | SACAgent | RLPDAgent | VICEAgent | SeveralAgents:
    """A fresh agent of the configuration's class.

    Args:
        config: Hyper-parameters.
        seed: Decides the initial weights and all later sampling.
        observation_mean: (S,) float32 that observations are centred on.
        observation_std: (S,) float32 that observations are divided by.
        action_dim: Length A of the action.
        image_shapes: (H, W, 3) by camera, of the cameras that the agent sees.
        division: How several agents divide the work; None: there is one.

    Raises:
        UsageError, DamagedDatasetError: The file of a frozen encoder is missing or not right.
    """
    if division is not None:
        return SeveralAgents.create(
            create_agent,
            division,
            config,
            seed,
            observation_mean,
            observation_std,
            image_shapes,
        )
    kinds = {BCConfig: BCAgent, SACConfig: SACAgent, RLPDConfig: RLPDAgent, VICEConfig: VICEAgent}
    agent = kinds[type(config)]
    return agent.create(seed, observation_mean, observation_std, action_dim, config, image_shapes)
