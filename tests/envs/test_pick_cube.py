import math

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.tasks import make_env
from serlds.hardware import rotations
from serlds.hardware.headless import mujoco

ENV_ID = "serlds/WidowXPickCube-v0"
HOLD_OPEN = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def make(**env_args):
    return make_env(ENV_ID, **{"cameras": (), **env_args})


def flat(observation):
    return np.concatenate([observation["state"][name] for name in sorted(observation["state"])])


def test_a_cube_that_is_high_but_not_held_is_no_success():
    env = make()
    env.reset(seed=0)
    task = env.unwrapped
    task.data.joint("cube").qpos[:3] = (0.3, 0.15, 0.4)
    _, reward, terminated, _, info = env.step(HOLD_OPEN)
    assert env.unwrapped.truth().cube_pos_m[2] > 0.2
    assert (reward, terminated, info["success"]) == (0.0, False, False)


def test_doing_nothing_gains_no_dense_reward():
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
    starts = np.array([truth.tool.pos_m for truth in truths])
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


def test_object_state_describes_the_cube_relative_to_the_tool():
    env = make()
    state = env.reset(seed=2)[0]["state"]
    truth = env.unwrapped.truth()
    np.testing.assert_allclose(state["cube_pos"], truth.cube_pos_m, atol=1e-6)
    in_base = rotations.rotate(truth.tool.quat_wxyz, state["cube_in_tool"].astype(float))
    np.testing.assert_allclose(truth.tool.pos_m + in_base, truth.cube_pos_m, atol=1e-6)
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
