"""The policy of a run, for everyone who only wants to act: NumPy, no jax, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.errors import SchemaError
from ..datasets.keys import STATE_PREFIX
from .checkpoints import find_checkpoint, read_policy
from .policy import MLPPolicy
from .run_directory import RunDirectory


class StateReader:
    """Turns an environment's observation into the vector that a policy takes."""

    def __init__(self, state_fields: Sequence[str]) -> None:
        """`state_fields`: paths of the fields that make the vector, in order."""
        self._names = [path.removeprefix(STATE_PREFIX) for path in state_fields]

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The state of an observation: (S,) float32.

        Raises:
            SchemaError: The observation lacks a field, named with those there are.
        """
        state = observation["state"]
        if missing := [name for name in self._names if name not in state]:
            raise SchemaError(
                f"the policy needs the state {', '.join(missing)}, which this environment does not "
                f"give; it gives {', '.join(state)}; make it with the arguments that the policy "
                f"was trained with"
            )
        return np.concatenate([np.ravel(state[name]) for name in self._names], dtype=np.float32)


class ModePolicy:
    """Takes the most likely action; nothing in it is random.

    Attributes:
        checkpoint: Where the policy comes from.
    """

    def __init__(self, policy: MLPPolicy, read_state: StateReader, checkpoint: str = "") -> None:
        """Acts as `policy` on the states that `read_state` finds."""
        self.checkpoint = checkpoint
        self._policy = policy
        self._read_state = read_state

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode."""

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (A,) float32 in [-1, 1] for an observation."""
        return self._policy.mode(self._read_state(observation))


def load_policy(run: Path, checkpoint: str | None = None) -> ModePolicy:
    """The policy of a run's checkpoint, without exploration.

    Args:
        run: The run's directory.
        checkpoint: Number of updates of the checkpoint; by default the newest.

    Raises:
        UsageError: There is no such run or checkpoint.
        DamagedDatasetError: Its files cannot be read.
    """
    directory = RunDirectory.open(run)
    record = directory.read_record()
    found = find_checkpoint(directory.checkpoints, checkpoint)
    policy = MLPPolicy(record.policy_spec, read_policy(found))
    return ModePolicy(policy, StateReader(record.task.state_fields), str(found))
