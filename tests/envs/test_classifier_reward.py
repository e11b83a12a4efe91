"""Episodes that a classifier ends: with classifiers that know the simulator's truth, or nothing."""

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.classifier_reward import ClassifierReward, absolute
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"
LIFTED_M = 0.07


def height(observation):
    return float(observation["state"]["cube_pos"][2])


def lifted(observation):
    return 0.9 if height(observation) > LIFTED_M else 0.2


@pytest.fixture
def env():
    env = make_env(ENV_ID, cameras=[], max_steps=20)
    yield env
    env.close()


def episode_of(env, wrapped, seed=3):
    """The time steps of an expert's episode, and how it went."""
    seen = []
    result = run_episode(
        GymAsDmEnv(wrapped), make_expert(env), seed, lambda step, action: seen.append(step)
    )
    return seen, result


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_episode_ends_when_success_was_seen_often_enough(env, frames):
    steps, result = episode_of(env, ClassifierReward(env, lifted, 0.5, frames))
    heights = np.array([height(step.observation) for step in steps])
    first = int(np.argmax(heights > LIFTED_M))
    assert first > 0 and result.length == first + frames - 1
    assert [step.reward for step in steps[1:]] == [0.0] * (result.length - 1) + [1.0]
    assert result.success and result.terminated and steps[-1].discount == 0.0


def test_what_is_seen_only_now_and_then_is_no_success(env):
    calls = iter(range(100))
    blinking = ClassifierReward(env, lambda _: float(next(calls) % 2), 0.5, frames=2)
    _, result = episode_of(env, blinking)
    assert result.length == 20 and not result.success and not result.terminated


def test_counting_begins_anew_with_each_episode(env):
    wrapped = ClassifierReward(env, lambda _: 1.0, 0.5, frames=3)
    for _ in range(2):
        assert episode_of(env, wrapped)[1].length == 3


def test_a_success_that_the_classifier_does_not_see_is_none(env):
    """The task ends with success at step 9 or so; the episode goes on until its time is over."""
    wrapped = ClassifierReward(env, lambda _: 0.4, 0.5)
    steps, result = episode_of(env, wrapped)
    assert result.length == 20 and result.episode_return == 0.0 and not result.success
    assert steps[-1].discount == 1.0  # the time was over, nothing else
    env.reset(seed=3)
    task_alone = run_episode(GymAsDmEnv(env), make_expert(env), 3)
    assert task_alone.success and task_alone.length < 20


def test_info_tells_both_verdicts(env):
    wrapped = ClassifierReward(env, lambda _: 0.7, 0.5)
    _, info = wrapped.reset(seed=0)
    assert (info["success"], info["task_success"]) == (False, False)
    *_, info = wrapped.step(np.zeros(7))
    assert info["success"] and not info["task_success"] and info["success_probability"] == 0.7


@pytest.mark.parametrize(("threshold", "frames"), [(0.0, 1), (1.5, 1), (0.5, 0)])
def test_numbers_out_of_range(env, threshold, frames):
    with pytest.raises(UsageError, match="expected"):
        ClassifierReward(env, lifted, threshold, frames)


@pytest.mark.parametrize(
    ("reward", "complaint"),
    [
        ("classifier:nowhere", "nowhere: no classifier there"),
        ("classifier:nowhere,threshold=high", "'threshold=high': expected threshold=NUMBER"),
        ("classifier:nowhere,frames=1.5", "'frames=1.5': expected"),
        ("classifier:nowhere,often=2", "'often=2': expected"),
    ],
)
def test_texts_that_name_no_classifier(reward, complaint):
    with pytest.raises(UsageError, match=complaint):
        make_env(ENV_ID, cameras=[], reward=reward)


def test_a_relative_directory_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("classifier:here,frames=2") == f"classifier:{tmp_path}/here,frames=2"
    assert absolute("dense") == "dense"
