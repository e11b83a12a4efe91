import math

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from serlds.datasets.errors import UsageError
from serlds.datasets.schema import Schema
from serlds.envs import rotations
from serlds.envs.headless import mujoco
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"
HOLD_OPEN = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def make(**env_args):
    return make_env(ENV_ID, **{"cameras": (), **env_args})


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
def test_gymnasium_accepts_the_state_only_task(env_args, recwarn):
    check_env(make(**env_args).unwrapped)
    assert [str(warning.message) for warning in recwarn] == []


def test_same_seed_and_actions_give_the_same_episode():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (30, 7)).astype(np.float32)

    def episode(env, seed):
        observations = [flat(env.reset(seed=seed)[0])]
        return np.stack(observations + [flat(env.step(action)[0]) for action in actions])

    env = make()
    first = episode(env, seed=7)
    np.testing.assert_array_equal(episode(make(), seed=7), first)
    # What happened before leaves no trace.
    np.testing.assert_array_equal(episode(env, seed=7), first)
    assert not np.array_equal(episode(env, seed=8), first)


def test_success_terminates_with_reward_one():
    steps = run_expert(make(), seed=0)
    *before, (_, reward, terminated, truncated, info) = steps
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    assert all(step[1:4] == (0.0, False, False) and not step[4]["success"] for step in before)


@pytest.mark.parametrize("max_steps", [1, 7])
def test_the_time_limit_truncates(max_steps):
    env = make(max_steps=max_steps)
    for seed in range(2):
        env.reset(seed=seed)
        ends = [env.step(HOLD_OPEN)[2:4] for _ in range(max_steps)]
        assert ends == [(False, False)] * (max_steps - 1) + [(False, True)]


def test_success_on_the_very_last_step_is_termination_alone():
    length = len(run_expert(make(), seed=3))
    _, reward, terminated, truncated, _ = run_expert(make(max_steps=length), seed=3)[-1]
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_a_cube_that_is_high_but_not_held_is_no_success():
    env = make()
    env.reset(seed=0)
    task = env.unwrapped
    task.data.joint("cube").qpos[:3] = (0.3, 0.15, 0.4)
    _, reward, terminated, _, info = env.step(HOLD_OPEN)
    assert env.unwrapped.truth().cube_pos_m[2] > 0.2
    assert (reward, terminated, info["success"]) == (0.0, False, False)


def test_dense_reward_adds_the_gain_of_a_potential():
    sparse, dense = (run_expert(make(reward=kind), seed=5) for kind in ("sparse", "dense"))
    for (plain, _, *_), (shaped, _, *_) in zip(sparse, dense, strict=True):
        np.testing.assert_array_equal(flat(plain), flat(shaped))
    gain = sum(step[1] for step in dense) - sum(step[1] for step in sparse)
    assert 0.6 < gain <= 1.0  # from about nothing to reached, held and lifted
    assert dense[0][1] > 0.0

    env = make(reward="dense")
    env.reset(seed=5)
    idle = sum(env.step(HOLD_OPEN)[1] for _ in range(20))
    assert abs(idle) < 0.05


def test_the_cube_spawns_all_over_the_area_and_the_yaw_range():
    env = make(spawn_area_m=[0.02, 0.1], yaw_range_rad=0.5)
    truths = []
    for seed in range(200):
        env.reset(seed=seed)
        truths.append(env.unwrapped.truth())
    xy = np.array([truth.cube_pos_m[:2] for truth in truths])
    yaw = np.array([truth.turn_to_cube_rad for truth in truths])
    np.testing.assert_allclose(np.ptp(xy, axis=0), [0.04, 0.2], rtol=0.1)
    assert 0.9 < np.ptp(yaw) <= 1.0
    starts = np.array([truth.tcp_pos_m for truth in truths])
    assert (np.ptp(starts, axis=0) > 0.03).all()


def test_no_randomness_puts_the_cube_in_one_place():
    env = make(spawn_area_m=(0.0, 0.0), yaw_range_rad=0.0)
    cubes = [flat(env.reset(seed=seed)[0]) for seed in range(2)]
    positions = [env.reset(seed=seed)[0]["state"]["cube_pos"] for seed in range(2)]
    np.testing.assert_array_equal(positions[0], positions[1])
    assert not np.array_equal(cubes[0], cubes[1])  # the tool still starts elsewhere


@pytest.mark.parametrize(
    ("control_hz", "step_m", "step_rad"), [(10.0, 0.03, 0.1), (20, 0.015, 0.05)]
)
def test_actions_move_the_tool_by_the_documented_scale(control_hz, step_m, step_rad):
    env = make(control_hz=control_hz)
    scale = env.unwrapped.field_docs["action"].scale
    assert scale == pytest.approx((step_m,) * 3 + (step_rad,) * 3 + (1.0,))
    for axis, steps in ((0, 2), (1, -2), (2, -2), (5, 4)):
        before = env.reset(seed=1)[0]["state"]
        action = HOLD_OPEN.copy()
        action[axis] = np.sign(steps)
        for _ in range(abs(steps)):
            env.step(action)
        for _ in range(10):
            after = env.step(HOLD_OPEN)[0]["state"]
        moved = np.concatenate([after[k] - before[k] for k in ("tcp_pos", "tcp_rotvec")])
        expected = np.zeros(6)
        expected[axis] = steps * scale[axis]
        np.testing.assert_allclose(moved[:3], expected[:3], atol=0.004)
        np.testing.assert_allclose(moved[3:], expected[3:], atol=0.03)


def test_the_gripper_action_is_absolute():
    env = make()
    env.reset(seed=0)
    for command, opening_m in ((1.0, 0.044), (0.0, 0.022), (-1.0, 0.0), (1.0, 0.044)):
        for _ in range(8):
            observation = env.step(np.array([0, 0, 0, 0, 0, 0, command]))[0]
        assert observation["state"]["gripper_pos"] == pytest.approx([opening_m], abs=0.002)


def test_proprioception_is_the_same_with_and_without_the_cube():
    blind, seeing = make(object_state=False), make(object_state=True)
    spaces = blind.observation_space["state"].spaces
    assert set(spaces) == {"gripper_pos", "joint_pos", "tcp_pos", "tcp_rotvec"}
    first, second = (env.reset(seed=4)[0]["state"] for env in (blind, seeing))
    assert set(second) - set(first) == {"cube_in_tool", "cube_pos", "cube_turn"}
    for name, space in spaces.items():
        assert seeing.observation_space["state"][name] == space
        np.testing.assert_array_equal(first[name], second[name])


def test_object_state_describes_the_cube_relative_to_the_tool():
    env = make()
    state = env.reset(seed=2)[0]["state"]
    truth = env.unwrapped.truth()
    np.testing.assert_allclose(state["cube_pos"], truth.cube_pos_m, atol=1e-6)
    in_base = rotations.rotate(truth.tcp_quat_wxyz, state["cube_in_tool"].astype(float))
    np.testing.assert_allclose(truth.tcp_pos_m + in_base, truth.cube_pos_m, atol=1e-6)
    turn = math.atan2(state["cube_turn"][1], state["cube_turn"][0]) / 4
    assert turn == pytest.approx(truth.turn_to_cube_rad, abs=1e-5)


@pytest.mark.parametrize("axis", [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
def test_a_cube_on_another_face_looks_the_same(axis):
    env = make()
    env.reset(seed=2)
    task = env.unwrapped
    turn = task.truth().turn_to_cube_rad
    quarter = rotations.quat_of_rotvec(np.array(axis) * math.pi / 2)
    cube = task.data.joint("cube").qpos
    cube[3:] = rotations.multiply(cube[3:].copy(), quarter)
    mujoco.mj_kinematics(task.model, task.data)
    assert task.truth().turn_to_cube_rad == pytest.approx(turn, abs=1e-9)


def test_every_field_is_documented_and_makes_a_schema():
    env = make()
    docs = env.unwrapped.field_docs
    schema = Schema.from_spaces(env.observation_space, env.action_space, docs)
    assert len(schema.action.about.scale) == schema.action.shape[0] == 7
    for field in (*schema.state_fields, schema.action):
        assert field.about.doc
        assert field.about.unit


def test_actions_beyond_the_range_count_as_its_ends():
    ends = []
    for size in (1.0, 5.0):
        env = make()
        env.reset(seed=0)
        ends.append(flat(env.step(np.full(7, size))[0]))
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("action", [np.zeros(6), np.full(7, np.nan), [0, 0, 0, 0, 0, 0, np.inf]])
def test_an_action_that_is_not_seven_finite_numbers_is_refused(action):
    env = make()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="7 finite numbers"):
        env.step(action)


@pytest.mark.parametrize(
    ("env_args", "told"),
    [
        ({"cameras": ("top",)}, "'front', 'wrist'"),
        ({"image_size": 4}, "from 8 to 1024"),
        ({"image_size": (64, 64, 3)}, "height, width"),
        ({"object_state": "yes"}, "None, True, False"),
        ({"reward": "shaped"}, "'sparse', 'dense'"),
        ({"control_hz": 0}, "from 1.0 to 50.0 Hz"),
        ({"control_hz": math.nan}, "from 1.0 to 50.0 Hz"),
        ({"max_steps": 0}, "from 1 to"),
        ({"max_steps": 2.5}, "whole number"),
        ({"spawn_area_m": 0.1}, "two numbers"),
        ({"spawn_area_m": (0.5, 0.1)}, "spawn_area_m[0]=0.5"),
        ({"yaw_range_rad": -1}, "from 0.0 to"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_allowed(env_args, told):
    with pytest.raises(UsageError) as refusal:
        make(**env_args)
    assert told in str(refusal.value)
    assert next(iter(env_args)) in str(refusal.value)
