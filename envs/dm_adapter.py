"""Gymnasium environments as dm_env environments, which EnvLogger and RLDS think in."""

from __future__ import annotations

from typing import Any

import dm_env
import gymnasium
import numpy as np
from dm_env import specs


class GymAsDmEnv(dm_env.Environment):
    """A Gymnasium environment with the dm_env interface.

    A terminated episode ends with discount 0, a truncated one with discount 1. Rewards and
    discounts are `np.float32` scalars.

    Attributes:
      gym_env: the environment it drives.
      info: what that environment's last `reset` or `step` told besides.
      episode_seed: the seed of the episode in progress; None where it was drawn by nobody.
    """

    def __init__(self, gym_env: gymnasium.Env) -> None:
        self.gym_env = gym_env
        self.info: dict[str, Any] = {}
        self.episode_seed: int | None = None
        self._next_seed: int | None = None
        self._is_over = True

    def seed_next_episode(self, seed: int) -> None:
        """Makes the next `reset` start the episode of this seed."""
        self._next_seed = seed

    def reset(self) -> dm_env.TimeStep:
        """Starts an episode, with the seed given to `seed_next_episode` if there is a new one."""
        self.episode_seed, self._next_seed = self._next_seed, None
        observation, self.info = self.gym_env.reset(seed=self.episode_seed)
        self._is_over = False
        return dm_env.restart(observation)

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        """Acts once; after the last step of an episode it starts the next one, as dm_env asks."""
        if self._is_over:
            return self.reset()
        observation, reward, terminated, truncated, self.info = self.gym_env.step(action)
        self._is_over = terminated or truncated
        return dm_env.TimeStep(
            step_type=dm_env.StepType.LAST if self._is_over else dm_env.StepType.MID,
            reward=np.float32(reward),
            discount=np.float32(0.0 if terminated else 1.0),
            observation=observation,
        )

    def observation_spec(self) -> Any:
        """Nested dictionary of specs, as the observation space is nested."""
        return _spec_of_space(self.gym_env.observation_space, "observation")

    def action_spec(self) -> specs.Array:
        return _spec_of_space(self.gym_env.action_space, "action")

    def reward_spec(self) -> specs.Array:
        return specs.Array((), np.float32, "reward")

    def discount_spec(self) -> specs.BoundedArray:
        return specs.BoundedArray((), np.float32, 0.0, 1.0, "discount")

    def close(self) -> None:
        self.gym_env.close()


def _spec_of_space(space: gymnasium.Space, name: str) -> Any:
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _spec_of_space(child, key) for key, child in space.spaces.items()}
    if isinstance(space, gymnasium.spaces.Box):
        return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, name)
    raise TypeError(f"space {name!r} is {space}; expected a Dict of Box spaces, or a Box")
