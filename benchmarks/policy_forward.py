"""One action by NumPy, as an actor takes it, against the same network jitted by jax.

From the state alone and from one camera with each encoder. Prints CPU time per action and the
ratio; exits 1 when NumPy misses its bound from the state: from images jax has the better
convolutions, and an actor does without it for other reasons (start-up, memory, what it installs).
"""

from __future__ import annotations

import os

# BLAS reads this when NumPy loads; threads only cost time on matrices this small.
os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from serlds.training.agents import SACAgent, create_agent
from serlds.training.agents.sac import policy_network
from serlds.training.config import EncoderConfig, SACConfig
from serlds.training.policy import PackedPolicy, policy_spec
from serlds.training.transition import Observation

STATE_DIM, ACTION_DIM = 21, 7
REPETITIONS, REPETITION_S = 9, 0.05
BOUND = 1.5
"""The least that the time by jax must be from the state, in times by NumPy."""
CASES = [None, *((kind, side) for kind in ("light", "small", "resnet10") for side in (64, 128))]


def main() -> int:
    """Measures all cases; judges the first, from the state."""
    ratios = [measure(case) for case in CASES]
    print(f"from the state: ratio {ratios[0]:.2f} (bound: at least {BOUND})")
    return 0 if ratios[0] >= BOUND else 1


def measure(case: tuple[str, int] | None) -> float:
    """Times both, interleaved; prints medians and returns the time by jax in times by NumPy."""
    config, shapes, rng = SACConfig(), {}, np.random.default_rng(0)
    if case is not None:
        kind, side = case
        config = SACConfig(encoder=EncoderConfig(kind=kind, cameras=("front",)))
        shapes = {"front": (side, side, 3)}
    mean, std = np.zeros(STATE_DIM, np.float32), np.ones(STATE_DIM, np.float32)
    agent = create_agent(config, 0, mean, std, ACTION_DIM, shapes)
    policy = PackedPolicy(
        policy_spec(config, STATE_DIM, ACTION_DIM, shapes), np.asarray(agent.packed_policy())
    )
    state = rng.normal(size=STATE_DIM).astype(np.float32)
    images = {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}

    @jax.jit
    def by_jax(agent: SACAgent, observation: Observation) -> jax.Array:
        batch = agent.normaliser.observations(jax.tree.map(lambda x: x[None], observation))
        view = agent.vision.view(agent.vision.encoder.params, batch)
        raw, _ = policy_network(agent).apply({"params": agent.actor.params}, view)
        return jnp.tanh(raw[0])

    observation = Observation(state, images)
    np.testing.assert_allclose(policy.mode(state, images), by_jax(agent, observation), atol=2e-5)
    numpy_us, jax_us = [], []
    for _ in range(REPETITIONS):
        numpy_us.append(_microseconds(lambda: policy.mode(state, images)))
        jax_us.append(_microseconds(lambda: np.asarray(by_jax(agent, observation))))
    ours, baseline = statistics.median(numpy_us), statistics.median(jax_us)
    name = "state alone" if case is None else f"{case[0]:8s} {case[1]}x{case[1]}"
    print(
        f"{name:16s} NumPy {ours:8.1f} us, jitted jax {baseline:8.1f} us, "
        f"ratio jax / NumPy {baseline / ours:.2f}",
        flush=True,
    )
    return baseline / ours


def _microseconds(act: Callable[[], np.ndarray]) -> float:
    """CPU time of a call, over all threads."""
    calls, start_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start_s < REPETITION_S or calls < 3:
        act()
        calls += 1
    return (time.process_time() - cpu_s) / calls * 1e6


if __name__ == "__main__":
    sys.exit(main())
