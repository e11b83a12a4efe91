"""What does replay cost as it grows?

Time of drawing a batch of 256 from the learner's memory, from 10^4 to 10^6 steps from state and, as
far as the free memory allows, from pixels (two cameras of 64 x 64). The time must stay flat: the
bound is that the largest replay takes at most twice as long as the smallest; what is left of
growth is that a larger replay fits the processor's caches less well.

Also printed: bytes of a stored pixel step against the observation and next observation raw beside
each other, measured as the growth of the process that stores it. On the replay server, frames of
PickCube: at most half. In the learner's memory, where frames are raw so that they are drawn at
once: the frames alone are 51 of 100 in episodes of 50 steps; at most 0.52.

    python benchmarks/replay_scale.py
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time

import numpy as np
import psutil

from serlds.envs.tasks import make_env
from serlds.training.config import ReplayConfig
from serlds.training.replay_budget import free_memory_bytes, step_bytes
from serlds.training.replay_items import PROVENANCE, Camera, ItemLayout, Origin, Rows
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.replay_server import choose_port, start_server
from serlds.training.replay_tables import ONLINE, ReplayPlan
from serlds.training.replay_writer import TransitionWriter
from serlds.training.transition import Observation, Transition

BATCH = 256
EPISODE = 50
STATE = ItemLayout(observation_dim=21, action_dim=7)
PIXELS = ItemLayout(13, 7, (Camera("front", 64, 64), Camera("wrist", 64, 64)))
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
LARGEST_SHARE = 0.6
"""Of the free memory, for the largest replay from pixels."""
FLAT_BOUND = 2.0
MEMORY_BOUND = 0.52
TABLE_BOUND = 0.5
TABLE_EPISODES = 60
ITEM_ROWS = 32


def episode(layout: ItemLayout, ordinal: int, rng: np.random.Generator) -> Rows:
    """An episode of noise."""
    states = rng.standard_normal((EPISODE + 1, layout.observation_dim), dtype=np.float32)
    transition = Transition(
        Observation(states[:-1]),
        rng.uniform(-1, 1, (EPISODE, layout.action_dim)),
        np.zeros(EPISODE),
        np.ones(EPISODE),
        Observation(states[1:]),
    )
    steps = np.arange(EPISODE)
    origin = Origin(np.full(EPISODE, -1), np.full(EPISODE, ordinal), steps)
    packed = layout.pack(transition, origin)
    if not layout.cameras:
        return Rows(packed)
    frames = {
        c.name: rng.integers(0, 256, (EPISODE + 1, *c.shape), np.uint8) for c in layout.cameras
    }
    return Rows(np.concatenate([layout.opening(states[0], -1, ordinal), packed]), frames)


def filled(layout: ItemLayout, transitions: int) -> ReplayMemory:
    """A memory of so many transitions."""
    episodes = transitions // EPISODE
    opening = episodes if layout.cameras else 0
    memory, rng = ReplayMemory(transitions + opening, layout), np.random.default_rng(0)
    first = episode(layout, 0, rng)
    for ordinal in range(episodes):
        # The same content each time, another episode: making noise would take most of the time.
        first.packed[:, -2] = ordinal
        memory.add(first)
    return memory


def raw_bytes(layout: ItemLayout) -> int:
    """A step with both observations, as it comes from the environment."""
    frames = layout.row_bytes - 4 * layout.width
    return 2 * frames + 4 * (layout.width - PROVENANCE)


def filmed(layout: ItemLayout, episodes: int) -> list[dict[str, np.ndarray]]:
    """The frames of PickCube under random actions, by camera, (51, H, W, 3) of each episode."""
    names = [camera.name for camera in layout.cameras]
    env = make_env("serlds/WidowXPickCube-v0", cameras=names, image_size=layout.cameras[0].height)
    found = []
    for seed in range(episodes):
        env.action_space.seed(seed)
        frames = [env.reset(seed=seed)[0]["image"]]
        frames += [env.step(env.action_space.sample())[0]["image"] for _ in range(EPISODE)]
        found.append({name: np.stack([frame[name] for frame in frames]) for name in names})
    env.close()
    return found


def share_in_table(layout: ItemLayout) -> float:
    """Bytes of a step in a table of the replay server, over the step raw."""
    import reverb

    episodes = filmed(layout, TABLE_EPISODES)
    rows = TABLE_EPISODES * (EPISODE + 1)
    plan = ReplayPlan(
        layout.observation_dim, layout.action_dim, 1, ReplayConfig(rows, 1), layout.cameras
    )
    server = start_server(plan, choose_port())
    writer = TransitionWriter(reverb.Client(f"localhost:{server.port}"), ONLINE)
    rng = np.random.default_rng(0)
    packed = [episode(layout, ordinal, rng).packed for ordinal in range(TABLE_EPISODES)]
    frames = {name: np.concatenate([episode[name] for episode in episodes]) for name in episodes[0]}
    every = Rows(np.concatenate(packed), frames)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for begin in range(0, rows - ITEM_ROWS + 1, ITEM_ROWS):
        part = slice(begin, begin + ITEM_ROWS)
        writer.write(Rows(every.packed[part], {c: f[part] for c, f in every.frames.items()}))
    writer.flush()
    grown = psutil.Process().memory_info().rss - before
    writer.close()
    server.stop()
    return grown / (TABLE_EPISODES * EPISODE) / raw_bytes(layout)


def draw_ms(layout: ItemLayout, memory: ReplayMemory, draws: int) -> float:
    """Median wall time of drawing a batch."""
    rng, times = np.random.default_rng(0), []
    for _ in range(draws + 5):
        start_s = time.perf_counter()
        draw_batch({"online": memory}, {"online": BATCH}, 1, layout, rng)
        times.append(1e3 * (time.perf_counter() - start_s))
    return statistics.median(times[5:])


def measure(name: str, layout: ItemLayout, sizes: list[int], draws: int) -> tuple[float, float]:
    """Prints a curve; returns the last time over the first, and bytes of a step over raw."""
    found, share = [], 0.0
    raw = raw_bytes(layout)
    for size in sizes:
        gc.collect()
        before = psutil.Process().memory_info().rss
        memory = filled(layout, size)
        each = (psutil.Process().memory_info().rss - before) / size
        share = each / raw
        found.append(draw_ms(layout, memory, draws))
        print(
            f"{name}: {size:9,d} transitions, {each:9,.0f} bytes each "
            f"({size * each / 1e9:5.2f} GB), a batch of {BATCH} in {found[-1]:6.2f} ms",
            flush=True,
        )
        del memory
    return found[-1] / found[0], share


def main() -> int:
    """Measures; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    room = LARGEST_SHARE * free_memory_bytes() / step_bytes(PIXELS)
    pixels = [size for size in SIZES if size < room]
    state_growth, _ = measure("state ", STATE, list(SIZES), options.draws)
    pixel_growth, share = measure("pixels", PIXELS, pixels, options.draws // 4)
    print(
        f"time of the largest over the smallest: state {state_growth:.2f}, pixels "
        f"{pixel_growth:.2f}, bound {FLAT_BOUND}"
    )
    table = share_in_table(PIXELS)
    print(
        f"bytes of a pixel step over both observations raw: on the replay server {table:.3f}, "
        f"bound {TABLE_BOUND}; in the learner's memory {share:.3f}, bound {MEMORY_BOUND}"
    )
    kept = share <= MEMORY_BOUND and table <= TABLE_BOUND
    return 0 if kept and max(state_growth, pixel_growth) <= FLAT_BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
