"""One action by NumPy, as an actor takes it, against the same network jitted by jax.

Prints both times per action, their ratio and the bound; exits 1 when NumPy is not the faster one.
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

from serlds.training.agents import SACAgent
from serlds.training.agents.sac import policy_network
from serlds.training.config import SACConfig
from serlds.training.policy import MLPPolicy, policy_spec

OBSERVATION_DIM, ACTION_DIM = 21, 7
CALLS, REPETITIONS = 500, 9
BOUND = 1.5
"""The least that the time by jax must be, in times by NumPy."""


def main() -> int:
    """Measures both, interleaved, and compares medians."""
    config = SACConfig()
    mean, std = np.zeros(OBSERVATION_DIM, np.float32), np.ones(OBSERVATION_DIM, np.float32)
    agent = SACAgent.create(0, mean, std, ACTION_DIM, config)
    packed = np.asarray(agent.packed_policy())
    policy = MLPPolicy(policy_spec(config, OBSERVATION_DIM, ACTION_DIM), packed)

    @jax.jit
    def by_jax(agent: SACAgent, observation: jax.Array) -> jax.Array:
        raw, _ = policy_network(agent).apply(
            {"params": agent.actor.params}, agent.normaliser.observations(observation)
        )
        return jnp.tanh(raw)

    observation = np.random.default_rng(0).normal(size=OBSERVATION_DIM).astype(np.float32)
    np.testing.assert_allclose(policy.mode(observation), by_jax(agent, observation), atol=1e-5)
    numpy_us, jax_us = [], []
    for _ in range(REPETITIONS):
        numpy_us.append(_microseconds(lambda: policy.mode(observation)))
        jax_us.append(_microseconds(lambda: np.asarray(by_jax(agent, observation))))
    ours, baseline = statistics.median(numpy_us), statistics.median(jax_us)
    print(f"one action, 256 x 2 network: NumPy {ours:.1f} us, jitted jax {baseline:.1f} us")
    print(f"ratio jax / NumPy {baseline / ours:.2f} (bound: at least {BOUND})")
    return 0 if baseline / ours >= BOUND else 1


def _microseconds(act: Callable[[], np.ndarray]) -> float:
    start_s = time.process_time()
    for _ in range(CALLS):
        act()
    return (time.process_time() - start_s) / CALLS * 1e6


if __name__ == "__main__":
    sys.exit(main())
