"""How the actor acts, sends what it sees to replay, and keeps pace with the learner."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dm_env
import numpy as np

from .. import __version__
from ..datasets.errors import UsageError
from .config import ScheduleConfig
from .pacing import StepCount
from .policy import PackedPolicies, PackedPolicy, PoliciesSpec, PolicySpec, unpack_policy
from .replay_items import ONLINE_SOURCE, ItemLayout, LooseRow
from .replay_writer import TransitionStream
from .run_policy import ObservationReader
from .stopping import StopRequest
from .transition import Observation
from .weights import Weights, WeightsSubscriber

_WAIT_S = 0.2


class ActingStopped(Exception):
    """The process was asked to stop; the episode in progress is left unfinished."""


class ReadOnce:
    """Reads each observation once, for policy and replay together, which share this reader.

    Nobody may change an observation that the environment has given.
    """

    def __init__(self, read: ObservationReader) -> None:
        """Reads as `read`."""
        self._read = read
        self._newest: tuple[dict[str, Any], Observation] | None = None

    def __call__(self, observation: dict[str, Any]) -> Observation:
        """What the policy takes, as `ObservationReader` says; raises as that."""
        if self._newest is None or self._newest[0] is not observation:
            self._newest = observation, self._read(observation)
        return self._newest[1]


class ExploringPolicy:
    """Samples actions of the newest published policy, at most so far ahead of the learner.

    Before each action it waits while the environment steps so far are `max_actor_lead_steps` (but
    at least `env_steps_per_update`, or no update could ever be made) ahead of those the learner has
    learned from. A stopped or finished learner is noticed: the final publication ends all waiting.

    Attributes:
        updates: Updates behind the policy that acts now.
        ages_s: Seconds from the arrival of the policy to each action of the present episode.
        lags_updates: Of each publication that came in the present episode, the updates by which it
            was ahead of the policy that had acted until then.
    """

    def __init__(
        self,
        spec: PolicySpec | PoliciesSpec,
        schedule: ScheduleConfig,
        subscriber: WeightsSubscriber,
        read: Callable[[dict[str, Any]], Observation],
        actor: int,
        actors: int,
        identity: int,
        stop: StopRequest,
    ) -> None:
        """Acts from the first publication on.

        Args:
            spec: What the published numbers mean.
            schedule: The run's schedule.
            subscriber: Where publications come from.
            read: Turns observations into what the policy takes.
            actor: Which of the run's actors this is.
            actors: How many there are: together they are at most so far ahead of the learner.
            identity: `run_identity` that the learner must have, too.
            stop: Ends acting by ActingStopped.
        """
        self.updates = 0
        self.ages_s: list[float] = []
        self.lags_updates: list[int] = []
        self._steps = StepCount(actor, actors)
        self._identity = identity
        self._arrived_s = 0.0
        self._spec = spec
        self._schedule = schedule
        self._subscriber = subscriber
        self._read = read
        self._stop = stop
        self._publication = 0
        self._policy: PackedPolicy | PackedPolicies | None = None
        self._rng = np.random.default_rng()

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; the seed decides its noise."""
        self._rng = np.random.default_rng(seed)
        self.ages_s, self.lags_updates = [], []

    @property
    def env_steps(self) -> int:
        """Environment steps of the run so far, of all actors over all sessions."""
        return self._steps.env_steps

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (A,) float32 for an observation.

        Raises:
            ActingStopped: The stop was requested.
            ReplayUnreachableError: The replay server does not answer any more.
            UsageError: The learner is of another run, configuration or version.
        """
        policy = self._newest_policy()
        self._steps.acted += 1
        self.ages_s.append(time.monotonic() - self._arrived_s)
        if self.env_steps <= self._schedule.random_steps:
            return self._rng.uniform(-1.0, 1.0, self._spec.action_dim).astype(np.float32)
        seen = self._read(observation)
        return policy.sample(seen.state, self._rng, seen.images)

    def wait_for(self, after_publication: int = 0) -> Weights:
        """The newest publication, once it is later than this one; raises as a call does."""
        while not self._stop:
            weights = self._subscriber.wait(after_publication, _WAIT_S)
            if weights is not None:
                return self._taken(weights)
        raise ActingStopped

    def wait_for_final(self) -> Weights | None:
        """Waits while the run needs no more environment steps.

        Returns:
            The final publication; None when more steps are needed, as when some were lost.
        """
        weights = self.wait_for()
        while not weights.counters.is_final:
            if self.env_steps < self._schedule.env_steps:
                return None
            weights = self.wait_for(weights.counters.publication)
        return weights

    def _newest_policy(self) -> PackedPolicy | PackedPolicies:
        weights = self.wait_for()
        while not self._may_act(weights):
            newer = self._subscriber.wait(weights.counters.publication, _WAIT_S)
            weights = self._taken(newer) if newer else weights
        if weights.counters.publication != self._publication or self._policy is None:
            if self._policy is not None:
                self.lags_updates.append(weights.counters.updates - self.updates)
            self._publication = weights.counters.publication
            self.updates = weights.counters.updates
            self._arrived_s = weights.arrived_s
            self._policy = unpack_policy(self._spec, weights.policy)
        return self._policy

    def _taken(self, weights: Weights) -> Weights:
        if weights.counters.identity != self._identity:
            raise UsageError(
                "the learner that publishes to this replay server is of another run, another "
                "configuration or another version of serlds than this actor (serlds "
                f"{__version__}); give --replay the server of this run, the same config.json and "
                "the same version on all machines"
            )
        self._steps.take(weights)
        return weights

    def _may_act(self, weights: Weights) -> bool:
        if self._stop:
            raise ActingStopped
        schedule = self._schedule
        lead = max(schedule.max_actor_lead_steps, schedule.env_steps_per_update)
        ahead = self._steps.expected_env_steps - weights.counters.learned_steps
        return ahead < lead or bool(weights.counters.is_final)


class TransitionStreamer:
    """Sends each transition of an episode to the table `online` as soon as it is whole.

    For an agent that sees, each time step's frames go with the transition that led to it; those of
    the first go by themselves. Pass it as `on_step` to the rollout loop.
    """

    def __init__(
        self,
        stream: TransitionStream,
        layout: ItemLayout,
        read: Callable[[dict[str, Any]], Observation],
        source: int = ONLINE_SOURCE,
        has_intervened: Callable[[], bool] = lambda: False,
    ) -> None:
        """Sends rows of `layout`, made of what `read` finds, to `stream`.

        Args:
            stream, layout, read: As said.
            source: Where the rows say that they come from.
            has_intervened: Whether a person chose the newest action.
        """
        self._source = source
        self._has_intervened = has_intervened
        self._stream = stream
        self._layout = layout
        self._read = read
        self._episode = 0
        self._step = 0
        self._state = np.zeros(0, np.float32)

    def begin(self, episode: int) -> None:
        """The next time step is the first of the episode with this ordinal in the log."""
        self._episode = episode

    def __call__(self, timestep: dm_env.TimeStep, action: np.ndarray | None) -> None:
        seen = self._read(timestep.observation)
        if action is None:
            self._step = 0
            if self._layout.cameras:
                place = self._source, self._episode
                self._stream.write(self._layout.loose_opening(seen.state, *place, seen.images))
        else:
            row = LooseRow(
                self._state,
                np.array(action),  # its owner may use the buffer again
                timestep.reward,
                timestep.discount,
                seen.state,
                self._has_intervened(),
                self._source,
                self._episode,
                self._step,
                seen.images,
            )
            self._stream.write(row)
            self._step += 1
        self._state = seen.state
