"""A critic of what grippers do (HIL-SERL, Luo et al. 2024, arXiv:2410.21845, released code).

Double Q-learning (van Hasselt et al. 2016, arXiv:1509.06461) over the joint commands of all
grippers: one gripper has three, -1, 0 and 1, two have nine. It stands beside a soft actor-critic
whose policy and critics know the other dimensions of the action alone; the image encoders are
shared, and trained by both kinds of critics.
"""

from __future__ import annotations

import flax
import jax
import jax.numpy as jnp
import numpy as np

from ...datasets.errors import UsageError
from ...envs.policy_forward import GRIPPER_LEVELS
from ..config import GripperConfig
from ..networks import GripperNetwork, Params, View
from .optimiser import Optimised, descend, interpolate, start


@flax.struct.dataclass
class Gripper:
    """The critic of grippers' commands and its target; without a configuration there is none."""

    critic: Optimised
    target: Params
    config: GripperConfig | None = flax.struct.field(pytree_node=False)
    positions: tuple[int, ...] = flax.struct.field(pytree_node=False)
    """Of the grippers in the action."""
    proprio_features: int = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        config: GripperConfig | None,
        rng: jax.Array,
        view: View,
        action_dim: int,
        proprio_features: int,
    ) -> Gripper:
        """A fresh critic.

        Args:
            config: Its hyper-parameters; None: there is none.
            rng: Decides the initial weights.
            view: Of one observation.
            action_dim: Length A of the action.
            proprio_features: Units of the layer that the state passes first; 0: none.

        Raises:
            UsageError: Positions that the action or the state does not have.
        """
        if config is None:
            return cls(start({}, 0.0), {}, None, (), 0)
        positions = config.positions(action_dim)
        _check_openings(config, positions, view.state.shape[-1])
        network = GripperNetwork(config.network, _commands(positions), proprio_features)
        params = jax.jit(network.init)(rng, view)["params"]
        critic = start(params, config.learning_rate)
        return cls(critic, params, config, positions, proprio_features)

    def motion(self, action: jax.Array) -> jax.Array:
        """What is left of actions (..., A) without the grippers: (..., A - G)."""
        if self.config is None:
            return action
        kept = [i for i in range(action.shape[-1]) if i not in self.positions]
        return action[..., np.array(kept)]

    def commands(self, action: jax.Array) -> jax.Array:
        """What actions (..., A) tell the grippers: (..., G)."""
        return action[..., np.array(self.positions)]

    def learning_target(
        self,
        view: View,
        state: jax.Array,
        action: jax.Array,
        reward: jax.Array,
        discount: jax.Array,
    ) -> jax.Array:
        """What the critic's values of the commands taken should be: (B,); zeros without a critic.

        Args:
            view: Of the next observations.
            state: (B, S) of the observations, not normalised.
            action: (B, A) taken.
            reward: (B,).
            discount: (B,) the data's own by the discount factor.
        """
        if self.config is None:
            return jnp.zeros_like(reward)
        config = self.config
        if config.penalty:
            openings = state[..., np.array(config.openings)]
            count = changes(self.commands(action), openings, config.open_above)
            reward = reward - config.penalty * count
        chosen = self.values(self.critic.params, view).argmax(axis=-1)
        return double_q_target(reward, discount, self.values(self.target, view), chosen)

    def loss(self, params: Params, view: View, action: jax.Array, target: jax.Array) -> jax.Array:
        """Mean squared error of the values of the commands taken; 0 without a critic."""
        if self.config is None:
            return jnp.float32(0.0)
        commands = joint_command(self.commands(action))
        return jnp.square(picked(self.values(params, view), commands) - target).mean()

    def descended(self, gradients: Params, target_update_rate: float) -> Gripper:
        """After a step against the gradients of the loss."""
        if self.config is None:
            return self
        critic = descend(self.critic, gradients, self.config.learning_rate)
        target = interpolate(self.target, critic.params, target_update_rate)
        return self.replace(critic=critic, target=target)

    def values(self, params: Params, view: View) -> jax.Array:
        """The value of each joint command: (B, 3 ** G)."""
        count = _commands(self.positions)
        network = GripperNetwork(self.config.network, count, self.proprio_features)
        return network.apply({"params": params}, view)


def joint_command(commands: jax.Array) -> jax.Array:
    """Number of a joint command: (..., G) rounded to -1, 0 or 1 -> (...) int32; the first leads."""
    levels = jnp.clip(jnp.round(commands), -1, 1).astype(jnp.int32) + 1
    weights = GRIPPER_LEVELS ** jnp.arange(levels.shape[-1] - 1, -1, -1)
    return (levels * weights).sum(axis=-1)


def changes(commands: jax.Array, openings: jax.Array, open_above: float) -> jax.Array:
    """How many grippers are told to open that are closed, or to close that are open.

    Args:
        commands: (B, G) in [-1, 1]; below -0.5 closes, above 0.5 opens (HIL-SERL's
            GripperPenaltyWrapper).
        openings: (B, G).
        open_above: Opening above which a gripper is open.

    Returns:
        (B,) float32.
    """
    is_open = openings > open_above
    changed = jnp.where(is_open, commands < -0.5, commands > 0.5)
    return changed.sum(axis=-1).astype(jnp.float32)


def double_q_target(
    reward: jax.Array, discount: jax.Array, next_values: jax.Array, chosen: jax.Array
) -> jax.Array:
    """reward + discount * value of the chosen next command (van Hasselt et al. 2016, equation 4).

    Args:
        reward: (B,).
        discount: (B,) 0 after a true termination.
        next_values: (B, C) by the target critic.
        chosen: (B,) the command that the critic itself finds best.
    """
    return reward + discount * picked(next_values, chosen)


def picked(values: jax.Array, commands: jax.Array) -> jax.Array:
    """The value of one command per row: (B, C), (B,) -> (B,)."""
    return jnp.take_along_axis(values, commands[:, None], axis=-1)[:, 0]


def _commands(positions: tuple[int, ...]) -> int:
    return GRIPPER_LEVELS ** len(positions)


def _check_openings(config: GripperConfig, positions: tuple[int, ...], state_dim: int) -> None:
    if not config.penalty:
        return
    if len(config.openings) != len(positions) or max(config.openings) >= state_dim:
        raise UsageError(
            f"GripperConfig.openings: expected the positions of {len(positions)} openings in a "
            f"state of {state_dim} numbers, found {config.openings}; or set penalty to 0"
        )
