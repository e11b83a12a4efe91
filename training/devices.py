"""One learner over the devices of its machine: each takes a part of every minibatch.

Parameters and optimiser are on every device; XLA sums the gradients of the parts (data parallelism
by jax sharding, https://jax.readthedocs.io/en/latest/notebooks/Distributed_arrays_and_automatic_parallelization.html).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from .transition import Transition

if TYPE_CHECKING:
    import jax

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class Devices:
    """The devices that a learner uses."""

    devices: Sequence[jax.Device]
    """At least one; each takes as many rows of a minibatch as any other."""

    @classmethod
    def of_this_machine(cls, batch_size: int) -> Devices:
        """All devices of this process, or as many as divide the batch; then a warning says so."""
        import jax

        found = jax.local_devices()
        count = max(n for n in range(1, len(found) + 1) if batch_size % n == 0)
        if count < len(found):
            print(
                f"warning: the learner uses {count} of {len(found)} devices: schedule.batch_size = "
                f"{batch_size} is not divisible by more of them",
                file=sys.stderr,
                flush=True,
            )
        return cls(found[:count])

    def replicate(self, agent: Tree) -> Tree:
        """The agent, whole on every device."""
        if len(self.devices) == 1:
            return agent
        import jax

        return jax.device_put(agent, self._sharding())

    def split(self, batches: Transition) -> Transition:
        """Minibatches (U, B, ...), the rows of each spread over the devices."""
        if len(self.devices) == 1:
            return batches
        import jax

        return jax.device_put(batches, self._sharding(None, "rows"))

    def _sharding(self, *axes: str | None) -> jax.sharding.NamedSharding:
        import jax
        import numpy as np

        mesh = jax.sharding.Mesh(np.asarray(self.devices), ("rows",))
        return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
