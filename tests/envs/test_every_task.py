"""What holds for every task, whatever its arm and its objects."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.schema import Schema
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.recording import record_episodes
from serlds.envs.rollout import RandomPolicy, run_episodes
from serlds.envs.tasks import env_arguments, make_env, make_expert, task_ids
from serlds.hardware.headless import mujoco
from serlds.pipelines.validate import validate

# Pixels of a colour that only an object has, as (strong channel, weak channels).
RED, BLUE = (0, (1, 2)), (2, (0, 1))
COLOURS = {
    "BimanualLift": {RED},
    "BinRelocation": {RED},
    "PickCube": {RED},
    "PegInsert": {RED, BLUE},
}

pytestmark = pytest.mark.parametrize("env_id", task_ids())


def make(env_id, **env_args):
    return make_env(env_id, **{"cameras": (), **env_args})


def hold_still(env):
    """An action that moves nothing but a gripper to half open."""
    return np.zeros(env.action_space.shape, np.float32)


def run_expert(env, seed):
    """All step results of an episode of the expert."""
    expert = make_expert(env)
    observation, _ = env.reset(seed=seed)
    steps = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(expert(observation)))
        observation = steps[-1][0]
    return steps


def flat(observation):
    return np.concatenate([observation["state"][name] for name in sorted(observation["state"])])


@pytest.mark.parametrize("env_args", [{}, {"reward": "dense", "object_state": False}])
def test_gymnasium_accepts_it(env_id, env_args, recwarn):
    check_env(make(env_id, **env_args).unwrapped)
    assert [str(warning.message) for warning in recwarn] == []


def test_same_seed_and_actions_give_the_same_episode(env_id):
    env = make(env_id)
    policy = RandomPolicy(env.action_space.shape[0])
    actions = [policy({}) for _ in range(30)]

    def episode(env, seed):
        observations = [flat(env.reset(seed=seed)[0])]
        return np.stack(observations + [flat(env.step(action)[0]) for action in actions])

    first = episode(env, seed=7)
    np.testing.assert_array_equal(episode(make(env_id), seed=7), first)
    # What happened before leaves no trace.
    np.testing.assert_array_equal(episode(env, seed=7), first)
    assert not np.array_equal(episode(env, seed=8), first)


def test_the_expert_succeeds(env_id):
    env = make(env_id)
    results = run_episodes(GymAsDmEnv(env), make_expert(env), range(30))
    assert [result.seed for result in results if not result.success] == []


def test_the_expert_succeeds_with_some_noise(env_id):
    env = make(env_id)
    results = run_episodes(GymAsDmEnv(env), make_expert(env, noise=0.1), range(15))
    assert sum(result.success for result in results) >= 14
    assert len({result.length for result in results}) > 1


def test_success_terminates_with_reward_one(env_id):
    *before, (_, reward, terminated, truncated, info) = run_expert(make(env_id), seed=0)
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    assert all(step[1:4] == (0.0, False, False) and not step[4]["success"] for step in before)


def test_success_on_the_very_last_step_is_termination_alone(env_id):
    length = len(run_expert(make(env_id), seed=3))
    _, reward, terminated, truncated, _ = run_expert(make(env_id, max_steps=length), seed=3)[-1]
    assert (reward, terminated, truncated) == (1.0, True, False)


@pytest.mark.parametrize("max_steps", [1, 7])
def test_the_time_limit_truncates(env_id, max_steps):
    env = make(env_id, max_steps=max_steps)
    for seed in range(2):
        env.reset(seed=seed)
        ends = [env.step(hold_still(env))[2:4] for _ in range(max_steps)]
        assert ends == [(False, False)] * (max_steps - 1) + [(False, True)]


def test_dense_reward_adds_the_gain_of_a_potential(env_id):
    sparse, dense = (run_expert(make(env_id, reward=kind), seed=5) for kind in ("sparse", "dense"))
    for (plain, _, *_), (shaped, _, *_) in zip(sparse, dense, strict=True):
        np.testing.assert_array_equal(flat(plain), flat(shaped))
    gain = sum(step[1] for step in dense) - sum(step[1] for step in sparse)
    assert 0.6 < gain <= 1.0  # from about nothing to done


def test_the_state_tells_of_objects_only_when_asked(env_id):
    blind, seeing = make(env_id, object_state=False), make(env_id, object_state=True)
    spaces = blind.observation_space["state"].spaces
    first, second = (env.reset(seed=4)[0]["state"] for env in (blind, seeing))
    assert set(second) > set(first) == set(spaces)
    for name, space in spaces.items():
        assert seeing.observation_space["state"][name] == space
        np.testing.assert_array_equal(first[name], second[name])


def test_every_field_is_documented_and_makes_a_schema(env_id):
    env = make(env_id)
    docs = env.unwrapped.field_docs
    schema = Schema.from_spaces(env.observation_space, env.action_space, docs)
    assert len(schema.action.about.scale) == schema.action.shape[0]
    assert len(schema.action.about.unit.split(", ")) == schema.action.shape[0]
    for field in (*schema.state_fields, schema.action):
        assert field.about.doc
        assert field.about.unit


def test_actions_beyond_the_range_count_as_its_ends(env_id):
    ends = []
    for size in (1.0, 5.0):
        env = make(env_id)
        env.reset(seed=0)
        ends.append(flat(env.step(np.full(env.action_space.shape, size))[0]))
    np.testing.assert_array_equal(*ends)


def test_an_action_of_wrong_shape_or_value_is_refused(env_id):
    env = make(env_id)
    env.reset(seed=0)
    size = env.action_space.shape[0]
    for action in (np.zeros(size - 1), np.full(size, np.nan), [0] * (size - 1) + [np.inf]):
        with pytest.raises(UsageError, match=f"{size} finite numbers"):
            env.step(action)


def test_random_actions_leave_the_physics_stable(env_id):
    env = make(env_id, max_steps=200)
    task, policy = env.unwrapped, RandomPolicy(env.action_space.shape[0], seed=1)
    env.reset(seed=1)
    for _ in range(200):
        observation, *_ = env.step(policy({}))
        assert env.observation_space.contains(observation)
        assert task.data.contact.dist.min(initial=0.0) > -0.01
        assert np.abs(task.data.qvel).max() < 50.0
    assert [warning.number for warning in task.data.warning] == [0] * mujoco.mjtWarning.mjNWARNING


def test_cameras_see_the_objects(env_id):
    kind = next(name for name in COLOURS if name in env_id)
    env = make_env(env_id, cameras=env_arguments(env_id)["cameras"])
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        for colour in COLOURS[kind]:
            assert count(observation["image"]["front"], colour) > 20
    observation = run_expert(env, seed=0)[-1][0]
    for image in observation["image"].values():
        for colour in COLOURS[kind]:
            assert count(image, colour) > 20
    env.close()


def test_recorded_demonstrations_are_valid(env_id, tmp_path):
    arguments = {"cameras": env_arguments(env_id)["cameras"], "image_size": 64}
    record_episodes(env_id, arguments, tmp_path / "demos", by="expert", episodes=2)
    report = validate(str(tmp_path / "demos"), workers=1)
    assert report.exit_code == 0, report.to_text()
    episode = open_dataset(tmp_path / "demos").episode(0)
    assert episode.metadata["success"]
    assert episode.metadata["robot"] == make(env_id).unwrapped.robot


def count(image, colour):
    """Pixels of a colour that neither arms nor table have."""
    strong, weak = colour
    image = image.astype(int)
    return int(np.all([image[..., strong] > 1.5 * image[..., w] for w in weak], axis=0).sum())
