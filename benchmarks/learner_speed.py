"""Does sampling from Reverb slow the learner down?

Critic updates per second of the paper's networks from state (batch 256) with batches that come from
a Reverb server in another process, half of each from the table `demos` and half from `online`,
against the same learner on one fixed batch in memory. Short blocks of the one and the other follow
each other in one run; each pair gives a ratio. Bound: a median of at least 90 %. The server and the
threads that read from it need a core beside the learner's: run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from serlds.training.child_process import ChildProcess
from serlds.training.config import ReplayConfig, RunConfig
from serlds.training.presets import preset
from serlds.training.replay_client import wait_for_address
from serlds.training.replay_items import ItemLayout, Origin
from serlds.training.replay_sampler import QUEUED_BATCHES, BatchSampler
from serlds.training.replay_server import choose_port
from serlds.training.replay_tables import DEMOS, ONLINE, ReplayPlan
from serlds.training.replay_writer import TransitionWriter
from serlds.training.run_directory import RunRecord, Session, TaskRecord, create_run_directory
from serlds.training.stopping import StopRequest
from serlds.training.transition import Transition

BOUND = 0.90
BATCH = 256
OBSERVATION_DIM, ACTION_DIM = 21, 7
TRANSITIONS = 5_000


def random_rows(layout: ItemLayout, count: int) -> np.ndarray:
    """Transitions of noise, (count, W)."""
    rng = np.random.default_rng(0)
    transition = Transition(
        rng.standard_normal((count, OBSERVATION_DIM)),
        rng.uniform(-1, 1, (count, ACTION_DIM)),
        rng.random(count),
        np.ones(count),
        rng.standard_normal((count, OBSERVATION_DIM)),
    )
    return layout.pack(transition, Origin(*(np.arange(count),) * 3))


def new_agent(algorithm: str):
    """A fresh agent with the paper's hyper-parameters."""
    from serlds.training.agents import create_agent

    mean, std = np.zeros(OBSERVATION_DIM, np.float32), np.ones(OBSERVATION_DIM, np.float32)
    return create_agent(preset(algorithm, "paper").agent, 0, mean, std, ACTION_DIM)


def updates_per_s(agent, next_batch, calls: int, minibatches: int) -> float:
    """Critic updates per second over so many calls of the agent."""
    import jax

    start_s = time.perf_counter()
    for _ in range(calls):
        agent, info = agent.update_utd(next_batch())
    jax.block_until_ready((agent, info))
    return calls * minibatches / (time.perf_counter() - start_s)


def measure(algorithm: str, address: str, minibatches: int, pairs: int, block_s: float) -> float:
    """Prints both figures and returns their ratio."""
    layout, agent = ItemLayout(OBSERVATION_DIM, ACTION_DIM), new_agent(algorithm)
    rows = {DEMOS: BATCH // 2, ONLINE: BATCH // 2}
    with BatchSampler(address, layout, minibatches, rows) as sampler:

        def from_reverb() -> Transition:
            batch = sampler.get(60.0)
            assert batch is not None, "the replay server gives no data"
            return batch.transitions

        fixed = from_reverb()
        updates_per_s(agent, lambda: fixed, 1, minibatches)  # compiles
        speed = updates_per_s(agent, lambda: fixed, 2, minibatches)
        calls = max(round(block_s * speed / minibatches), 2)
        in_memory, from_table = [], []
        for _ in range(pairs):
            in_memory.append(updates_per_s(agent, lambda: fixed, calls, minibatches))
            for _ in range(QUEUED_BATCHES + 1):
                from_reverb()  # what was read ahead while nobody used it
            from_table.append(updates_per_s(agent, from_reverb, calls, minibatches))
    ratio = statistics.median(np.divide(from_table, in_memory))
    print(
        f"{algorithm:5s} paper network, {minibatches:2d} minibatches of {BATCH} per call: "
        f"{statistics.median(from_table):6.1f} critic updates/s from Reverb, "
        f"{statistics.median(in_memory):6.1f} from memory (median of {pairs}), "
        f"ratio {ratio:.3f} (median of the pairs)",
        flush=True,
    )
    return ratio


def main() -> int:
    """Measures; returns 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block")
    options = parser.parse_args()
    layout = ItemLayout(OBSERVATION_DIM, ACTION_DIM)
    with tempfile.TemporaryDirectory() as place:
        run = RunConfig("sac", preset("sac").agent, "none")
        record = RunRecord(run, TaskRecord((), OBSERVATION_DIM, ACTION_DIM))
        directory = create_run_directory(Path(place) / "run", record)
        plan = ReplayPlan(OBSERVATION_DIM, ACTION_DIM, 1, ReplayConfig(), 0, 0)
        directory.write_session(Session(plan, time.time()))
        server = ChildProcess(
            "replay server",
            "serlds.training.replay_server",
            [str(directory.path), "--port", str(choose_port())],
            directory.log("replay"),
            {"OMP_NUM_THREADS": "1"},
        )
        try:
            address = wait_for_address(directory, StopRequest())
            import reverb

            for table in (DEMOS, ONLINE):
                writer = TransitionWriter(reverb.Client(address), table)
                for row in random_rows(layout, TRANSITIONS):
                    writer.write(row)
                writer.flush()
            print(f"load average at the start {psutil.getloadavg()[0]:.1f}", flush=True)
            ratios = [
                measure("rlpd", address, 20, options.pairs, options.seconds),
                measure("sac", address, 1, options.pairs, options.seconds),
            ]
        finally:
            server.stop(10.0)
    print(f"lowest ratio {min(ratios):.3f}, bound {BOUND:.2f}")
    return 0 if min(ratios) >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
