"""Does data from Reverb slow the learner down?

Critic updates per second of the papers' networks from state (batch 256) while transitions arrive
through a Reverb server in another process, written by a third at the rate at which the algorithm
spends them; half of every batch is demonstrations. The baseline is the same learner on one fixed
batch in memory. Short blocks of the one and of the other follow each other; each pair gives a
ratio. Bound: a median of at least 90 %. Run it on an otherwise idle machine.

Printed besides, as the reason for the design: the CPU time of drawing such a batch from a Reverb
table with a uniform selector, client and server together, against that of a critic update.

    python benchmarks/learner_speed.py
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serlds.training.child_process import ChildProcess
from serlds.training.config import ReplayConfig, RunConfig
from serlds.training.learner_replay import LearnerReplay
from serlds.training.presets import preset
from serlds.training.replay_client import wait_for_address
from serlds.training.replay_items import ItemLayout, Origin
from serlds.training.replay_loader import write_table
from serlds.training.replay_server import choose_port
from serlds.training.replay_tables import DEMOS, ONLINE, ROWS, ReplayPlan
from serlds.training.replay_writer import TransitionStream, TransitionWriter
from serlds.training.run_directory import RunRecord, Session, TaskRecord, create_run_directory
from serlds.training.stopping import StopRequest
from serlds.training.transition import Transition

BOUND = 0.90
BATCH = 256
LAYOUT = ItemLayout(observation_dim=21, action_dim=7)
TRANSITIONS = 5_000
PAPERS = {"sac": 1, "rlpd": 20}
"""Critic updates per environment step of each paper, which are also the minibatches of a call."""


def random_rows(count: int) -> np.ndarray:
    """Transitions of noise, (count, W)."""
    rng = np.random.default_rng(0)
    transition = Transition(
        rng.standard_normal((count, LAYOUT.observation_dim)),
        rng.uniform(-1, 1, (count, LAYOUT.action_dim)),
        rng.random(count),
        np.ones(count),
        rng.standard_normal((count, LAYOUT.observation_dim)),
    )
    return LAYOUT.pack(transition, Origin(*(np.arange(count),) * 3))


def act(address: str, rows_per_s: Any, uniform_port: Any) -> None:
    """In a process of its own: sends rows at a rate, and serves a table with a uniform selector."""
    import reverb

    table = reverb.Table(
        name=DEMOS,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=TRANSITIONS,
        rate_limiter=reverb.rate_limiters.MinSize(1),
    )
    server = reverb.Server([table], port=choose_port())
    rows = random_rows(TRANSITIONS)
    writer = TransitionWriter(reverb.Client(f"127.0.0.1:{server.port}"), DEMOS)
    for row in rows:
        writer.write(row[None])
    writer.flush()
    uniform_port.value = server.port
    stream, sent = TransitionStream(reverb.Client(address), ONLINE), 0
    while True:
        time.sleep(0.005 if rows_per_s.value == 0 else 1.0 / rows_per_s.value)
        if rows_per_s.value:
            stream.write(rows[sent % TRANSITIONS][None])
            sent += 1


def new_agent(algorithm: str) -> Any:
    """A fresh agent with the paper's hyper-parameters."""
    from serlds.training.agents import create_agent

    size = LAYOUT.observation_dim
    mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
    return create_agent(preset(algorithm, "paper").agent, 0, mean, std, LAYOUT.action_dim)


def updates_per_s(
    agent: Any, next_batch: Callable[[], Transition], calls: int, minibatches: int
) -> float:
    """Critic updates per second over so many calls of the agent."""
    import jax

    start_s = time.perf_counter()
    for _ in range(calls):
        agent, info = agent.update_utd(next_batch())
    jax.block_until_ready((agent, info))
    return calls * minibatches / (time.perf_counter() - start_s)


def measure(
    algorithm: str, replay: LearnerReplay, rows_per_s: Any, pairs: int, block_s: float
) -> tuple[float, float]:
    """Prints both figures; returns their ratio and the CPU ms of a critic update."""
    minibatches, rng = PAPERS[algorithm], np.random.default_rng(0)
    agent = new_agent(algorithm)
    rows = {DEMOS: BATCH // 2, ONLINE: BATCH // 2}

    def from_reverb() -> Transition:
        replay.receive()
        return replay.draw(rows, minibatches, rng).transitions

    fixed = from_reverb()
    updates_per_s(agent, lambda: fixed, 1, minibatches)  # compiles
    cpu_s = time.process_time()
    speed = updates_per_s(agent, lambda: fixed, 3, minibatches)
    cpu_ms = 1e3 * (time.process_time() - cpu_s) / (3 * minibatches)
    calls = max(round(block_s * speed / minibatches), 2)
    in_memory, streamed = [], []
    for _ in range(pairs):
        rows_per_s.value = 0.0
        time.sleep(0.05)
        in_memory.append(updates_per_s(agent, lambda: fixed, calls, minibatches))
        rows_per_s.value = in_memory[-1] / minibatches
        before, start_s = replay.env_steps, time.perf_counter()
        streamed.append(updates_per_s(agent, from_reverb, calls, minibatches))
        arrived = (replay.env_steps - before) / (time.perf_counter() - start_s)
    ratio = statistics.median(np.divide(streamed, in_memory))
    print(
        f"{algorithm:4s} paper network, {minibatches} x {BATCH} per call: "
        f"{statistics.median(streamed):.1f} critic updates/s with {arrived:.0f} transitions/s "
        f"from Reverb, {statistics.median(in_memory):.1f} on one batch in memory: "
        f"ratio {ratio:.3f} (median of {pairs} pairs)",
        flush=True,
    )
    return ratio, cpu_ms


def uniform_table_cpu_ms(port: int, pid: int, batches: int = 200) -> float:
    """CPU ms of drawing a batch from a Reverb table, client and server together."""
    import reverb
    import tensorflow as tf

    dataset = reverb.TrajectoryDataset(
        f"127.0.0.1:{port}",
        DEMOS,
        dtypes={ROWS: tf.float32},
        shapes={ROWS: tf.TensorShape((1, 1, LAYOUT.width))},
        max_in_flight_samples_per_worker=2 * BATCH,
        num_workers_per_iterator=1,
    )
    iterator = iter(dataset.batch(BATCH).as_numpy_iterator())
    next(iterator)

    def cpu_s() -> float:
        times = psutil.Process(pid).cpu_times()
        return time.process_time() + times.user + times.system

    start_s = cpu_s()
    for _ in range(batches):
        next(iterator)
    return 1e3 * (cpu_s() - start_s) / batches


@contextlib.contextmanager
def replay_server(place: Path) -> Iterator[tuple[str, Session]]:
    """A replay server in a process of its own: (address, session)."""
    run = RunConfig("sac", preset("sac").agent, "none")
    task = TaskRecord((), LAYOUT.observation_dim, LAYOUT.action_dim)
    directory = create_run_directory(place / "run", RunRecord(run, task))
    plan = ReplayPlan(LAYOUT.observation_dim, LAYOUT.action_dim, 1, ReplayConfig())
    session = Session(plan, time.time())
    directory.write_session(session)
    server = ChildProcess(
        "replay server",
        "serlds.training.replay_server",
        [str(directory.path), "--port", str(choose_port())],
        directory.log("replay"),
        {"OMP_NUM_THREADS": "1"},
    )
    try:
        yield wait_for_address(directory, StopRequest()), session
    finally:
        server.stop(10.0)


def main() -> int:
    """Measures; returns 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    rows_per_s, port = spawn.Value("d", 0.0), spawn.Value("i", 0)
    with tempfile.TemporaryDirectory() as place, replay_server(Path(place)) as (address, session):
        import reverb

        client = reverb.Client(address)
        for table in (DEMOS, ONLINE):
            write_table(client, table, [random_rows(TRANSITIONS)])
        actor = spawn.Process(target=act, args=(address, rows_per_s, port), daemon=True)
        actor.start()
        with contextlib.closing(LearnerReplay(client, session)) as replay:
            replay.fill(StopRequest())
            while not port.value:
                time.sleep(0.1)
            print(f"load average at the start: {psutil.getloadavg()[0]:.1f}", flush=True)
            found = {
                name: measure(name, replay, rows_per_s, options.pairs, options.seconds)
                for name in PAPERS
            }
        draw_ms = uniform_table_cpu_ms(port.value, actor.pid)
        actor.kill()
    for name, (_, update_ms) in found.items():
        print(
            f"CPU time of drawing one batch from a uniform Reverb table: {draw_ms:.2f} ms, of a "
            f"critic update of {name}: {update_ms:.2f} ms"
        )
    lowest = min(ratio for ratio, _ in found.values())
    print(f"lowest ratio {lowest:.3f}, bound {BOUND:.2f}")
    return 0 if lowest >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
