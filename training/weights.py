"""The policy on its way from the learner to the actors, through the table `weights`.

An item holds the packed policy that acts, the packed policy that is evaluated (the same, or its
Polyak average), and counters. Nothing but the policy travels: no critics, no optimiser state. The
counters tell actors how far the learner is, which is how an actor knows to wait for it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .replay_client import ReplayUnreachableError, flush, inserted, table_infos
from .replay_tables import WEIGHTS
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

POLL_INTERVAL_S = 0.05


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


@dataclass(frozen=True)
class Weights:
    """One publication."""

    policy: np.ndarray
    """(P,) float32, the packed policy that explores."""
    evaluation_policy: np.ndarray
    """(P,) float32, the packed policy to evaluate."""
    counters: Counters


class WeightsPublisher:
    """The learner's end."""

    def __init__(self, client: reverb.Client, stop: StopRequest | None = None) -> None:
        """Opens a stream to the server.

        Args:
            client: Connected to the replay server.
            stop: Ends waiting for a server that does not answer.
        """
        self._stop = stop
        self._writer = client.trajectory_writer(num_keep_alive_refs=1)
        for column in ("policy", "evaluation_policy", "counters"):
            self._writer.configure((column,), num_keep_alive_refs=1, max_chunk_length=1)
        # Also where another learner has published before: numbers never repeat.
        self._publications = inserted(table_infos(client)[WEIGHTS])

    def publish(
        self,
        policy: np.ndarray,
        evaluation_policy: np.ndarray,
        updates: int,
        learned_steps: int,
        is_final: bool = False,
    ) -> None:
        """Replaces the published policy; returns when the server has it.

        Raises:
            ReplayUnreachableError: The server did not take it.
        """
        self._publications += 1
        counters = Counters(self._publications, updates, learned_steps, int(is_final))
        columns = {
            "policy": np.asarray(policy, np.float32),
            "evaluation_policy": np.asarray(evaluation_policy, np.float32),
            "counters": np.asarray(counters, np.int64),
        }
        self._writer.append(columns)
        item = {name: self._writer.history[name][-1:] for name in columns}
        self._writer.create_item(WEIGHTS, 1.0, item)
        flush(self._writer, "the policy", self._stop)

    def close(self) -> None:
        """Closes the stream."""
        self._writer.close()


class WeightsSubscriber:
    """An actor's end: a thread that fetches every new publication."""

    def __init__(self, client: reverb.Client, interval_s: float = POLL_INTERVAL_S) -> None:
        """Starts fetching.

        Args:
            client: Connected to the replay server.
            interval_s: Time between two questions whether there is something new.
        """
        self._client = client
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._newest: Weights | None = None
        self._error: ReplayUnreachableError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fetch-weights", daemon=True)
        self._thread.start()

    def newest(self) -> Weights | None:
        """The newest publication; None before the first.

        Raises:
            ReplayUnreachableError: The server does not answer any more.
        """
        if self._error is not None:
            raise self._error
        return self._newest

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
        """Ends the thread; does not wait for an answer that is under way."""
        self._stop.set()

    def _run(self) -> None:
        fetched = 0
        while not self._stop.is_set():
            start_s = time.monotonic()
            try:
                published = inserted(table_infos(self._client)[WEIGHTS])
                if published > fetched:
                    self._set(fetch_weights(self._client))
                    fetched = published
            except ReplayUnreachableError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            self._stop.wait(max(self._interval_s - (time.monotonic() - start_s), 0.0))

    def _set(self, weights: Weights) -> None:
        with self._changed:
            self._newest = weights
            self._changed.notify_all()


def fetch_weights(client: reverb.Client) -> Weights:
    """The published policy; waits for the first publication.

    Raises:
        ReplayUnreachableError: The server does not answer.
    """
    try:
        (sample,) = client.sample(WEIGHTS, 1, emit_timesteps=False, unpack_as_table_signature=True)
    except Exception as error:  # reverb raises by the kind of failure
        raise ReplayUnreachableError(f"the published policy cannot be fetched: {error}") from error
    columns = {name: column[0] for name, column in sample.data.items()}
    counters = Counters(*(int(value) for value in columns["counters"]))
    return Weights(columns["policy"], columns["evaluation_policy"], counters)
