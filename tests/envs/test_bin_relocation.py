import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXBinRelocation-v0"
ENV_IDS = [ENV_ID, "serlds/FrankaBinRelocation-v0"]

each_arm = pytest.mark.parametrize("env_id", ENV_IDS)


def make(env_id=ENV_ID, **env_args):
    return make_env(env_id, **{"cameras": (), **env_args})


def run_expert(env, expert, observation):
    """Acts to the end of an episode; the last step's result."""
    while True:
        observation, reward, terminated, truncated, info = env.step(expert(observation))
        if terminated or truncated:
            return reward, terminated, info


def cube_y(env):
    return env.unwrapped.truth().cube_pos_m[1]


@each_arm
@pytest.mark.parametrize(("direction", "start"), [("forward", 1.0), ("backward", -1.0)])
def test_a_direction_begins_in_one_bin_and_ends_in_the_other(env_id, direction, start):
    env = make(env_id, direction=direction)
    expert = make_expert(env)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        assert np.sign(cube_y(env)) == start
        assert observation["state"]["goal_side"] == -start
        reward, terminated, info = run_expert(env, expert, observation)
        assert (reward, terminated, info["success"]) == (1.0, True, True)
        assert np.sign(cube_y(env)) == -start
        assert not env.unwrapped.truth().is_held


@each_arm
def test_directions_reset_each_other(env_id):
    env = make(env_id, direction="alternate")
    expert = make_expert(env)
    observation, info = env.reset(seed=0)
    assert info["respawned"]
    sides = []
    for seed in range(1, 7):
        sides.append(observation["state"]["goal_side"].item())
        assert run_expert(env, expert, observation)[1]
        left_at = env.unwrapped.truth().cube_pos_m
        observation, info = env.reset(seed=seed)
        assert not info["respawned"]
        np.testing.assert_allclose(env.unwrapped.truth().cube_pos_m, left_at, atol=1e-3)
    assert sides == [sides[0], -sides[0]] * 3


def test_an_episode_that_failed_is_asked_for_again():
    env = make(direction="alternate", max_steps=2)
    first, _ = env.reset(seed=0)
    for _ in range(2):
        *_, truncated, _ = env.step(np.zeros(7, np.float32))
    assert truncated
    again, info = env.reset(seed=1)
    assert not info["respawned"]
    assert again["state"]["goal_side"] == first["state"]["goal_side"]


def test_a_cube_outside_of_both_bins_is_put_into_one():
    env = make(direction="alternate")
    env.reset(seed=0)
    env.unwrapped.data.qpos[-7:-4] = (0.28, 0.3, 0.02)
    _, info = env.reset(seed=1)
    assert info["respawned"]
    assert abs(abs(cube_y(env)) - 0.095) < 0.03


def test_a_cube_that_is_still_held_has_not_arrived():
    env = make()
    expert = make_expert(env)
    observation, _ = env.reset(seed=0)
    terminated = False
    while not terminated:
        action = expert(observation)
        truth = env.unwrapped.truth()
        if truth.is_held and truth.cube_pos_m[1] < -0.05 and action[6] > 0:
            action[6] = -1.0  # over the goal, never let go
            for _ in range(5):
                observation, reward, terminated, _, _ = env.step(action * (0, 0, 1, 0, 0, 0, 1))
                assert (reward, terminated) == (0.0, False)
            return
        observation, _, terminated, _, _ = env.step(action)
    pytest.fail("the expert let go before")


def test_recordings_say_where_each_cube_shall_go(tmp_path):
    result = record_episodes(
        ENV_ID,
        {"cameras": (), "direction": "alternate"},
        tmp_path / "bins",
        by="expert",
        episodes=4,
    )
    assert all(episode.success for episode in result.episodes)
    dataset = open_dataset(tmp_path / "bins")
    said = [episode["language_instruction"][0] for episode in dataset.episodes()]
    goals = [episode["observation/state/goal_side"][0].item() for episode in dataset.episodes()]
    assert set(goals) == {1.0, -1.0}
    sides = {1.0: "left", -1.0: "right"}
    assert said == [f"put the cube into the {sides[goal]} bin" for goal in goals]


def test_another_direction_is_refused():
    with pytest.raises(UsageError, match=r"'sideways'.*forward.*backward.*alternate"):
        make(direction="sideways")
