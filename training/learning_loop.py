"""The learner's loop: draw a batch, update, publish, checkpoint, measure.

A run has up to three phases, each of a fixed number of updates: `pretrain` (behaviour cloning of an
RLPD actor), `offline` (updates from demonstrations alone), `online` (updates that environment steps
pay for). The online phase makes no update before enough steps have arrived for it.

The loop publishes the policy at a fixed number of updates and, so that no actor ever waits for
progress that has been made already, also before it waits for environment steps itself.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .batch_log import BatchLog
from .checkpoints import LearnerCounters, save_checkpoint
from .devices import Devices
from .divergence import check_finite
from .learner_replay import LearnerReplay
from .metrics import ENV_STEPS, LOSS_PREFIX, WALL_S, MetricsLog
from .replay_items import ONLINE_SOURCE
from .replay_memory import Batch
from .replay_tables import DEMOS, ONLINE, updates_paid_for
from .run_directory import RunDirectory, RunRecord, Session
from .stopping import StopRequest
from .transition import Transition
from .weights import WeightsPublisher, run_identity

if TYPE_CHECKING:
    import reverb

    from .agents import Agent

ONLINE_UPDATES = "online_updates"
"""The counter of the phase that environment steps pay for."""
METRICS_INTERVAL_S = 2.0
STARVATION_NOTICE_S = 10.0
_SHORT_WAIT_S = 0.02
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
        replay: LearnerReplay,
        directory: RunDirectory,
        record: RunRecord,
        session: Session,
        metrics: MetricsLog,
        batch_log: BatchLog,
        devices: Devices,
        stop: StopRequest,
    ) -> None:
        """Takes over an agent and where it stands.

        Args:
            agent: Fresh, or restored from the session's checkpoint.
            counters: What it has learned so far.
            client: Connected to the replay server.
            replay: What has arrived from it, filled.
            directory: The run.
            record: Its record.
            session: Its present session.
            metrics: Where to write metrics.
            batch_log: What `replay` writes; made durable with each checkpoint.
            devices: Where the agent is.
            stop: Ends the phase in progress.
        """
        self.agent = agent
        self.counters = counters
        self._replay = replay
        self._directory = directory
        self._record = record
        self._session = session
        self._metrics = metrics
        self._batch_log = batch_log
        self._devices = devices
        self._stop = stop
        self._publisher = WeightsPublisher(client, stop, run_identity(record))
        self._published_updates = -1
        self._unchecked: tuple[int, Info, Batch] | None = None
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
        while self._done(phase) < phase.target and not self._stop:
            if phase.counter == ONLINE_UPDATES and not self._wait_for_steps():
                break
            self._update(phase, self._replay.draw(*self._request(phase)))
        self._check_last()

    def publish(self, is_final: bool = False, is_starved: bool = False) -> None:
        """Publishes the policy as it is now, and how far the learner is; raises as `run`."""
        self._check_last()
        schedule = self._record.run.schedule
        online = self.counters.online_updates
        self._publisher.publish(
            np.asarray(self.agent.packed_policy()),
            np.asarray(self.agent.packed_evaluation_policy()),
            updates=self.counters.updates,
            learned_steps=schedule.start_training_steps + online * schedule.env_steps_per_update,
            is_final=is_final,
            env_steps=self._replay.env_steps,
            received=self._replay.received,
            is_starved=is_starved,
        )
        self._published_updates = self.counters.updates

    def save(self) -> None:
        """Writes a checkpoint, and before it what its updates learned from; raises as `run`."""
        self._check_last()
        self._batch_log.sync()
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
        now_s, env_steps = time.monotonic(), self._replay.env_steps
        elapsed_s = max(now_s - self._measured_s, 1e-9)
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
                "replay/demos": self._replay.size(DEMOS),
                "replay/online": self._replay.size(ONLINE),
                **{LOSS_PREFIX + name: float(value) for name, value in self._info.items()},
            }
        )
        self._measured_s, self._measured_updates = now_s, critic_updates

    def _update(self, phase: Phase, batch: Batch) -> None:
        self.agent, info = phase.update(self.agent, self._devices.split(batch.transitions))
        counted = {phase.counter: self._done(phase) + phase.stride}
        self.counters = dataclasses.replace(self.counters, **counted)
        # The update is still being computed: draw the next batch and look at the update before.
        self._draw_ahead(phase)
        self._check_last()
        schedule, updates = self._record.run.schedule, self.counters.updates
        self._unchecked = updates, info, batch
        if phase.counter == ONLINE_UPDATES and self._is_due(schedule.publish_interval_updates):
            self.publish()
        if time.monotonic() - self._measured_s >= METRICS_INTERVAL_S:
            self.measure()
        before = updates - phase.stride
        interval = schedule.checkpoint_interval_updates
        if updates // interval > before // interval:
            self.save()

    def _request(self, phase: Phase) -> tuple[dict[str, int], int, tuple[int, int]]:
        """What to draw for the next update: by its number alone, so that a resumed run, given the
        same replay, draws what an uninterrupted one would have."""
        return phase.rows, phase.minibatches, (self._record.run.seed, self.counters.updates)

    def _draw_ahead(self, phase: Phase) -> None:
        """Begins to draw the next update's batch when it is certain to be made.

        Online it so holds at least the steps that pay for it, and all that had arrived by now.
        """
        if self._stop or self._done(phase) >= phase.target:
            return
        if phase.counter == ONLINE_UPDATES:
            self._replay.receive()
            if not self._is_paid_for():
                return
        self._replay.draw_ahead(*self._request(phase))

    def _wait_for_steps(self) -> bool:
        """Waits for the environment steps of the next update; False when asked to stop."""
        self._replay.receive()
        if self._is_paid_for():
            return True
        start_s = noticed_s = time.monotonic()
        if self._replay.receive(_SHORT_WAIT_S) and self._is_paid_for():
            return True
        if self._published_updates != self.counters.updates:
            self.publish()
        while not self._stop:
            if self._replay.receive(_WAIT_S):
                noticed_s = time.monotonic()
                if self._is_paid_for():
                    self._starved_s += time.monotonic() - start_s
                    return True
                self.publish()  # what has arrived, so that the actors know what is still missing
            if time.monotonic() - noticed_s >= STARVATION_NOTICE_S:
                noticed_s = time.monotonic()
                self._report_starvation()
                self._replay.write_off_lost()
                # Actors that believed that enough was under way act on.
                self.publish(is_starved=True)
        return False

    def _is_paid_for(self) -> bool:
        paid = updates_paid_for(self._record.run.schedule, self._replay.env_steps)
        return self.counters.online_updates < paid

    def _report_starvation(self) -> None:
        target = self._record.run.schedule.env_steps
        print(
            f"learner: update {self.counters.updates} waits for the actor: table {ONLINE!r} gave "
            f"{self._replay.env_steps} of {target} environment steps so far, and the next update "
            f"needs more; see {self._directory.log('actor')} for what the actor does",
            file=sys.stderr,
            flush=True,
        )
        self.measure()

    def _check_last(self) -> None:
        if self._unchecked is None:
            return
        update, info, batch = self._unchecked
        self._unchecked = None
        self._info = {name: np.asarray(value) for name, value in info.items()}
        sources = [dataset.path for dataset in self._record.datasets]
        check_finite(self._info, batch, update, sources, self._log_of)

    def _log_of(self, source: int) -> str:
        return str(self._directory.episodes_of(ONLINE_SOURCE - source))

    def _done(self, phase: Phase) -> int:
        return int(getattr(self.counters, phase.counter))

    def _is_due(self, interval: int) -> bool:
        return self.counters.updates - self._published_updates >= interval

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
