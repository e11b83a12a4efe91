"""Does data from Reverb slow the learner down?

Critic updates per second while transitions arrive through a Reverb server in another process,
written by a third at the rate at which the algorithm spends them; half of every batch is
demonstrations. From state the networks are the papers' (batch 256); from pixels they are those of
the preset for two CPU cores, with two cameras of 64 x 64. The baseline is the same learner on one
fixed batch in memory. Short blocks of the one and of the other follow each other; each pair gives a
ratio. Bound: a median of at least 90 %. Run it on an otherwise idle machine.

Printed besides, as the reason for the design: the CPU time of drawing such a batch from a Reverb
table with a uniform selector, client and server together, against that of a critic update.

    python benchmarks/learner_speed.py
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from serlds.training.batch_log import BatchLog
from serlds.training.config import EncoderConfig, ReplayConfig
from serlds.training.learner_replay import LearnerReplay
from serlds.training.presets import preset
from serlds.training.replay_items import Camera, ItemLayout, LooseRow, Origin, Rows
from serlds.training.replay_loader import write_table
from serlds.training.replay_server import HOST, choose_port, start_server
from serlds.training.replay_tables import DEMOS, ONLINE, ROWS, ReplayPlan
from serlds.training.replay_writer import TransitionStream, TransitionWriter
from serlds.training.run_directory import Session
from serlds.training.stopping import StopRequest
from serlds.training.transition import Observation, Transition

BOUND = 0.90
BATCH = 256
TRANSITIONS = 5_000
NO_TABLE = -1
"""Instead of the port of a table with a uniform selector: from pixels there is none."""
STATE = ItemLayout(observation_dim=21, action_dim=7)
PIXELS = ItemLayout(13, 7, (Camera("front", 64, 64), Camera("wrist", 64, 64)))


class Case(NamedTuple):
    """An algorithm, what it sees and how much it learns of an environment step."""

    name: str
    layout: ItemLayout
    preset: str
    minibatches: int
    """Critic updates per environment step, which are also the minibatches of a call."""
    batch: int


CASES = (
    Case("sac", STATE, "paper", 1, BATCH),
    Case("rlpd", STATE, "paper", 20, BATCH),
    Case("rlpd", PIXELS, "quickstart", 1, 64),
)


def random_rows(layout: ItemLayout, count: int) -> Rows:
    """Transitions of noise, of one episode; from pixels its opening row comes first."""
    rng = np.random.default_rng(0)
    states = rng.standard_normal((count + 1, layout.observation_dim))
    transition = Transition(
        Observation(states[:-1]),
        rng.uniform(-1, 1, (count, layout.action_dim)),
        rng.random(count),
        np.ones(count),
        Observation(states[1:]),
    )
    steps = np.arange(count)
    packed = layout.pack(transition, Origin(np.zeros(count), np.zeros(count), steps))
    if not layout.cameras:
        return Rows(packed)
    frames = {c.name: rng.integers(0, 256, (count + 1, *c.shape), np.uint8) for c in layout.cameras}
    return Rows(np.concatenate([layout.opening(states[0], 0, 0), packed]), frames)


def row(rows: Rows, number: int) -> Rows:
    """One of them, and around again."""
    place = slice(number % len(rows.packed), number % len(rows.packed) + 1)
    return Rows(rows.packed[place], {name: f[place] for name, f in rows.frames.items()})


def loose_row(layout: ItemLayout, row: Rows) -> LooseRow:
    """The same as an actor sends it."""
    transition, origin = layout.unpack(row.packed[0]), layout.origin(row.packed[0])
    return LooseRow(
        transition.observation.state,
        transition.action,
        transition.reward,
        transition.discount,
        transition.next_observation.state,
        False,
        *origin,
        {name: frames[0] for name, frames in row.frames.items()},
    )


def act(address: str, layout: ItemLayout, rows_per_s: Any, uniform_port: Any) -> None:
    """In a process of its own: sends rows at a rate, and serves a table with a uniform selector."""
    import reverb

    rows = random_rows(layout, TRANSITIONS)
    if not layout.cameras:
        table = reverb.Table(
            name=DEMOS,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=TRANSITIONS,
            rate_limiter=reverb.rate_limiters.MinSize(1),
        )
        server = reverb.Server([table], port=choose_port())
        writer = TransitionWriter(reverb.Client(f"127.0.0.1:{server.port}"), DEMOS)
        for number in range(TRANSITIONS):
            writer.write(row(rows, number))
        writer.flush()
        uniform_port.value = server.port
    else:
        uniform_port.value = NO_TABLE
    stream, sent = TransitionStream(reverb.Client(address), ONLINE, layout), 0
    while True:
        time.sleep(0.005 if rows_per_s.value == 0 else 1.0 / rows_per_s.value)
        if rows_per_s.value:
            stream.write(loose_row(layout, row(rows, sent)))
            sent += 1


def new_agent(case: Case) -> Any:
    """A fresh agent with the preset's hyper-parameters; from pixels with its encoder."""
    from serlds.training.agents import create_agent

    size, shapes = case.layout.observation_dim, {c.name: c.shape for c in case.layout.cameras}
    mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
    config = preset(case.name, case.preset).agent
    if shapes:
        seeing = dataclasses.replace(config.sac, encoder=EncoderConfig(cameras=tuple(shapes)))
        config = dataclasses.replace(config, sac=seeing)
    return create_agent(config, 0, mean, std, case.layout.action_dim, shapes)


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
    case: Case, replay: LearnerReplay, rows_per_s: Any, pairs: int, block_s: float
) -> tuple[float, float]:
    """Prints both figures; returns their ratio and the CPU ms of a critic update."""
    minibatches, updates = case.minibatches, itertools.count()
    agent = new_agent(case)
    rows = {DEMOS: case.batch // 2, ONLINE: case.batch // 2}

    def from_reverb() -> Transition:
        """As the learning loop does: takes what has come, and has the next batch drawn."""
        replay.receive()
        update = next(updates)
        batch = replay.draw(rows, minibatches, (0, update)).transitions
        replay.draw_ahead(rows, minibatches, (0, update + 1))
        return batch

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
    rows_per_s.value = 0.0
    ratio = statistics.median(np.divide(streamed, in_memory))
    print(
        f"{_title(case)}, {minibatches} x {case.batch} per call: "
        f"{statistics.median(streamed):.1f} critic updates/s with {arrived:.0f} transitions/s "
        f"from Reverb, {statistics.median(in_memory):.1f} on one batch in memory: "
        f"ratio {ratio:.3f} (median of {pairs} pairs)",
        flush=True,
    )
    return ratio, cpu_ms


def _title(case: Case) -> str:
    return f"{case.name} from {'pixels' if case.layout.cameras else 'state'} ({case.preset})"


def uniform_table_cpu_ms(port: int, pid: int, batches: int = 200) -> float:
    """CPU ms of drawing a batch from a Reverb table, client and server together."""
    import reverb
    import tensorflow as tf

    dataset = reverb.TrajectoryDataset(
        f"127.0.0.1:{port}",
        DEMOS,
        dtypes={ROWS: tf.float32},
        shapes={ROWS: tf.TensorShape((1, 1, STATE.width))},
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


def serve(plan: ReplayPlan, port: Any) -> None:
    """A replay server; writes its port, and goes on until it is killed."""
    server = start_server(plan, choose_port())
    port.value = server.port
    time.sleep(1e6)


@contextlib.contextmanager
def replay_server(layout: ItemLayout, policy_size: int = 1) -> Iterator[tuple[str, Session]]:
    """A replay server in a process of its own: (address, session)."""
    capacity, cameras = ReplayConfig(20_000, 20_000), layout.cameras
    plan = ReplayPlan(layout.observation_dim, layout.action_dim, policy_size, capacity, cameras)
    spawn = multiprocessing.get_context("spawn")
    port = spawn.Value("i", 0)
    server = spawn.Process(target=serve, args=(plan, port), daemon=True)
    server.start()
    try:
        while not port.value:
            time.sleep(0.1)
        yield f"{HOST}:{port.value}", Session(plan, time.time())
    finally:
        server.kill()


def measure_cases(
    layout: ItemLayout, cases: Sequence[Case], pairs: int, block_s: float
) -> list[float]:
    """Measures cases of one layout, with a server and an actor of their own; their ratios."""
    import reverb

    spawn = multiprocessing.get_context("spawn")
    rows_per_s, port = spawn.Value("d", 0.0), spawn.Value("i", 0)
    with (
        tempfile.TemporaryDirectory() as place,
        replay_server(layout) as (address, session),
    ):
        client = reverb.Client(address)
        for table in (DEMOS, ONLINE):
            write_table(client, table, [random_rows(layout, TRANSITIONS)], layout)
        arguments = (address, layout, rows_per_s, port)
        actor = spawn.Process(target=act, args=arguments, daemon=True)
        actor.start()
        while not port.value:  # until it is there
            time.sleep(0.1)
        with (
            contextlib.closing(BatchLog(Path(place) / "batches")) as batch_log,
            contextlib.closing(LearnerReplay(client, session, batch_log)) as replay,
        ):
            replay.fill(StopRequest())
            found = {case: measure(case, replay, rows_per_s, pairs, block_s) for case in cases}
        if port.value != NO_TABLE:
            draw_ms = uniform_table_cpu_ms(port.value, actor.pid)
            for case, (_, update_ms) in found.items():
                print(
                    f"CPU time of drawing one batch from a uniform Reverb table: {draw_ms:.2f} ms, "
                    f"of a critic update of {_title(case)}: {update_ms:.2f} ms"
                )
        actor.kill()
    return [ratio for ratio, _ in found.values()]


def main() -> int:
    """Measures; returns 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each block")
    options = parser.parse_args()
    print(f"load average at the start: {psutil.getloadavg()[0]:.1f}", flush=True)
    ratios: list[float] = []
    for layout in (STATE, PIXELS):
        cases = [case for case in CASES if case.layout == layout]
        ratios += measure_cases(layout, cases, options.pairs, options.seconds)
    lowest = min(ratios)
    print(f"lowest ratio {lowest:.3f}, bound {BOUND:.2f}")
    return 0 if lowest >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
