"""The learner's end of replay: what has arrived, and batches of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np

from .batch_log import BatchLog
from .interventions import Interventions
from .replay_client import FLUSH_TIMEOUT_S, ReplayUnreachableError, inserted, table_infos
from .replay_items import ONLINE_SOURCE, Origin, Rows
from .replay_memory import Batch, ReplayMemory, draw_batch
from .replay_receiver import TableReceiver
from .replay_tables import DEMOS, MOST_ACTORS, ONLINE
from .run_directory import Session
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

_WAIT_S = 0.05


class LearnerReplay:
    """Takes transitions from the tables `demos` and `online` into memory and draws batches.

    Online transitions in which a person drove join the demonstrations, too (HIL-SERL, Luo et al.
    2024, arXiv:2410.21845, section III-D).

    Attributes:
        env_steps: Online environment steps that have arrived, over all sessions.
        received: (MOST_ACTORS,) int64, those that have arrived in this session, by actor.
    """

    def __init__(
        self,
        client: reverb.Client,
        session: Session,
        batch_log: BatchLog,
        learns_from_demos: bool = True,
    ) -> None:
        """Begins to take, and to log what it takes and draws; call `close` at the end.

        Args:
            client: Connected to the replay server.
            session: The run's present session.
            batch_log: Where it logs.
            learns_from_demos: Whether batches have demonstrations; without, what a person did while
                acting is online data alone.
        """
        # Before the receivers start: what waits in the tables now is what `fill` waits for.
        self._found = table_infos(client)
        capacity, layout = session.replay.capacity, session.replay.layout
        self.env_steps = session.env_steps
        self.received = np.zeros(MOST_ACTORS, np.int64)
        self._log = batch_log
        self._client = client
        self._layout = layout
        self._drawer = ThreadPoolExecutor(1, "draw-ahead")
        self._ahead: tuple[tuple[Mapping[str, int], int, tuple[int, int]], Future[Batch]] | None
        self._ahead = None
        self._receivers = {
            table: TableReceiver(client.server_address, table, layout) for table in (DEMOS, ONLINE)
        }
        self._memories = {
            DEMOS: ReplayMemory(capacity.demos_capacity, layout),
            ONLINE: ReplayMemory(capacity.online_capacity, layout),
        }
        self._interventions = Interventions(layout) if learns_from_demos else None

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
                if len(self._take(table, _WAIT_S)):
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
        sources = self._take(ONLINE, timeout_s)
        actors, counts = np.unique(ONLINE_SOURCE - sources, return_counts=True)
        self.received[actors] += counts
        self.env_steps += len(sources)
        return len(sources)

    def write_off_lost(self) -> int:
        """Expects online items no more that left the server but never arrived, and tells of them.

        To be called when nothing has come for long: Reverb may lose what is under way when a
        connection breaks. Their transitions pay for no updates: the actors make others.

        Returns:
            How many items they were.

        Raises:
            ReplayUnreachableError: The replay server does not answer any more.
        """
        receiver, info = self._receivers[ONLINE], table_infos(self._client)[ONLINE]
        found = self._found[ONLINE]
        gone = inserted(info) - inserted(found) + found.current_size - info.current_size
        lost = gone - receiver.items
        if lost > 0:
            print(
                f"warning: {lost} items of transitions were lost between the replay server and the "
                f"learner; the actors go on until as many steps as they should have arrived",
                file=sys.stderr,
                flush=True,
            )
            receiver.items += lost
        return max(lost, 0)

    def observation_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (S,) float32 of the demonstrations' observations.

        Zeros and ones where there are no demonstrations.
        """
        states = np.asarray(
            self._layout.unpack(self._memories[DEMOS].transitions).observation.state
        )
        if not len(states):
            shape = (self._layout.observation_dim,)
            return np.zeros(shape, np.float32), np.ones(shape, np.float32)
        mean = states.mean(axis=0, dtype=np.float64)
        std = states.std(axis=0, dtype=np.float64)
        return np.asarray(mean, np.float32), np.asarray(std, np.float32)

    def draw(self, rows: Mapping[str, int], minibatches: int, key: tuple[int, int]) -> Batch:
        """Minibatches (U, B, ...) with exactly so many rows of each table, in the given order.

        The same key gives the same transitions from the same content. A batch that was begun by
        `draw_ahead` holds what there was then.

        Args:
            rows: Rows of each minibatch, by table.
            minibatches: U.
            key: Seed of the run and updates before this one.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            asked, batch = ahead
            found = batch.result()  # also one for nobody: it must not go on beside the next
            if asked == (rows, minibatches, key):
                return found
        return self._draw(rows, minibatches, key)

    def draw_ahead(self, rows: Mapping[str, int], minibatches: int, key: tuple[int, int]) -> None:
        """Begins to draw the next batch in a thread, from what has been taken until now."""
        self._settle()
        drawing = self._drawer.submit(self._draw, rows, minibatches, key)
        self._ahead = (rows, minibatches, key), drawing

    def close(self) -> None:
        """Ends taking."""
        self._drawer.shutdown()
        if self._ahead is not None:
            self._log.unused()
        for receiver in self._receivers.values():
            receiver.close()

    def _draw(self, rows: Mapping[str, int], minibatches: int, key: tuple[int, int]) -> Batch:
        self._log.drawn(key[1], minibatches, rows)
        rng = np.random.default_rng(key)
        return draw_batch(self._memories, rows, minibatches, self._layout, rng)

    def _settle(self) -> None:
        """Waits for the batch that is being drawn: nothing may be added meanwhile."""
        if self._ahead is not None:
            wait([self._ahead[1]])

    def _take(self, table: str, timeout_s: float) -> np.ndarray:
        """Takes what has arrived; returns the source of each transition of it, (n,) int64."""
        arrived = self._receivers[table].take(timeout_s)
        if not arrived:
            return np.zeros(0, np.int64)
        self._settle()
        origin = self._add(table, arrived)
        watched = self._interventions if table == ONLINE else None
        if watched is not None and (driven := watched.among(arrived)):
            self._add(DEMOS, driven)
        return origin.source[origin.step >= 0]

    def _add(self, table: str, arrived: list[Rows]) -> Origin:
        for rows in arrived:
            self._memories[table].add(rows)
        origin = self._layout.origin(np.concatenate([rows.packed for rows in arrived]))
        self._log.arrived(table, origin)
        return origin
