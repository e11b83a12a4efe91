"""Agents: what an update changes, what it costs to compile, and that it is repeatable."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
import pytest

from serlds.training.agents import create_agent
from serlds.training.config import BCConfig, NetworkConfig, RLPDConfig, SACConfig
from serlds.training.transition import Observation, Transition

S, A, U, B = 4, 2, 3, 16
SMALL = NetworkConfig((16,))
SAC = SACConfig(actor=SMALL, critic=NetworkConfig((16,), layer_norm=True))
RLPD = RLPDConfig(sac=dataclasses.replace(SAC, ensemble_size=5, subset_size=2), bc_weight=0.5)
BC = BCConfig(network=SMALL)
CONFIGS = {"bc": BC, "sac": SAC, "rlpd": RLPD}
VARIED_SAC = dataclasses.replace(
    SAC,
    target_update_rate=0.25,
    target_bounds=(0.0, 1.0),
    evaluation_average_rate=0.25,
    initial_temperature=0.3,
    learn_temperature=False,
    entropy_backup=False,
)

_compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _seconds, **_: _compilations.append(event) if "backend_compile" in event else None
)


@contextmanager
def counted_compilations() -> Iterator[list[str]]:
    seen: list[str] = []
    before = len(_compilations)
    yield seen
    seen.extend(_compilations[before:])


def transitions(seed: int = 0, u: int = U, b: int = B) -> Transition:
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(u, b, *shape)).astype(np.float32)

    return Transition(
        observation=Observation(normal(S)),
        action=np.tanh(normal(A)),
        reward=normal(),
        discount=(rng.random((u, b)) > 0.1).astype(np.float32),
        next_observation=Observation(normal(S)),
    )


def agent_of(config, seed: int = 0):
    return create_agent(config, seed, np.zeros(S, np.float32), np.ones(S, np.float32), A)


def leaves(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_updates_are_compiled_once(name: str) -> None:
    # A batch shape of its own, so that no other test has compiled for it.
    batches = transitions(b=11)
    agent = agent_of(CONFIGS[name])
    with counted_compilations() as first:
        agent, _ = agent.update_utd(batches)
    with counted_compilations() as later:
        for seed in range(3):
            agent, _ = agent.update_utd(transitions(seed, b=11))
        restored = jax.tree.map(lambda leaf: jax.numpy.asarray(np.asarray(leaf)), agent)
        restored.update_utd(batches)
        agent_of(CONFIGS[name], seed=1).update_utd(batches)
    assert len(first) == 1
    assert later == []


def test_pretraining_is_compiled_once() -> None:
    agent = agent_of(RLPD)
    with counted_compilations() as first:
        agent, _ = agent.pretrain(transitions(b=13))
    with counted_compilations() as later:
        agent, _ = agent.pretrain(transitions(1, b=13))
        agent.pretrain(transitions(2, b=13))
    assert len(first) == 1
    assert later == []


@pytest.mark.parametrize("name", CONFIGS)
def test_no_array_has_a_weak_type(name: str) -> None:
    agent = agent_of(CONFIGS[name])
    updated, info = agent.update_utd(transitions())
    for leaf in jax.tree.leaves((agent, updated, info)):
        assert not leaf.weak_type


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    def run(seed: int):
        agent = agent_of(CONFIGS[name], seed)
        for i in range(3):
            agent, _ = agent.update_utd(transitions(i))
        return agent

    assert same(run(0), run(0))
    assert not same(run(0), run(1))


@pytest.mark.parametrize("name", CONFIGS)
def test_an_update_leaves_the_agent_before_untouched(name: str) -> None:
    agent = agent_of(CONFIGS[name])
    before = leaves(agent)
    agent.update_utd(transitions())
    assert all(np.array_equal(x, y) for x, y in zip(before, leaves(agent), strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_single_minibatch_is_a_stack_of_one(name: str) -> None:
    stacked = transitions(u=1)
    single = jax.tree.map(lambda x: x[0], stacked)
    agent = agent_of(CONFIGS[name])
    assert same(agent.update(single)[0], agent.update_utd(stacked)[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_divergence_shows_in_the_scalars(name: str) -> None:
    agent = agent_of(CONFIGS[name])
    _, info = agent.update_utd(transitions())
    assert all(np.isfinite(value) and value.shape == () for value in info.values())
    # One broken value in the first of several minibatches must not be averaged away.
    broken = transitions()
    broken.action[0, 3, 0] = np.nan
    _, info = agent.update_utd(broken)
    assert not all(np.isfinite(value) for value in info.values())


def test_each_optimiser_holds_its_own_parameters_only() -> None:
    agent = agent_of(SAC)
    for part in (agent.actor, agent.critic, agent.log_temperature):
        parameters = sum(leaf.size for leaf in jax.tree.leaves(part.params))
        state = sum(leaf.size for leaf in jax.tree.leaves(part.state))
        # Adam keeps two moments per parameter and one count.
        assert state == 2 * parameters + 1


def test_one_update_steps_critics_u_times_and_the_actor_once() -> None:
    agent, _ = agent_of(SAC).update_utd(transitions())
    assert agent.critic.state[0].count == U
    assert agent.actor.state[0].count == 1
    assert agent.log_temperature.state[0].count == 1


def test_target_critics_follow_at_their_rate() -> None:
    agent = agent_of(VARIED_SAC)
    updated, _ = agent.update_utd(transitions(u=1))
    for old, new, target in zip(
        leaves(agent.target_critic),
        leaves(updated.critic.params),
        leaves(updated.target_critic),
        strict=True,
    ):
        np.testing.assert_allclose(target, 0.75 * old + 0.25 * new, atol=1e-6)


def test_critics_of_an_ensemble_start_different() -> None:
    agent = agent_of(RLPD)
    kernel = np.asarray(agent.sac.critic.params["hidden_0"]["kernel"])
    assert kernel.shape == (5, S + A, 16)
    assert len(np.unique(kernel[:, 0, 0])) == 5


@pytest.mark.parametrize(("config", "moves"), [(SAC, True), (VARIED_SAC, False)])
def test_the_temperature_moves_only_when_it_is_learned(config: SACConfig, moves: bool) -> None:
    agent, info = agent_of(config).update_utd(transitions(u=1))
    assert info["temperature"] == pytest.approx(config.initial_temperature, rel=1e-6)
    after = np.exp(agent.log_temperature.params)
    assert (abs(after / config.initial_temperature - 1.0) > 1e-5) == moves


def test_the_entropy_bonus_enters_the_target_in_proportion_to_the_temperature() -> None:
    agent = agent_of(SAC)

    def target(temperature: float) -> float:
        parameter = agent.log_temperature.replace(params=jax.numpy.log(np.float32(temperature)))
        changed = agent.replace(log_temperature=parameter)
        return float(changed.update_utd(transitions(u=1))[1]["target_value"])

    bonus = target(5.0) - target(0.0)
    assert abs(bonus) > 0.01
    assert target(10.0) - target(0.0) == pytest.approx(2 * bonus, rel=1e-3)


def test_without_an_entropy_backup_the_temperature_does_not_enter_the_target() -> None:
    agent = agent_of(VARIED_SAC)
    hot = agent.replace(log_temperature=agent.log_temperature.replace(params=np.float32(3.0)))
    batches = transitions(u=1)
    targets = [a.update_utd(batches)[1]["target_value"] for a in (agent, hot)]
    assert targets[0] == targets[1]


def test_target_bounds_hold_the_values_the_critics_learn() -> None:
    batches = transitions(u=1)
    batches.reward[:] = 100.0
    _, info = agent_of(VARIED_SAC).update_utd(batches)
    assert info["target_value"] == pytest.approx(1.0)


def test_the_data_discount_alone_stops_bootstrapping() -> None:
    batches = transitions(u=1)
    batches.discount[:] = 0.0
    _, info = agent_of(SAC).update_utd(batches)
    assert info["target_value"] == pytest.approx(batches.reward.mean(), abs=1e-6)


def test_the_cloning_penalty_looks_at_the_demonstrations_alone() -> None:
    agent = agent_of(RLPD)
    rows = RLPD.demo_rows(B)
    _, before = agent.update_utd(transitions())
    online_changed = transitions()
    online_changed.action[-1, rows:] = 0.9
    _, same_demos = agent.update_utd(online_changed)
    demos_changed = transitions()
    demos_changed.action[-1, :rows] = 0.9
    _, other_demos = agent.update_utd(demos_changed)
    assert same_demos["actor_regulariser"] == before["actor_regulariser"]
    assert other_demos["actor_regulariser"] != before["actor_regulariser"]


def test_the_cloning_penalty_scales_with_its_weight() -> None:
    _, info = agent_of(RLPD).update_utd(transitions())
    heavier = dataclasses.replace(RLPD, bc_weight=4 * RLPD.bc_weight)
    _, heavier_info = agent_of(heavier).update_utd(transitions())
    expected = 4 * float(info["actor_regulariser"])
    assert heavier_info["actor_regulariser"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("changes", [{"bc_weight": 0.0}, {"demo_fraction": 0.0}])
def test_without_a_cloning_penalty_rlpd_is_sac_on_the_same_batches(changes) -> None:
    config = dataclasses.replace(RLPD, **changes)
    rlpd, _ = agent_of(config).update_utd(transitions())
    sac, _ = agent_of(config.sac).update_utd(transitions())
    assert same(rlpd.sac, sac)


def test_pretraining_moves_the_actor_alone() -> None:
    agent = agent_of(RLPD)
    updated, _ = agent.pretrain(transitions())
    assert not same(updated.sac.actor.params, agent.sac.actor.params)
    assert same(updated.sac.actor.state, agent.sac.actor.state)
    assert same(updated.sac.critic, agent.sac.critic)
    assert same(updated.sac.log_temperature, agent.sac.log_temperature)


def test_the_evaluation_policy_is_the_average_when_asked() -> None:
    plain = agent_of(SAC).update_utd(transitions())[0]
    np.testing.assert_array_equal(plain.packed_evaluation_policy(), plain.packed_policy())

    agent = agent_of(VARIED_SAC)
    updated = agent.update_utd(transitions(u=1))[0]
    expected = 0.75 * agent.packed_policy() + 0.25 * updated.packed_policy()
    np.testing.assert_allclose(updated.packed_evaluation_policy(), expected, atol=1e-6)
