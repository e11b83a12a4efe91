"""Two policies from one replay: each learns its part, and together they act as one."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.policy_forward import ExportedPolicy
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env
from serlds.pipelines.validate import keep_verdict, validate
from serlds.training.agents import create_agent
from serlds.training.agents.several import rows_of_task
from serlds.training.config import (
    BCConfig,
    GripperConfig,
    NetworkConfig,
    RLPDConfig,
    RunConfig,
    SACConfig,
    ScheduleConfig,
)
from serlds.training.division import Division
from serlds.training.policy import unpack_policy
from serlds.training.policy_export import export_policy
from serlds.training.run_policy import load_policy
from serlds.training.run_preparation import prepare
from serlds.training.supervisor import train
from serlds.training.transition import Observation, Transition

BINS = "serlds/WidowXBinRelocation-v0"
NETWORK = NetworkConfig(hidden_dims=(16,))
S, SWITCH = 4, 2
PER_TASK = Division(switch=SWITCH, count=2, action_dim=3)
PER_ARM = Division(switch=None, count=2, action_dim=14)
BC = BCConfig(network=NETWORK, distribution="deterministic", learning_rate=1e-2)


def batches_of(actions, states, minibatches=2):
    """(U, B, ...) minibatches that are all the same."""
    n = len(actions)

    def repeated(x):
        return np.broadcast_to(x, (minibatches, *np.shape(x))).astype(np.float32)

    return Transition(
        Observation(repeated(states)),
        repeated(actions),
        repeated(np.zeros(n)),
        repeated(np.ones(n)),
        Observation(repeated(states)),
    )


def learned(division, config, batches, updates):
    agent = create_agent(config, 0, np.zeros(S), np.ones(S), division.action_dim, division=division)
    for _ in range(updates):
        agent, info = agent.update_utd(batches)
    spec = division.policy_spec(config, S, {})
    return unpack_policy(spec, np.asarray(agent.packed_policy())), info


def states_of_two_tasks(n):
    states = np.random.default_rng(0).normal(size=(n, S))
    states[:, SWITCH] = np.where(np.arange(n) % 4 == 0, 1.0, -1.0)  # the second task is the rarer
    return states


def test_each_task_gets_a_policy_that_learned_from_its_rows_alone():
    states = states_of_two_tasks(64)
    is_second = states[:, SWITCH] > 0
    actions = np.where(is_second[:, None], 0.7, -0.4) * np.ones((64, 3))
    policy, info = learned(PER_TASK, BC, batches_of(actions, states), 150)
    assert set(info) == {"actor_loss_0", "actor_loss_1"}
    np.testing.assert_allclose(policy.mode(states.astype("f4")), actions, atol=0.05)
    for state, action in zip(states[:6].astype("f4"), actions, strict=False):
        np.testing.assert_allclose(policy.mode(state), action, atol=0.05)
    # What stands in the other task's rows makes no difference.
    other = np.where(is_second[:, None], 0.7, 0.9) * np.ones((64, 3))
    second, _ = learned(PER_TASK, BC, batches_of(other, states), 150)
    np.testing.assert_array_equal(
        policy.mode(states[is_second].astype("f4")), second.mode(states[is_second].astype("f4"))
    )


def test_rows_of_a_task_keep_to_their_table_and_are_used_evenly():
    states = states_of_two_tasks(16)
    number = np.arange(16.0)[:, None]
    found = rows_of_task(batches_of(number, states), np.tile(states[:, SWITCH] > 0, (2, 1)), 8)
    rows = np.asarray(found.action)[0, :, 0]
    assert rows[:8].tolist() == [0, 4] * 4  # of the demonstrations
    assert rows[8:].tolist() == [8, 12] * 4
    nobody = rows_of_task(batches_of(number, states), np.zeros((2, 16), bool), 8)
    np.testing.assert_array_equal(nobody.action[1, :, 0], np.arange(16))


@pytest.mark.parametrize("chunk", [1, 3])
def test_each_arm_gets_a_policy_that_learned_its_part_of_the_action(chunk):
    rng = np.random.default_rng(1)
    states = rng.normal(size=(32, S))
    actions = np.tanh(states @ rng.normal(size=(S, 14 * chunk)) / 2)
    config = dataclasses.replace(BC, chunk=chunk)
    policy, _ = learned(PER_ARM, config, batches_of(actions, states), 1500)
    found = policy.mode(states.astype("f4"))
    assert found.shape == actions.shape
    assert np.abs(found - actions).mean() < 0.1


def test_agents_with_critics_and_grippers_divide_the_work_too():
    rng = np.random.default_rng(2)
    states, actions = rng.normal(size=(8, S)), np.tanh(rng.normal(size=(8, 14)))
    gripper = GripperConfig(network=NETWORK, openings=(0, 1))
    config = RLPDConfig(sac=SACConfig(actor=NETWORK, critic=NETWORK, gripper=gripper))
    policy, info = learned(PER_ARM, config, batches_of(actions, states), 2)
    assert {"critic_loss_0", "critic_loss_1"} <= set(info)
    assert all(np.isfinite(value).all() for value in info.values())
    acted = policy.sample(states[0].astype("f4"), rng)
    assert acted.shape == (14,) and set(acted[[6, 13]].tolist()) <= {-1.0, 0.0, 1.0}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """RLPD of two policies that reset each other."""
    demos = tmp_path_factory.mktemp("data") / "bins"
    arguments = {"cameras": [], "max_steps": 40, "direction": "alternate"}
    record_episodes(BINS, arguments, demos, by="expert", episodes=4, seed=0)
    assert keep_verdict(validate(demos)) == ""
    return RunConfig(
        algorithm="rlpd",
        agent=RLPDConfig(sac=SACConfig(actor=NETWORK, critic=NETWORK), bc_pretrain_updates=10),
        env_id=BINS,
        env_args=arguments,
        demos=(str(demos / "1.0.0"),),
        schedule=ScheduleConfig(
            batch_size=16,
            env_steps=90,
            evaluation_interval_steps=0,
            publish_interval_updates=5,
            checkpoint_interval_updates=50,
        ),
        policies="per-task",
    )


def test_two_policies_are_trained_in_turn_and_exported_as_one(config, tmp_path):
    run = tmp_path / "run"
    train(config, run)
    policy = load_policy(run)
    exported = ExportedPolicy.load(export_policy(run, tmp_path / "policy"))
    env = make_env(BINS, **config.env_args)
    acted = []
    for seed in range(4):
        observation, _ = env.reset(seed=seed)
        for side in (-1.0, 1.0):
            observation["state"]["goal_side"][:] = side
            acted.append(policy(observation))
            np.testing.assert_allclose(exported(observation), acted[-1], atol=1e-6)
    env.close()
    assert np.abs(np.subtract(acted[0::2], acted[1::2])).max() > 0.05


def test_what_cannot_be_divided_is_refused(config):
    with pytest.raises(UsageError, match="actions of 7 numbers; expected two arms or more"):
        prepare(dataclasses.replace(config, policies="per-arm"))
    lift = dataclasses.replace(
        config,
        algorithm="sac",
        agent=dataclasses.replace(config.agent.sac, gripper=GripperConfig(actions=(6, 13))),
        env_id="serlds/BimanualLift-v0",
        env_args={"cameras": []},
        demos=(),
        policies="per-arm",
    )
    with pytest.raises(UsageError, match="leave it out"):
        prepare(lift)
    one_task = dataclasses.replace(
        config, env_id="serlds/WidowXPickCube-v0", env_args={"cameras": []}, demos=config.demos
    )
    with pytest.raises(UsageError, match="per-task"):
        prepare(one_task)
