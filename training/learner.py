"""The learner's process: `python -m serlds.training.learner RUN`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.reading import open_dataset
from .checkpoints import LearnerCounters, find_checkpoint, read_counters, restore_agent
from .config import RLPDConfig, RunConfig
from .learning_loop import Info, LearningLoop, Phase
from .metrics import MetricsLog
from .process_main import run_process
from .replay_client import ReplayUnreachableError, wait_for_address
from .replay_items import ONLINE_SOURCE
from .replay_loader import load_table, numbered_episodes, observation_statistics
from .replay_tables import DEMOS, ONLINE, demo_rows, online_rows, online_updates
from .run_directory import RunDirectory, RunRecord, Session
from .run_preparation import open_demos
from .stopping import StopRequest
from .transition import Transition

if TYPE_CHECKING:
    import reverb

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
    _use_compilation_cache()
    import reverb

    record, session = directory.read_record(), directory.read_session()
    address = address or wait_for_address(directory, stop)
    if stop:
        return
    client = reverb.Client(address)
    agent = _make_agent(record, *_fill_tables(client, directory, record, session))
    counters = LearnerCounters()
    if session.checkpoint:
        checkpoint = find_checkpoint(directory.checkpoints, session.checkpoint)
        agent, counters = restore_agent(checkpoint, agent), read_counters(checkpoint)
    with MetricsLog(directory.metrics("learner"), directory.tensorboard / "learner") as metrics:
        loop = LearningLoop(agent, counters, client, directory, record, session, metrics, stop)
        try:
            _run_phases(loop, record.run, stop)
        except ReplayUnreachableError:
            loop.save()
            raise
        if not stop:
            loop.publish(is_final=True)
            loop.measure()
        loop.save()
    print(f"learner: {loop.counters.updates} updates done", file=sys.stderr, flush=True)


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
    return Phase("online_updates", target, 1, minibatches, rows, _update)


def _pretrain(agent: Any, batches: Transition) -> tuple[Any, Info]:
    return agent.pretrain(batches)


def _update(agent: Any, batches: Transition) -> tuple[Any, Info]:
    return agent.update_utd(batches)


def _fill_tables(
    client: reverb.Client, directory: RunDirectory, record: RunRecord, session: Session
) -> tuple[np.ndarray, np.ndarray]:
    """Fills the tables from the RLDS log; returns mean and deviation of the observations."""
    fields, layout = record.task.state_fields, session.replay.layout
    mean = np.zeros(record.task.observation_dim, np.float32)
    std = np.ones(record.task.observation_dim, np.float32)
    demos = open_demos([dataset.path for dataset in record.datasets])
    if demos:
        load_table(client, DEMOS, numbered_episodes(demos), fields, layout)
        mean, std = observation_statistics(demos, fields)
    if session.env_steps:
        episodes = numbered_episodes([open_dataset(directory.episodes)], ONLINE_SOURCE)
        newest = record.run.replay.online_capacity
        load_table(client, ONLINE, episodes, fields, layout, newest)
    return mean, std


def _make_agent(record: RunRecord, mean: np.ndarray, std: np.ndarray) -> Agent:
    from .agents import create_agent

    return create_agent(record.run.agent, record.run.seed, mean, std, record.task.action_dim)


def _use_compilation_cache() -> None:
    """Keeps compiled updates between runs: compiling is most of a short run's start."""
    import jax

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(Path(home) / "serlds" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def main() -> None:
    """Runs the process."""
    parser = argparse.ArgumentParser(description="learner of a run")
    parser.add_argument("--replay", default="", help="host:port of the replay server")
    run_process(parser, lambda run, options, stop: learn(run, stop, options.replay))


if __name__ == "__main__":
    main()
