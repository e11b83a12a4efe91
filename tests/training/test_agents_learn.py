"""Agents solve problems small enough to check in seconds."""

import jax
import numpy as np
import pytest

from serlds.training.agents import create_agent
from serlds.training.config import BCConfig, NetworkConfig, RLPDConfig, SACConfig
from serlds.training.policy import PackedPolicy, policy_spec
from serlds.training.transition import Observation, Transition

NETWORK = NetworkConfig((64, 64))


def reach_transitions(seed: int, u: int, b: int) -> Transition:
    """Steps of a point in [-1, 1]^2 that is rewarded by its closeness to the origin.

    The position moves by half the action; being within 0.2 of the origin ends the episode with
    reward 1. The best action is therefore towards the origin.
    """
    rng = np.random.default_rng(seed)
    position = rng.uniform(-1, 1, (u, b, 2)).astype(np.float32)
    action = rng.uniform(-1, 1, (u, b, 2)).astype(np.float32)
    moved = np.clip(position + 0.5 * action, -1, 1).astype(np.float32)
    reached = (np.linalg.norm(moved, axis=-1) < 0.2).astype(np.float32)
    return Transition(Observation(position), action, reached, 1.0 - reached, Observation(moved))


def reach_success(policy: PackedPolicy, episodes: int = 200, steps: int = 6) -> float:
    """Share of random starts from which the mode actions reach the origin."""
    position = np.random.default_rng(99).uniform(-1, 1, (episodes, 2)).astype(np.float32)
    reached = np.zeros(episodes, bool)
    for _ in range(steps):
        moved = np.clip(position + 0.5 * policy.mode(position), -1, 1)
        position = np.where(reached[:, None], position, moved).astype(np.float32)
        reached |= np.linalg.norm(position, axis=-1) < 0.2
    return float(reached.mean())


def policy_of(config, agent) -> PackedPolicy:
    return PackedPolicy(policy_spec(config, 2, 2), np.asarray(agent.packed_evaluation_policy()))


def fresh(config):
    return create_agent(config, 0, np.zeros(2, np.float32), np.ones(2, np.float32), 2)


@pytest.mark.parametrize("distribution", ["gaussian", "deterministic"])
def test_bc_fits_a_function(distribution: str) -> None:
    config = BCConfig(network=NETWORK, learning_rate=3e-3, distribution=distribution)
    agent = fresh(config)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.uniform(-1, 1, (20, 64, 2)).astype(np.float32)
        action = 0.8 * np.sin(3.0 * x)
        zeros = np.zeros(x.shape[:2], np.float32)
        agent, _ = agent.update_utd(
            Transition(Observation(x), action, zeros, zeros, Observation(x))
        )
    x = rng.uniform(-1, 1, (500, 2)).astype(np.float32)
    error = np.abs(policy_of(config, agent).mode(x) - 0.8 * np.sin(3.0 * x))
    assert error.mean() < 0.06


def test_sac_learns_to_reach_from_random_data() -> None:
    config = SACConfig(
        actor=NETWORK,
        critic=NetworkConfig((64, 64), layer_norm=True),
        discount=0.9,
        actor_learning_rate=1e-3,
        critic_learning_rate=1e-3,
        target_update_rate=0.02,
        initial_temperature=0.01,
        learn_temperature=False,
        entropy_backup=False,
    )
    agent = fresh(config)
    assert reach_success(policy_of(config, agent)) < 0.5
    for seed in range(400):
        agent, _ = agent.update_utd(reach_transitions(seed, 4, 64))
    assert reach_success(policy_of(config, agent)) > 0.95


def test_rlpd_improves_on_the_policy_it_cloned() -> None:
    """Demonstrations that overshoot sideways are cloned first, then outgrown."""
    config = RLPDConfig(
        sac=SACConfig(
            actor=NETWORK,
            critic=NetworkConfig((64, 64), layer_norm=True),
            discount=0.9,
            actor_learning_rate=1e-3,
            critic_learning_rate=1e-3,
            target_update_rate=0.02,
            ensemble_size=4,
            subset_size=2,
            initial_temperature=0.01,
            learn_temperature=False,
            entropy_backup=False,
        ),
        bc_weight=0.01,
    )

    def demos(seed: int) -> Transition:
        batch = reach_transitions(seed, 4, 32)
        position = batch.observation.state
        turned = np.stack([position[..., 1], -position[..., 0]], axis=-1)
        action = np.clip(-0.3 * position + turned, -1, 1).astype(np.float32)
        moved = np.clip(position + 0.5 * action, -1, 1)
        reached = (np.linalg.norm(moved, axis=-1) < 0.2).astype(np.float32)
        return Transition(batch.observation, action, reached, 1.0 - reached, Observation(moved))

    agent = fresh(config)
    for seed in range(60):
        agent, _ = agent.pretrain(demos(seed))
    cloned = reach_success(policy_of(config, agent))
    for seed in range(400):
        halves = demos(seed), reach_transitions(1000 + seed, 4, 32)
        joined = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *halves)
        agent, _ = agent.update_utd(joined)
    assert cloned < 0.6
    assert reach_success(policy_of(config, agent)) > 0.9
