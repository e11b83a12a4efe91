"""The NumPy policy of actors is the learner's own network."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.training.agents import create_agent
from serlds.training.agents.sac import policy_network
from serlds.training.config import BCConfig, NetworkConfig, RLPDConfig, SACConfig
from serlds.training.networks import View
from serlds.training.policy import PackedPolicy, policy_spec

S, A = 5, 3
SMALL = NetworkConfig((16,))
SAC = SACConfig(actor=SMALL, critic=SMALL)
MEAN = np.linspace(-1.0, 1.0, S, dtype=np.float32)
STD = np.linspace(0.5, 2.0, S, dtype=np.float32)
OBSERVATIONS = np.random.default_rng(0).normal(size=(16, S)).astype(np.float32)


def packed(config, seed: int = 0) -> np.ndarray:
    return np.asarray(create_agent(config, seed, MEAN, STD, A).packed_policy())


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_numpy_pass_equals_the_learners(layer_norm: bool, activation: str) -> None:
    network = NetworkConfig((32, 16), layer_norm=layer_norm, activation=activation)
    config = SACConfig(actor=network, critic=SMALL)
    agent = create_agent(config, 0, MEAN, STD, A)
    mean, _ = policy_network(agent).apply(
        {"params": agent.actor.params},
        View(agent.normaliser.states(OBSERVATIONS), jnp.zeros((0,))),
    )
    policy = PackedPolicy(policy_spec(config, S, A), np.asarray(agent.packed_policy()))
    np.testing.assert_allclose(policy.mode(OBSERVATIONS), jnp.tanh(mean), atol=2e-6)


@pytest.mark.parametrize(
    "config",
    [
        BCConfig(network=SMALL),
        BCConfig(network=SMALL, distribution="deterministic"),
        SAC,
        RLPDConfig(sac=SAC),
    ],
)
def test_actions_are_float32_bounded_and_of_the_observations_shape(config) -> None:
    policy = PackedPolicy(policy_spec(config, S, A), packed(config))
    rng = np.random.default_rng(0)
    for actions in (policy.mode(OBSERVATIONS), policy.sample(OBSERVATIONS, rng)):
        assert actions.shape == (16, A)
        assert actions.dtype == np.float32
        assert np.abs(actions).max() <= 1.0
    assert policy.mode(OBSERVATIONS[0]).shape == (A,)
    assert policy.sample(OBSERVATIONS[0], rng).shape == (A,)


def test_one_observation_gives_the_same_action_as_in_a_batch() -> None:
    policy = PackedPolicy(policy_spec(SAC, S, A), packed(SAC))
    np.testing.assert_allclose(
        policy.mode(OBSERVATIONS)[3], policy.mode(OBSERVATIONS[3]), atol=1e-6
    )


def test_samples_spread_around_the_mode_by_the_learned_deviation() -> None:
    config = dataclasses.replace(SAC, initial_log_std=-2.0, log_std_bounds=(-2.0, -1.99))
    policy = PackedPolicy(policy_spec(config, S, A), packed(config))
    observations = np.repeat(OBSERVATIONS[:1], 20_000, axis=0)
    raw = np.arctanh(policy.sample(observations, np.random.default_rng(0)))
    np.testing.assert_allclose(raw.std(axis=0), np.exp(-2.0), rtol=0.05)
    expected = np.arctanh(policy.mode(OBSERVATIONS[0]))
    np.testing.assert_allclose(raw.mean(axis=0), expected, atol=5e-3)


def test_a_deterministic_policy_samples_its_mode() -> None:
    config = BCConfig(network=SMALL, distribution="deterministic")
    policy = PackedPolicy(policy_spec(config, S, A), packed(config))
    sampled = policy.sample(OBSERVATIONS, np.random.default_rng(0))
    np.testing.assert_array_equal(sampled, policy.mode(OBSERVATIONS))


def test_the_same_seed_samples_the_same_actions() -> None:
    policy = PackedPolicy(policy_spec(SAC, S, A), packed(SAC))
    first = policy.sample(OBSERVATIONS, np.random.default_rng(7))
    np.testing.assert_array_equal(first, policy.sample(OBSERVATIONS, np.random.default_rng(7)))
    assert (first != policy.sample(OBSERVATIONS, np.random.default_rng(8))).any()


def test_a_dimension_that_never_moved_is_not_blown_up() -> None:
    still = np.zeros(S, np.float32)
    agent = create_agent(SAC, 0, MEAN, still, A)
    policy = PackedPolicy(policy_spec(SAC, S, A), np.asarray(agent.packed_policy()))
    assert np.isfinite(policy.mode(OBSERVATIONS)).all()
    assert policy.spec.size == agent.packed_policy().size


def test_weights_of_another_task_are_refused() -> None:
    with pytest.raises(UsageError, match="observations of 6 and actions of 3"):
        PackedPolicy(policy_spec(SAC, S + 1, A), packed(SAC))
