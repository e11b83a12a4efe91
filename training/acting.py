"""How the actor acts, sends what it sees to replay, and keeps pace with the learner."""

from __future__ import annotations

from typing import Any

import dm_env
import numpy as np

from .config import ScheduleConfig
from .policy import MLPPolicy, PolicySpec
from .replay_items import ONLINE_SOURCE, ItemLayout, Origin
from .replay_writer import TransitionStream
from .run_policy import StateReader
from .stopping import StopRequest
from .transition import Transition
from .weights import Weights, WeightsSubscriber

_WAIT_S = 0.2


class ActingStopped(Exception):
    """The process was asked to stop; the episode in progress is left unfinished."""


class ExploringPolicy:
    """Samples actions of the newest published policy, at most so far ahead of the learner.

    Before each action it waits while the environment steps so far are `max_actor_lead_steps` (but
    at least `env_steps_per_update`, or no update could ever be made) ahead of those the learner has
    learned from. A stopped or finished learner is noticed: the final publication ends all waiting.

    Attributes:
        env_steps: Environment steps so far, over all sessions.
        updates: Updates behind the policy that acts now.
    """

    def __init__(
        self,
        spec: PolicySpec,
        schedule: ScheduleConfig,
        subscriber: WeightsSubscriber,
        read_state: StateReader,
        env_steps: int,
        stop: StopRequest,
    ) -> None:
        """Acts from the first publication on.

        Args:
            spec: What the published numbers mean.
            schedule: The run's schedule.
            subscriber: Where publications come from.
            read_state: Turns observations into the policy's vector.
            env_steps: Environment steps of earlier sessions.
            stop: Ends acting by ActingStopped.
        """
        self.env_steps = env_steps
        self.updates = 0
        self._spec = spec
        self._schedule = schedule
        self._subscriber = subscriber
        self._read_state = read_state
        self._stop = stop
        self._publication = 0
        self._policy: MLPPolicy | None = None
        self._rng = np.random.default_rng()

    def reset(self, seed: int | None = None) -> None:
        """Starts an episode; the seed decides its noise."""
        self._rng = np.random.default_rng(seed)

    def __call__(self, observation: dict[str, Any]) -> np.ndarray:
        """The action (A,) float32 for an observation.

        Raises:
            ActingStopped: The stop was requested.
            ReplayUnreachableError: The replay server does not answer any more.
        """
        policy = self._newest_policy()
        self.env_steps += 1
        if self.env_steps <= self._schedule.random_steps:
            return self._rng.uniform(-1.0, 1.0, self._spec.action_dim).astype(np.float32)
        return policy.sample(self._read_state(observation), self._rng)

    def wait_for(self, is_final: bool = False) -> Weights:
        """The newest publication, or the final one; raises as a call does."""
        publication = 0
        while not self._stop:
            weights = self._subscriber.wait(publication, _WAIT_S)
            if weights is not None:
                if weights.counters.is_final or not is_final:
                    return weights
                publication = weights.counters.publication
        raise ActingStopped

    def _newest_policy(self) -> MLPPolicy:
        weights = self._subscriber.newest() or self.wait_for()
        while not self._may_act(weights):
            weights = self._subscriber.wait(weights.counters.publication, _WAIT_S) or weights
        if weights.counters.publication != self._publication or self._policy is None:
            self._publication = weights.counters.publication
            self.updates = weights.counters.updates
            self._policy = MLPPolicy(self._spec, weights.policy)
        return self._policy

    def _may_act(self, weights: Weights) -> bool:
        if self._stop:
            raise ActingStopped
        schedule = self._schedule
        lead = max(schedule.max_actor_lead_steps, schedule.env_steps_per_update)
        ahead = self.env_steps - weights.counters.learned_steps
        return ahead < lead or bool(weights.counters.is_final)


class TransitionStreamer:
    """Sends each transition of an episode to the table `online` as soon as it is whole.

    Pass it as `on_step` to the rollout loop.
    """

    def __init__(
        self, stream: TransitionStream, layout: ItemLayout, read_state: StateReader
    ) -> None:
        """Sends rows of `layout`, made of the vectors of `read_state`, to `stream`."""
        self._stream = stream
        self._layout = layout
        self._read_state = read_state
        self._episode = 0
        self._step = 0
        self._state = np.zeros(0, np.float32)

    def begin(self, episode: int) -> None:
        """The next time step is the first of the episode with this ordinal in the log."""
        self._episode = episode

    def __call__(self, timestep: dm_env.TimeStep, action: np.ndarray | None) -> None:
        state = self._read_state(timestep.observation)
        if action is None:
            self._step = 0
        else:
            transition = Transition(
                observation=self._state[None],
                action=np.asarray(action, np.float32)[None],
                reward=np.array([timestep.reward], np.float32),
                discount=np.array([timestep.discount], np.float32),
                next_observation=state[None],
            )
            where = (ONLINE_SOURCE, self._episode, self._step)
            origin = Origin(*(np.array([number]) for number in where))
            self._stream.write(self._layout.pack(transition, origin))
            self._step += 1
        self._state = state
