"""The learner's process: `python -m serlds.training.learner RUN`."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .batch_log import BatchLog
from .checkpoints import LearnerCounters, find_checkpoint, read_counters, restore_agent
from .config import RLPDConfig, RunConfig
from .devices import Devices
from .learner_replay import LearnerReplay
from .learning_loop import ONLINE_UPDATES, Info, LearningLoop, Phase
from .metrics import MetricsLog
from .process_main import run_here, run_process
from .replay_client import ReplayUnreachableError, check_address, connected, wait_for_address
from .replay_tables import DEMOS, ONLINE, demo_rows, online_rows, online_updates
from .run_directory import RunDirectory, RunRecord, Session, check_version
from .session import claim_session
from .stopping import StopRequest
from .transition import Transition
from .xla_runtime import choose_cpu_runtime

if TYPE_CHECKING:
    from .agents import Agent

PRETRAIN_MINIBATCHES = 10
"""Pre-training updates made in one call, where their number can be divided by it."""


def learn(directory: RunDirectory, stop: StopRequest, address: str = "") -> None:
    """Learns until the run's schedule is done or the stop is requested.

    Args:
        directory: The run.
        stop: Ends learning after the update in progress, with a checkpoint.
        address: `host:port` of the replay server; by default the run's own.

    Raises:
        SerldsError: Diverged, replay unreachable, a damaged dataset or checkpoint, a full disk.
    """
    record = directory.read_record()
    choose_cpu_runtime(record.run.agent)
    _use_compilation_cache()
    address = address or wait_for_address(directory, stop)
    if stop:
        return
    session = directory.read_session()
    check_version(session)
    client = connected(address, stop)
    if stop:
        return
    log = MetricsLog(directory.metrics("learner"), directory.tensorboard / "learner")
    devices = Devices.of_this_machine(record.run.schedule.batch_size)
    with (
        log as metrics,
        contextlib.closing(BatchLog(directory.batches, session.episodes)) as batch_log,
        contextlib.closing(
            LearnerReplay(client, session, batch_log, bool(demo_rows(record.run)))
        ) as replay,
    ):
        replay.fill(stop)
        if stop:
            return
        agent, counters = _begin(directory, record, session, replay)
        loop = LearningLoop(
            devices.replicate(agent),
            counters,
            client,
            replay,
            directory,
            record,
            session,
            metrics,
            batch_log,
            devices,
            stop,
        )
        try:
            _run_phases(loop, record.run, stop)
            if not stop:
                loop.publish(is_final=True)
                loop.measure()
        except ReplayUnreachableError:
            loop.save()
            raise
        loop.save()
    print(f"learner: {loop.counters.updates} updates done", file=sys.stderr, flush=True)


def _begin(
    directory: RunDirectory, record: RunRecord, session: Session, replay: LearnerReplay
) -> tuple[Agent, LearnerCounters]:
    """The agent and counters of the session's checkpoint, or fresh ones."""
    from .agents import create_agent

    mean, std = replay.observation_statistics()
    agent: Agent = create_agent(
        record.run.agent,
        record.run.seed,
        mean,
        std,
        record.task.action_dim,
        record.task.image_shapes,
        record.division,
    )
    if not session.checkpoint:
        return agent, LearnerCounters()
    checkpoint = find_checkpoint(directory.checkpoints, session.checkpoint)
    return restore_agent(checkpoint, agent), read_counters(checkpoint)


def _run_phases(loop: LearningLoop, config: RunConfig, stop: StopRequest) -> None:
    for phase in offline_phases(config):
        loop.run(phase)
    online = online_phase(config)
    if online is not None and not stop:
        loop.publish()
        loop.run(online)


def offline_phases(config: RunConfig) -> list[Phase]:
    """What is learned before the first environment step."""
    schedule, phases = config.schedule, []
    rows = {DEMOS: schedule.batch_size}
    if isinstance(config.agent, RLPDConfig) and config.agent.bc_pretrain_updates:
        target = config.agent.bc_pretrain_updates
        stride = math.gcd(target, PRETRAIN_MINIBATCHES)
        phases.append(Phase("pretrain_updates", target, stride, stride, rows, _pretrain))
    if schedule.offline_updates:
        u = schedule.minibatches_per_update
        phases.append(Phase("offline_updates", schedule.offline_updates, 1, u, rows, _update))
    return phases


def online_phase(config: RunConfig) -> Phase | None:
    """What environment steps pay for; None for an offline algorithm."""
    target = online_updates(config)
    if target == 0:
        return None
    rows = {DEMOS: demo_rows(config), ONLINE: online_rows(config)}
    minibatches = config.schedule.minibatches_per_update
    return Phase(ONLINE_UPDATES, target, 1, minibatches, rows, _update)


def _pretrain(agent: Any, batches: Transition) -> tuple[Any, Info]:
    return agent.pretrain(batches)


def _update(agent: Any, batches: Transition) -> tuple[Any, Info]:
    return agent.update_utd(batches)


def claim_and_learn(directory: RunDirectory, stop: StopRequest, address: str = "") -> None:
    """Learns as the only learner of a session of its own; see `claim_session`.

    Args:
        directory, stop, address: As of `learn`.

    Raises:
        UsageError: The run has a learner already.
        SerldsError: As `learn` raises it.
    """
    lock = directory.learner_lock()
    try:
        claim_session(directory, stop)
        learn(directory, stop, address)
    finally:
        lock.release()


def _use_compilation_cache() -> None:
    """Keeps compiled updates between runs: compiling is most of a short run's start."""
    import jax

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(Path(home) / "serlds" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def learn_here(run: Path, address: str) -> NoReturn:
    """What `serlds learner` does; see there."""
    check_address(address)
    run_here(lambda directory, _, stop: claim_and_learn(directory, stop, address), run)


def main() -> None:
    """Runs the process."""
    parser = argparse.ArgumentParser(description="learner of a run")
    parser.add_argument("--replay", default="", help="host:port of the replay server")
    run_process(parser, lambda run, options, stop: claim_and_learn(run, stop, options.replay))


if __name__ == "__main__":
    main()
