"""The critic of what grippers do: equations, composition, NumPy pass, learning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.training.agents import create_agent
from serlds.training.agents.gripper import changes, double_q_target, joint_command
from serlds.training.config import (
    EncoderConfig,
    GripperConfig,
    NetworkConfig,
    RLPDConfig,
    SACConfig,
)
from serlds.training.policy import PackedPolicy, policy_spec
from serlds.training.replay_items import state_vectors
from serlds.training.run_directory import RunDirectory
from serlds.training.supervisor import train
from serlds.training.transition import Observation, Transition

S, U, B = 5, 2, 8
SMALL = NetworkConfig((16,))
SHAPES = {"front": (16, 16, 3)}
SEEING = EncoderConfig("light", ("front",), features=8, proprio_features=6)
MEAN, STD = np.linspace(-1, 1, S, dtype=np.float32), np.full(S, 2.0, np.float32)


def sac(openings, encoder=None, **changed):
    gripper = GripperConfig(NetworkConfig((12,), layer_norm=True), openings=openings, **changed)
    return SACConfig(actor=SMALL, critic=SMALL, gripper=gripper, encoder=encoder)


def observations(rng, *shape):
    front = rng.integers(0, 256, (*shape, *SHAPES["front"]), np.uint8)
    return Observation(rng.normal(size=(*shape, S)).astype(np.float32), {"front": front})


def transitions(action_dim, seed=0):
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (U, B, action_dim)).astype(np.float32)
    reward = rng.normal(size=(U, B)).astype(np.float32)
    ones = np.ones((U, B), np.float32)
    return Transition(observations(rng, U, B), action, reward, ones, observations(rng, U, B))


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_joint_commands_are_numbered_as_in_hil_serl():
    assert joint_command(jnp.array([[-1.0], [0.2], [0.9]])).tolist() == [0, 1, 2]
    two = jnp.array([[-1.0, -1.0], [-0.8, 0.1], [0.0, 1.0], [1.0, 1.0]])
    assert joint_command(two).tolist() == [0, 1, 5, 8]


def test_only_commands_that_change_something_are_penalised():
    openings = jnp.array([[0.04], [0.0], [0.04], [0.0], [0.04]])
    commands = jnp.array([[1.0], [1.0], [-1.0], [-1.0], [0.2]])
    assert changes(commands, openings, 0.03).tolist() == [0, 1, 1, 0, 0]
    both = changes(jnp.array([[-1.0, 1.0]]), jnp.array([[0.04, 0.0]]), 0.03)
    assert both.tolist() == [2]


def test_the_target_is_the_target_critics_value_of_the_critics_choice():
    values, chosen = jnp.array([[1.0, 5.0, 2.0], [1.0, 5.0, 2.0]]), jnp.array([2, 1])
    target = double_q_target(jnp.array([1.0, 0.5]), jnp.array([0.9, 0.0]), values, chosen)
    np.testing.assert_allclose(target, [1.0 + 0.9 * 2.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize(("arms", "openings"), [(1, (0,)), (2, (0, 3))])
def test_policy_and_critics_know_the_motion_alone(arms, openings):
    config = sac(openings)
    agent = create_agent(config, 0, MEAN, STD, 7 * arms)
    assert agent.gripper.positions == (6, 13)[:arms]
    assert agent.actor.params["mean"]["bias"].shape == (6 * arms,)
    assert agent.critic.params["hidden_0"]["kernel"].shape[1] == S + 6 * arms
    assert agent.gripper.critic.params["values"]["bias"].shape == (3**arms,)
    # The commands of the grippers decide the grippers' loss, and nothing else.
    batches = transitions(7 * arms)
    other = batches._replace(action=batches.action.copy())
    other.action[..., 6] = -np.sign(batches.action[..., 6])
    updated, info = agent.update_utd(batches)
    changed, other_info = agent.update_utd(other)
    assert info["gripper_loss"] != other_info["gripper_loss"]
    assert info["critic_loss"] == other_info["critic_loss"]
    assert same(updated.actor, changed.actor) and same(updated.critic, changed.critic)
    assert not same(updated.gripper.critic.params, changed.gripper.critic.params)


def test_without_a_gripper_critic_there_is_none():
    plain = dataclasses.replace(sac(()), gripper=None)
    agent, info = create_agent(plain, 0, MEAN, STD, 7).update_utd(transitions(7))
    assert "gripper_loss" not in info
    assert jax.tree.leaves(agent.gripper.critic.params) == []
    assert agent.actor.params["mean"]["bias"].shape == (7,)


def test_its_loss_trains_the_encoder_and_its_target_follows():
    agent = create_agent(sac((0,), SEEING), 0, MEAN, STD, 7, SHAPES)
    batches = jax.tree.map(lambda x: x[:1], transitions(7))
    updated, _ = agent.update_utd(batches)
    rate = agent.config.target_update_rate
    for old, new, target in zip(
        jax.tree.leaves(agent.gripper.target),
        jax.tree.leaves(updated.gripper.critic.params),
        jax.tree.leaves(updated.gripper.target),
        strict=True,
    ):
        np.testing.assert_allclose(target, (1 - rate) * old + rate * new, atol=1e-6)
    # Another command reaches the encoder through the grippers' loss alone.
    other = batches._replace(action=batches.action.copy())
    other.action[..., 6] = -np.sign(batches.action[..., 6])
    changed, _ = agent.update_utd(other)
    assert same(updated.critic, changed.critic)
    assert not same(updated.vision.encoder.params, changed.vision.encoder.params)
    compiled = type(agent).update_utd._cache_size()
    changed.update_utd(batches)
    assert type(agent).update_utd._cache_size() == compiled


@pytest.mark.parametrize(
    ("arms", "openings", "encoder"), [(1, (0,), None), (2, (0, 3), None), (2, (0, 3), SEEING)]
)
def test_actors_take_the_most_valuable_command(arms, openings, encoder):
    config, a = sac(openings, encoder), 7 * arms
    shapes = SHAPES if encoder else {}
    agent = create_agent(RLPDConfig(sac=config), 1, MEAN, STD, a, shapes)
    agent, _ = agent.update_utd(transitions(a))
    spec = policy_spec(config, S, a, shapes)
    policy = PackedPolicy(spec, np.asarray(agent.packed_policy()))
    seen, part = observations(np.random.default_rng(3), 40), agent.sac
    normal = part.normaliser.observations(seen)
    view = part.vision.view(part.vision.encoder.params, normal)
    values = part.gripper.values(part.gripper.critic.params, view)
    best = np.asarray(values).argmax(axis=-1)
    expected = np.stack(np.unravel_index(best, (3,) * arms), axis=-1) - 1.0
    rng, positions = np.random.default_rng(0), [6, 13][:arms]
    mode = policy.mode(seen.state, seen.images)
    for actions in (mode, policy.sample(seen.state, rng, seen.images)):
        assert actions.shape == (40, a)
        assert actions.dtype == np.float32
        np.testing.assert_array_equal(actions[:, positions], expected)
    single = {name: frames[0] for name, frames in seen.images.items()}
    np.testing.assert_allclose(policy.mode(seen.state[0], single), mode[0], atol=1e-5)


@pytest.mark.parametrize(("penalty", "closes"), [(0.0, True), (2.0, False)])
def test_it_learns_when_to_close_and_whether_it_is_worth_it(penalty, closes):
    """Closing at a positive state is rewarded by 1, at a negative one by -1; grippers are open."""
    gripper = GripperConfig(NetworkConfig((32,)), 3e-3, (0,), penalty, (1,))
    config = SACConfig(actor=SMALL, critic=SMALL, gripper=gripper)
    agent = create_agent(config, 0, np.zeros(2, np.float32), np.ones(2, np.float32), 2)
    rng = np.random.default_rng(0)
    for _ in range(60):
        state = rng.uniform(-1, 1, (10, 64, 2)).astype(np.float32)
        state[..., 1] = 0.04
        action = rng.uniform(-1, 1, (10, 64, 2)).astype(np.float32)
        closing = np.round(action[..., 0]) == -1
        reward = np.where(closing, np.sign(state[..., 0]), 0.0).astype(np.float32)
        seen = Observation(state)
        agent, _ = agent.update_utd(Transition(seen, action, reward, np.zeros_like(reward), seen))
    policy = PackedPolicy(policy_spec(config, 2, 2), np.asarray(agent.packed_policy()))
    closed = policy.mode(np.array([[0.6, 0.04], [-0.6, 0.04]], np.float32))[:, 0] == -1
    assert closed.tolist() == [closes, False]


def test_a_run_finds_the_openings_and_acts_in_commands(tiny_rlpd, tmp_path):
    choosing = dataclasses.replace(tiny_rlpd.agent.sac, gripper=GripperConfig(SMALL))
    agent = dataclasses.replace(tiny_rlpd.agent, sac=choosing)
    train(dataclasses.replace(tiny_rlpd, agent=agent), tmp_path / "run")
    directory = RunDirectory.open(tmp_path / "run")
    record = directory.read_record()
    (at,) = record.run.agent.sac.gripper.openings
    episode = open_dataset(directory.episodes.directory).episode(0)
    openings = state_vectors(episode, record.task.state_fields)[:, at]
    np.testing.assert_array_equal(openings, episode["observation/state/gripper_pos"][:, 0])
    assert np.isin(np.asarray(episode["action"])[:-1, 6], [-1.0, 0.0, 1.0]).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GripperConfig(penalty=-0.1), "GripperConfig.penalty"),
        (lambda: GripperConfig(actions=(6, 6)), "distinct positions"),
        (lambda: GripperConfig(actions=(7,)).positions(7), "positions in an action of 7 numbers"),
        (lambda: GripperConfig().positions(4), "positions in an action of 4 numbers"),
        (lambda: create_agent(sac(()), 0, MEAN, STD, 7), "positions of 1 openings in a state of 5"),
        (lambda: create_agent(sac((5,)), 0, MEAN, STD, 7), "state of 5 numbers"),
    ],
)
def test_grippers_that_cannot_be_are_refused(build, message):
    with pytest.raises(UsageError, match=message):
        build()
