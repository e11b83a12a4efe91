"""The policy of a run, for everyone who only wants to act: NumPy, no jax, no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.episode import resize_image
from ..datasets.errors import SchemaError
from ..datasets.keys import IMAGE, STATE, STATE_PREFIX
from ..envs.policy_forward import OpenLoop, state_vector
from .checkpoints import find_checkpoint, read_policy
from .policy import PackedPolicies, PackedPolicy, unpack_policy
from .run_directory import RunDirectory, TaskRecord
from .transition import Observation


class ObservationReader:
    """Turns an environment's observation into what a policy takes."""

    def __init__(self, task: TaskRecord) -> None:
        """`task`: says which fields make the state, and what the policy sees."""
        self._names = [path.removeprefix(STATE_PREFIX) for path in task.state_fields]
        self._cameras = task.cameras

    def __call__(self, observation: dict[str, Any]) -> Observation:
        """The state (S,) float32 and the images (H, W, 3) uint8 of an observation.

        Images of another size are resized, as those of the demonstrations are.

        Raises:
            SchemaError: The observation lacks a field or camera, named with those there are.
        """
        state, images = observation[STATE], observation.get(IMAGE, {})
        _check_has("state", self._names, state)
        _check_has("camera", [camera.name for camera in self._cameras], images)
        return Observation(
            state_vector(state, self._names),
            {c.name: resize_image(images[c.name], (c.height, c.width)) for c in self._cameras},
        )


def _check_has(kind: str, needed: Sequence[str], there: Mapping[str, Any]) -> None:
    if missing := [name for name in needed if name not in there]:
        raise SchemaError(
            f"the policy needs the {kind} {', '.join(missing)}, which this environment does not "
            f"give; it gives {', '.join(there) or 'none'}; make it with the arguments that the "
            f"policy was trained with"
        )


class ModePolicy:
    """Takes the most likely actions; nothing in it is random.

    Attributes:
        checkpoint: Where the policy comes from.
    """

    def __init__(
        self,
        policy: PackedPolicy | PackedPolicies,
        read: Callable[[dict[str, Any]], Observation],
        checkpoint: str = "",
    ) -> None:
        """Acts as `policy` on what `read` finds."""
        self.checkpoint = checkpoint
        self._policy = policy
        self._read = read
        self._open_loop = OpenLoop(policy.spec.chunk, policy.spec.executed)

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode."""
        self._open_loop.reset()

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (A,) float32 in [-1, 1] for an observation."""

        def predict() -> np.ndarray:
            seen = self._read(observation)
            return self._policy.mode(seen.state, seen.images)

        return self._open_loop.next(predict)


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
    policy = unpack_policy(record.policy_spec, read_policy(found))
    return ModePolicy(policy, ObservationReader(record.task), str(found))
