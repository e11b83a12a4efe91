import dm_env
import gymnasium
import numpy as np
import pytest

from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"
HOLD_OPEN = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def adapter(**env_args):
    return GymAsDmEnv(make_env(ENV_ID, **{"cameras": (), **env_args}))


def last_timestep(env, policy, seed=0):
    env.seed_next_episode(seed)
    timestep = env.reset()
    while not timestep.last():
        timestep = env.step(policy(timestep.observation))
    return timestep


def check_specs(spec, value):
    if isinstance(spec, dict):
        assert spec.keys() == value.keys()
        for name in spec:
            check_specs(spec[name], value[name])
    else:
        spec.validate(value)


def test_termination_has_discount_zero():
    env = adapter()
    end = last_timestep(env, make_expert(env.gym_env))
    assert (end.reward, end.discount) == (1.0, 0.0)
    assert env.info["success"] is True


def test_truncation_keeps_discount_one():
    end = last_timestep(adapter(max_steps=3), lambda observation: HOLD_OPEN)
    assert end.last()
    assert (end.reward, end.discount) == (0.0, 1.0)


@pytest.mark.parametrize("env_args", [{}, {"cameras": ("front", "wrist"), "image_size": 32}])
def test_timesteps_fit_the_specs(env_args):
    env = adapter(**env_args)
    first = env.reset()
    assert first.first()
    assert first.reward is None
    check_specs(env.observation_spec(), first.observation)
    env.action_spec().validate(HOLD_OPEN)
    middle = env.step(HOLD_OPEN)
    assert middle.mid()
    check_specs(env.observation_spec(), middle.observation)
    env.reward_spec().validate(middle.reward)
    env.discount_spec().validate(middle.discount)
    assert type(middle.reward) is type(middle.discount) is np.float32
    env.close()


def test_a_seed_holds_for_one_episode():
    env = adapter()
    env.seed_next_episode(11)
    cubes = [env.reset().observation["state"]["cube_pos"]]
    assert env.episode_seed == 11
    cubes.append(env.reset().observation["state"]["cube_pos"])
    assert env.episode_seed is None
    env.seed_next_episode(11)
    cubes.append(env.reset().observation["state"]["cube_pos"])
    assert not np.array_equal(cubes[0], cubes[1])
    np.testing.assert_array_equal(cubes[0], cubes[2])


def test_a_step_after_the_end_or_before_the_start_resets():
    env = adapter(max_steps=1)
    assert env.step(HOLD_OPEN).step_type == dm_env.StepType.FIRST
    assert env.step(HOLD_OPEN).last()
    assert env.step(HOLD_OPEN).first()


def test_a_space_without_a_spec_is_refused_by_name():
    env = GymAsDmEnv(gymnasium.make("CartPole-v1"))
    with pytest.raises(TypeError, match="'action' is Discrete"):
        env.action_spec()
