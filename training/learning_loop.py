"""The learner's loop: sample, update, publish, checkpoint, measure.

A run has up to three phases, each of a fixed number of updates: `pretrain` (behaviour cloning of an
RLPD actor), `offline` (updates from demonstrations alone), `online` (updates that environment steps
pay for). How many updates the online phase may make at any moment is decided by the limiter of the
table `online` (`replay_tables.py`): the loop simply waits for its next batch.

The loop publishes the policy at a fixed number of updates and, so that no actor ever waits for
progress that has been made already, also before it waits for data itself.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .checkpoints import LearnerCounters, save_checkpoint
from .divergence import check_finite
from .metrics import ENV_STEPS, LOSS_PREFIX, WALL_S, MetricsLog
from .replay_client import inserted, table_infos
from .replay_sampler import Batch, BatchSampler
from .replay_tables import DEMOS, ONLINE
from .run_directory import RunDirectory, RunRecord, Session
from .stopping import StopRequest
from .transition import Transition
from .weights import WeightsPublisher

if TYPE_CHECKING:
    import reverb

    from .agents import Agent

METRICS_INTERVAL_S = 2.0
STARVATION_NOTICE_S = 10.0
_WAIT_S = 0.2

Info = dict[str, Any]
"""Scalars that an update returns."""
UpdateFunction = Callable[[Any, Transition], tuple[Any, Info]]


@dataclass(frozen=True)
class Phase:
    """A number of updates of one kind."""

    counter: str
    """Field of LearnerCounters that it counts up."""
    target: int
    """Value of the counter at the end."""
    stride: int
    """What one call of the agent counts for."""
    minibatches: int
    """Minibatches U of one call."""
    rows: dict[str, int]
    """Rows of each minibatch, by table."""
    update: UpdateFunction
    """What one call does."""


class LearningLoop:
    """Runs phases; owns the agent and the counters."""

    def __init__(
        self,
        agent: Agent,
        counters: LearnerCounters,
        client: reverb.Client,
        directory: RunDirectory,
        record: RunRecord,
        session: Session,
        metrics: MetricsLog,
        stop: StopRequest,
    ) -> None:
        """Takes over an agent and where it stands.

        Args:
            agent: Fresh, or restored from the session's checkpoint.
            counters: What it has learned so far.
            client: Connected to the replay server, whose tables are filled.
            directory: The run.
            record: Its record.
            session: Its present session.
            metrics: Where to write metrics.
            stop: Ends the phase in progress.
        """
        self.agent = agent
        self.counters = counters
        self._client = client
        self._directory = directory
        self._record = record
        self._session = session
        self._metrics = metrics
        self._stop = stop
        self._publisher = WeightsPublisher(client, stop)
        self._refilled_steps = inserted(table_infos(client)[ONLINE])
        self._published_updates = -1
        self._unchecked: tuple[Info, Batch] | None = None
        self._info: Info = {}
        self._starved_s = 0.0
        self._measured_s = time.monotonic()
        self._measured_updates = self._all_critic_updates()

    def run(self, phase: Phase) -> None:
        """Makes the phase's updates; ends early when asked to stop.

        Raises:
            DivergedError: A loss is not finite.
            ReplayUnreachableError: The replay server does not answer any more.
            SerldsError: A checkpoint cannot be written.
        """
        if self._done(phase) >= phase.target:
            return
        layout = self._session.replay.layout
        address = self._client.server_address
        with BatchSampler(address, layout, phase.minibatches, phase.rows) as sampler:
            while self._done(phase) < phase.target and not self._stop:
                batch = self._wait_for_batch(sampler)
                if batch is None:
                    break
                self._update(phase, batch)
            self._check_last()

    def publish(self, is_final: bool = False) -> None:
        """Publishes the policy as it is now."""
        schedule = self._record.run.schedule
        online = self.counters.online_updates
        self._publisher.publish(
            np.asarray(self.agent.packed_policy()),
            np.asarray(self.agent.packed_evaluation_policy()),
            updates=self.counters.updates,
            learned_steps=schedule.start_training_steps + online * schedule.env_steps_per_update,
            is_final=is_final,
        )
        self._published_updates = self.counters.updates

    def save(self) -> None:
        """Writes a checkpoint."""
        save_checkpoint(
            self._directory.checkpoints,
            self.agent,
            np.asarray(self.agent.packed_evaluation_policy()),
            self.counters,
            self._record,
            self._record.run.schedule.checkpoints_kept,
        )

    def measure(self) -> None:
        """Writes a line of metrics."""
        infos, now_s = table_infos(self._client), time.monotonic()
        elapsed_s = max(now_s - self._measured_s, 1e-9)
        env_steps = self._env_steps(inserted(infos[ONLINE]))
        self.counters = dataclasses.replace(self.counters, env_steps=env_steps)
        critic_updates = self._all_critic_updates()
        rate = (critic_updates - self._measured_updates) / elapsed_s
        self._metrics.write(
            {
                WALL_S: self._session.wall_s(),
                ENV_STEPS: env_steps,
                "learner/updates": self.counters.updates,
                "learner/critic_updates": critic_updates,
                "learner/critic_updates_per_s": rate,
                "learner/utd_ratio": self._utd_ratio(env_steps),
                "learner/starved_s": self._starved_s,
                "replay/demos": infos[DEMOS].current_size,
                "replay/online": infos[ONLINE].current_size,
                **{LOSS_PREFIX + name: float(value) for name, value in self._info.items()},
            }
        )
        self._measured_s, self._measured_updates = now_s, critic_updates

    def _update(self, phase: Phase, batch: Batch) -> None:
        self.agent, info = phase.update(self.agent, batch.transitions)
        counted = {phase.counter: self._done(phase) + phase.stride}
        self.counters = dataclasses.replace(self.counters, **counted)
        # The update is still being computed: look at the one before, so that nothing waits.
        self._check_last()
        self._unchecked = info, batch
        schedule, updates = self._record.run.schedule, self.counters.updates
        if phase.counter == "online_updates" and self._is_due(schedule.publish_interval_updates):
            self.publish()
        if time.monotonic() - self._measured_s >= METRICS_INTERVAL_S:
            self.measure()
        before = updates - phase.stride
        interval = schedule.checkpoint_interval_updates
        if updates // interval > before // interval:
            self._check_last()
            self.save()

    def _wait_for_batch(self, sampler: BatchSampler) -> Batch | None:
        """The next batch; None when asked to stop, or when there will never be one."""
        batch = sampler.get(0.0)
        if batch is not None:
            return batch
        if self._published_updates not in (-1, self.counters.updates):
            self.publish()
        start_s = noticed_s = time.monotonic()
        while not self._stop:
            batch = sampler.get(_WAIT_S)
            now_s = time.monotonic()
            if batch is not None:
                self._starved_s += now_s - start_s
                return batch
            if now_s - noticed_s >= STARVATION_NOTICE_S:
                noticed_s = now_s
                if self._is_exhausted(sampler.waiting_for()):
                    return None
        return None

    def _is_exhausted(self, waiting_for: list[str]) -> bool:
        """Says what the loop waits for; True when no environment step is to come any more."""
        infos = table_infos(self._client)
        tables = ", ".join(f"{t} (holds {infos[t].current_size})" for t in waiting_for)
        env_steps = self._env_steps(inserted(infos[ONLINE]))
        target = self._record.run.schedule.env_steps
        is_over = env_steps >= target
        reason = (
            "all environment steps are there; samples were lost on the way, ending early"
            if is_over
            else "the actor has to act first"
        )
        print(
            f"learner: update {self.counters.updates} waits for data from {tables}: "
            f"{env_steps} of {target} environment steps so far; {reason}",
            file=sys.stderr,
            flush=True,
        )
        self.measure()
        return is_over

    def _check_last(self) -> None:
        if self._unchecked is None:
            return
        info, batch = self._unchecked
        self._unchecked = None
        self._info = {name: np.asarray(value) for name, value in info.items()}
        sources = [dataset.path for dataset in self._record.datasets]
        episodes = str(self._directory.episodes)
        check_finite(self._info, batch, self.counters.updates, sources, episodes)

    def _done(self, phase: Phase) -> int:
        return int(getattr(self.counters, phase.counter))

    def _is_due(self, interval: int) -> bool:
        return self.counters.updates - self._published_updates >= interval

    def _env_steps(self, inserted_online: int) -> int:
        return self._session.env_steps + inserted_online - self._refilled_steps

    def _all_critic_updates(self) -> int:
        """Minibatches learned from, over all sessions."""
        counters, schedule = self.counters, self._record.run.schedule
        calls = counters.offline_updates + counters.online_updates
        return counters.pretrain_updates + calls * schedule.minibatches_per_update

    def _utd_ratio(self, env_steps: int) -> float:
        schedule = self._record.run.schedule
        steps = env_steps - schedule.start_training_steps
        online = self.counters.online_updates * schedule.minibatches_per_update
        return online / steps if steps > 0 else 0.0
