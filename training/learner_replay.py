"""The learner's end of replay: what has arrived, and batches of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .replay_client import FLUSH_TIMEOUT_S, ReplayUnreachableError, inserted, table_infos
from .replay_memory import Batch, ReplayMemory, draw_batch
from .replay_receiver import TableReceiver
from .replay_tables import DEMOS, ONLINE
from .run_directory import Session
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

_WAIT_S = 0.05


class LearnerReplay:
    """Takes transitions from the tables `demos` and `online` into memory and draws batches.

    Attributes:
        env_steps: Online environment steps that have arrived, over all sessions.
    """

    def __init__(self, client: reverb.Client, session: Session) -> None:
        """Begins to take; call `close` at the end."""
        # Before the receivers start: what waits in the tables now is what `fill` waits for.
        self._found = table_infos(client)
        capacity, layout = session.replay.capacity, session.replay.layout
        self.env_steps = session.env_steps
        self._client = client
        self._layout = layout
        self._receivers = {
            table: TableReceiver(client.server_address, table, layout.width)
            for table in (DEMOS, ONLINE)
        }
        self._memories = {
            DEMOS: ReplayMemory(capacity.demos_capacity, layout.width),
            ONLINE: ReplayMemory(capacity.online_capacity, layout.width),
        }

    def size(self, table: str) -> int:
        """Transitions of a table that can be drawn."""
        return len(self._memories[table])

    def fill(self, stop: StopRequest) -> None:
        """Takes all that waited in the tables at the beginning; call it first.

        Raises:
            ReplayUnreachableError: The replay server does not answer any more.
        """
        for table, receiver in self._receivers.items():
            waiting, arrived_s = self._found[table].current_size, time.monotonic()
            while receiver.items < waiting and not stop:
                if self._take(table, _WAIT_S):
                    arrived_s = time.monotonic()
                elif time.monotonic() - arrived_s > FLUSH_TIMEOUT_S:
                    raise ReplayUnreachableError(
                        f"table {table!r} of the replay server at {self._client.server_address}: "
                        f"only {receiver.items} of {waiting} items arrived"
                    )

    def receive(self, timeout_s: float = 0.0) -> int:
        """Takes the online transitions that have arrived and returns how many there were.

        Raises:
            ReplayUnreachableError: The replay server cannot be read any more.
        """
        count = self._take(ONLINE, timeout_s)
        self.env_steps += count
        return count

    def write_off_lost(self) -> int:
        """Counts online transitions that left the server but never arrived as having arrived.

        To be called when nothing has come for long: Reverb may lose what is under way when a
        connection breaks, and the learner would wait for it for ever.

        Returns:
            How many they were.

        Raises:
            ReplayUnreachableError: The replay server does not answer any more.
        """
        receiver, info = self._receivers[ONLINE], table_infos(self._client)[ONLINE]
        found = self._found[ONLINE]
        gone = inserted(info) - inserted(found) + found.current_size - info.current_size
        lost = gone - receiver.items
        if lost > 0:
            print(
                f"warning: {lost} transitions were lost between the replay server and the learner",
                file=sys.stderr,
                flush=True,
            )
            receiver.items += lost
            self.env_steps += lost
        return max(lost, 0)

    def observation_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (S,) float32 of the demonstrations' observations.

        Zeros and ones where there are no demonstrations.
        """
        observations = np.asarray(self._layout.unpack(self._memories[DEMOS].rows).observation)
        if not len(observations):
            shape = (self._layout.observation_dim,)
            return np.zeros(shape, np.float32), np.ones(shape, np.float32)
        mean = observations.mean(axis=0, dtype=np.float64)
        std = observations.std(axis=0, dtype=np.float64)
        return np.asarray(mean, np.float32), np.asarray(std, np.float32)

    def draw(self, rows: Mapping[str, int], minibatches: int, rng: np.random.Generator) -> Batch:
        """Minibatches (U, B, ...) with exactly so many rows of each table, in the given order."""
        return draw_batch(self._memories, rows, minibatches, self._layout, rng)

    def close(self) -> None:
        """Ends taking."""
        for receiver in self._receivers.values():
            receiver.close()

    def _take(self, table: str, timeout_s: float) -> int:
        arrived = self._receivers[table].take(timeout_s)
        for rows in arrived:
            self._memories[table].add(rows)
        return sum(map(len, arrived))
