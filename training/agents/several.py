"""Several agents that share one replay: each for its own task, or each for its own arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp

from ..config import AgentConfig
from ..division import Division
from ..transition import Transition

Info = dict[str, jax.Array]


@flax.struct.dataclass
class SeveralAgents:
    """Agents of one kind that learn from the same batches; pure updates.

    An agent for a task learns from the rows of its task; as a minibatch keeps its size, they stand
    in it as often as is needed, and where there is none the rows of the other task stay. An agent
    for an arm learns from all rows, and of the action knows its own arm's: what the other arm does
    is part of its world.
    """

    agents: tuple[Any, ...]
    division: Division = flax.struct.field(pytree_node=False)
    config: AgentConfig = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        make: Callable[..., Any],
        division: Division,
        config: AgentConfig,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> SeveralAgents:
        """Fresh agents, each of a seed of its own.

        Args:
            make: Makes an agent, as `agents.create_agent`.
            division: How they divide the work.
            config, seed, observation_mean, observation_std, image_shapes: As of `create_agent`.
        """
        agents = tuple(
            make(
                division.config_of(config, k),
                seed + k,
                observation_mean,
                observation_std,
                division.part_dim,
                image_shapes,
            )
            for k in range(division.count)
        )
        return cls(agents, division, config)

    def update_utd(self, batches: Transition) -> tuple[SeveralAgents, Info]:
        """Every agent learns from its part of `batches` (U, B, ...)."""
        demos = self.config.demo_rows(batches.reward.shape[1])
        results = [
            agent.update_utd(self._part(batches, k, demos)) for k, agent in enumerate(self.agents)
        ]
        return self._after(results)

    def update(self, batch: Transition) -> tuple[SeveralAgents, Info]:
        """One update of each from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    def pretrain(self, batches: Transition) -> tuple[SeveralAgents, Info]:
        """Every agent clones its part of the demonstrations `batches` (U, B, ...)."""
        demos = batches.reward.shape[1]
        results = [
            agent.pretrain(self._part(batches, k, demos)) for k, agent in enumerate(self.agents)
        ]
        return self._after(results)

    def packed_policy(self) -> jax.Array:
        """The policies for actors, one after the other: (PoliciesSpec.size,) float32."""
        return jnp.concatenate([agent.packed_policy() for agent in self.agents])

    def packed_evaluation_policy(self) -> jax.Array:
        """The policies to evaluate, one after the other."""
        return jnp.concatenate([agent.packed_evaluation_policy() for agent in self.agents])

    def _part(self, batches: Transition, policy: int, demos: int) -> Transition:
        division = self.division
        if division.switch is None:
            part = slice(policy * division.part_dim, (policy + 1) * division.part_dim)
            return batches._replace(action=arm_actions(batches.action, division.action_dim, part))
        side = jnp.asarray(batches.observation.state)[..., division.switch] > 0
        return rows_of_task(batches, side == bool(policy), demos)

    def _after(self, results: Sequence[tuple[Any, Info]]) -> tuple[SeveralAgents, Info]:
        info = {
            f"{name}_{k}": value
            for k, (_, own) in enumerate(results)
            for name, value in own.items()
        }
        return self.replace(agents=tuple(agent for agent, _ in results)), info


def arm_actions(actions: jax.Array, action_dim: int, part: slice) -> jax.Array:
    """One arm's part of actions (..., K * A) of K steps side by side: (..., K * a)."""
    by_step = jnp.asarray(actions).reshape(*actions.shape[:-1], -1, action_dim)[..., part]
    return by_step.reshape(*actions.shape[:-1], -1)


def rows_of_task(batches: Transition, is_own: jax.Array, demos: int) -> Transition:
    """Minibatches (U, B, ...) of a task's own rows, repeated in turn until there are B.

    Where a minibatch has none at all, its rows stay as they are.

    Args:
        batches: (U, B, ...), the first `demos` rows of each minibatch from the demonstrations.
        is_own: (U, B) bool.
        demos: Rows that come first and stay first.
    """
    parts = [
        first + _own_rows(is_own[:, first:end])
        for first, end in ((0, demos), (demos, is_own.shape[1]))
        if end > first
    ]
    rows = jnp.concatenate(parts, axis=1)
    return jax.tree.map(
        lambda x: jax.vmap(lambda one, row: one[row])(jnp.asarray(x), rows), batches
    )


def _own_rows(is_own: jax.Array) -> jax.Array:
    """Positions (U, n) of the own rows of (U, n), again and again; all where there are none."""
    order = jnp.argsort(~is_own, axis=1, stable=True)
    counts = is_own.sum(axis=1, keepdims=True)
    counts = jnp.where(counts == 0, is_own.shape[1], counts)
    return jnp.take_along_axis(order, jnp.arange(is_own.shape[1])[None] % counts, axis=1)
