"""What does replay cost as it grows?

Time of drawing a batch of 256 from the learner's memory, from 10^4 to 10^6 steps from state and, as
far as the free memory allows, from pixels (two cameras of 64 x 64). The time must stay flat: the
bound is that the largest replay takes at most twice as long as the smallest; what is left of
growth is that a larger replay fits the processor's caches less well.

Also printed: bytes of a stored pixel step, measured as the growth of the process, against the
observation and next observation stored raw beside each other. Bound: at most 0.52, for episodes of
50 steps: the frames alone are 51 of 100.

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

from serlds.training.replay_budget import free_memory_bytes, step_bytes
from serlds.training.replay_items import PROVENANCE, Camera, ItemLayout, Origin, Rows
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.transition import Observation, Transition

BATCH = 256
EPISODE = 50
STATE = ItemLayout(observation_dim=21, action_dim=7)
PIXELS = ItemLayout(13, 7, (Camera("front", 64, 64), Camera("wrist", 64, 64)))
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
LARGEST_SHARE = 0.6
"""Of the free memory, for the largest replay from pixels."""
FLAT_BOUND = 2.0
BYTES_BOUND = 0.52


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
    frames = layout.row_bytes - 4 * layout.width
    raw = 2 * frames + 4 * (layout.width - PROVENANCE)
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
    print(f"bytes of a pixel step over both observations raw: {share:.3f}, bound {BYTES_BOUND}")
    ok = max(state_growth, pixel_growth) <= FLAT_BOUND and share <= BYTES_BOUND
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
