import subprocess
import sys

import gymnasium
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.tasks import (
    UnknownTaskError,
    env_arguments,
    env_identity,
    make_env,
    make_expert,
    task_ids,
)

ENV_ID = "serlds/WidowXPickCube-v0"


def test_tasks_are_known_to_gymnasium():
    assert ENV_ID in task_ids()
    env = gymnasium.make(ENV_ID, cameras=())
    env.reset(seed=0)
    _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    assert not terminated
    assert not truncated


def test_registering_imports_no_simulator():
    code = "import serlds.envs, sys; assert 'mujoco' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(UnknownTaskError, match="WidowXPickBall") as refusal:
        make_env("serlds/WidowXPickBall-v0")
    assert ENV_ID in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_an_unknown_argument_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="cube_colour") as refusal:
        make_env(ENV_ID, cameras=(), cube_colour="blue")
    for name in env_arguments(ENV_ID):
        assert f"{name}=" in str(refusal.value)


def test_the_identity_names_all_arguments_that_shape_episodes():
    env = make_env(ENV_ID, cameras=(), max_steps=30, render_mode="rgb_array")
    env_id, env_args = env_identity(env)
    assert env_id == ENV_ID
    assert env_args["max_steps"] == 30
    assert env_args["reward"] == "sparse"
    there = {name for name in env_arguments(ENV_ID) if not name.startswith("render_")}
    assert env_args.keys() == there - {"backend", "robot"}  # told of robots alone
    again = make_env(env_id, **env_args)
    assert env_identity(again) == (env_id, env_args)


def test_an_expert_needs_a_task_that_has_one():
    with pytest.raises(UsageError, match="no expert"):
        make_expert(gymnasium.make("CartPole-v1"))


def test_negative_expert_noise_is_refused():
    with pytest.raises(UsageError, match=r"noise -0\.1"):
        make_expert(make_env(ENV_ID, cameras=()), noise=-0.1)
