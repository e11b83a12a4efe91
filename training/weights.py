"""The policy on its way from the learner to the actors, through the table `weights`.

An item holds the packed policy that acts, the packed policy that is evaluated where that is another
(its Polyak average), and counters. Nothing but the policy travels: no critics, no optimiser state.
The counters tell actors how far the learner is, which is how an actor knows to wait for it; and of
which run, configuration and version the learner is, so that an actor of another one stops before it
acts.

An actor does not ask again and again: it waits at that of the tables `weights_even` and
`weights_odd` where the next publication will appear (benchmarks/serl_weights.py times this).
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import __version__
from .config_json import run_to_dict, to_dict
from .replay_client import ReplayUnreachableError, flush, inserted, table_infos
from .replay_tables import MOST_ACTORS, WEIGHTS, WEIGHTS_NEWS
from .run_directory import RunRecord
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

_CHECK_INTERVAL_S = 0.5
_RETRY_S = 0.02


class Counters(NamedTuple):
    """How far the learner is."""

    publication: int
    """Number of this publication on its replay server, from 1."""
    updates: int
    """Updates behind the policy, offline and online."""
    learned_steps: int
    """Environment steps that the learner has learned from, or that need no learning: the actor may
    be `max_actor_lead_steps` ahead of this."""
    is_final: int
    """1 when the learner will publish no more."""
    env_steps: int = 0
    """Environment steps of all actors that the learner has received, over all sessions."""
    is_starved: int = 0
    """1 when the learner has long waited for steps that do not come."""
    identity: int = 0
    """`run_identity` of the learner."""


@dataclass(frozen=True)
class Weights:
    """One publication."""

    policy: np.ndarray
    """(P,) float32, the packed policy that explores."""
    evaluation_policy: np.ndarray
    """(P,) float32, the packed policy to evaluate."""
    counters: Counters
    received: np.ndarray
    """(MOST_ACTORS,) int64, environment steps that the learner has received in this session, by
    actor."""
    arrived_s: float
    """Monotonic clock of this process when the publication arrived."""


def run_identity(record: RunRecord) -> int:
    """A number that differs where run, configuration, policy layout or serlds version do."""
    values = [__version__, record.created_utc, run_to_dict(record.run), to_dict(record.task)]
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class WeightsPublisher:
    """The learner's end."""

    def __init__(
        self, client: reverb.Client, stop: StopRequest | None = None, identity: int = 0
    ) -> None:
        """Opens a stream to the server.

        Args:
            client: Connected to the replay server.
            stop: Ends waiting for a server that does not answer.
            identity: `run_identity` of the learner.
        """
        self._client = client
        self._stop = stop
        self._identity = identity
        # A writer's items all have one shape: with another policy to evaluate, and without.
        self._writers = {is_average: _writer(client) for is_average in (True, False)}
        # Also where another learner has published before: numbers never repeat.
        self._publications = inserted(table_infos(client)[WEIGHTS])

    def publish(
        self,
        policy: np.ndarray,
        evaluation_policy: np.ndarray,
        updates: int,
        learned_steps: int,
        is_final: bool = False,
        env_steps: int = 0,
        received: Sequence[int] = (),
        is_starved: bool = False,
    ) -> None:
        """Replaces the published policy; returns when the server has it.

        The arguments are the fields of `Weights` and `Counters`.

        Raises:
            ReplayUnreachableError: The server did not take it.
        """
        self._publications += 1
        counters = Counters(
            self._publications,
            updates,
            learned_steps,
            int(is_final),
            env_steps,
            int(is_starved),
            self._identity,
        )
        by_actor = np.zeros(MOST_ACTORS, np.int64)
        by_actor[: len(received)] = received
        is_average = not np.array_equal(policy, evaluation_policy)
        columns = {
            "policy": np.asarray(policy, np.float32),
            "evaluation_policy": np.asarray(evaluation_policy if is_average else [], np.float32),
            "counters": np.asarray(counters, np.int64),
            "received": by_actor,
        }
        writer = self._writers[is_average]
        writer.append(columns)
        item = {name: writer.history[name][-1:] for name in columns}
        for table in (WEIGHTS, WEIGHTS_NEWS[self._publications % 2]):
            writer.create_item(table, 1.0, item)
        flush(writer, "the policy", self._stop)
        self._empty(WEIGHTS_NEWS[(self._publications + 1) % 2])

    def close(self) -> None:
        """Closes the streams."""
        for writer in self._writers.values():
            writer.close()

    def _empty(self, table: str) -> None:
        try:
            self._client.reset(table)
        except Exception as error:  # reverb raises by the kind of failure
            raise ReplayUnreachableError(
                f"the replay server does not take the policy: {error}"
            ) from error


def _writer(client: reverb.Client) -> reverb.TrajectoryWriter:
    writer = client.trajectory_writer(num_keep_alive_refs=1)
    for column in ("policy", "evaluation_policy", "counters", "received"):
        writer.configure((column,), num_keep_alive_refs=1, max_chunk_length=1)
    return writer


class WeightsSubscriber:
    """An actor's end: threads that fetch every new publication."""

    def __init__(self, client: reverb.Client) -> None:
        """Starts fetching through a client that is connected to the replay server."""
        self._client = client
        self._changed = threading.Condition()
        self._newest: Weights | None = None
        self._error: ReplayUnreachableError | None = None
        self._stop = threading.Event()
        for loop in (self._listen, self._check):
            threading.Thread(target=self._run, args=(loop,), name="weights", daemon=True).start()

    def newest(self) -> Weights | None:
        """The newest publication; None before the first.

        Raises:
            ReplayUnreachableError: The server does not answer any more.
        """
        if self._error is not None:
            raise self._error
        return self._newest

    def is_final(self) -> bool:
        """Whether the learner has published for the last time; raises as `newest`."""
        weights = self.newest()
        return weights is not None and bool(weights.counters.is_final)

    def wait(self, after_publication: int, timeout_s: float) -> Weights | None:
        """The newest publication once it is later than this one; None when it is not in time.

        Raises:
            ReplayUnreachableError: The server does not answer any more.
        """

        def is_later() -> bool:
            newest = self.newest()
            return newest is not None and newest.counters.publication > after_publication

        with self._changed:
            return self._newest if self._changed.wait_for(is_later, timeout_s) else None

    def close(self) -> None:
        """Ends the threads; does not wait for an answer that is under way."""
        self._stop.set()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except ReplayUnreachableError as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _listen(self) -> None:
        while not self._stop.is_set():
            # Blocks until the publication comes; nothing interrupts it but the server's end.
            weights = fetch_weights(self._client, WEIGHTS_NEWS[(self._publication() + 1) % 2])
            if not self._offer(weights):  # the publisher is about to empty this table
                self._stop.wait(_RETRY_S)

    def _check(self) -> None:
        # Finds what was published twice while the other thread was not waiting: that thread now
        # waits where nothing comes before the publication after the next.
        while not self._stop.is_set():
            if inserted(table_infos(self._client)[WEIGHTS]) > self._publication():
                self._offer(fetch_weights(self._client))
            self._stop.wait(_CHECK_INTERVAL_S)

    def _publication(self) -> int:
        return 0 if self._newest is None else self._newest.counters.publication

    def _offer(self, weights: Weights) -> bool:
        with self._changed:
            is_newer = weights.counters.publication > self._publication()
            if is_newer:
                self._newest = weights
                self._changed.notify_all()
            return is_newer


def fetch_weights(client: reverb.Client, table: str = WEIGHTS) -> Weights:
    """The published policy; waits until there is one in the table.

    Raises:
        ReplayUnreachableError: The server does not answer.
    """
    try:
        (sample,) = client.sample(table, 1, emit_timesteps=False, unpack_as_table_signature=True)
    except Exception as error:  # reverb raises by the kind of failure
        raise ReplayUnreachableError(f"the published policy cannot be fetched: {error}") from error
    columns = {name: column[0] for name, column in sample.data.items()}
    counters = Counters(*(int(value) for value in columns["counters"]))
    return Weights(
        columns["policy"],
        columns["evaluation_policy"] if columns["evaluation_policy"].size else columns["policy"],
        counters,
        columns["received"],
        time.monotonic(),
    )
