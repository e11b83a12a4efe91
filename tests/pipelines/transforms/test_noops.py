import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.datasets.episode import Episode
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.noops import DropNoops

FRONT = "observation/image/front"


def with_still_steps(episode, still):
    """The episode with no-op actions, gripper as before, at the given steps."""
    action = np.array(episode["action"])
    for step in still:
        action[step, :6] = 0
        action[step, 6] = action[step - 1, 6] if step else 1
    return Episode({**episode.columns, "action": action}, episode.metadata)


def test_drops_still_steps_only(world):
    episode = with_still_steps(world.episode(0), [0, 1, 4, 8])
    result = DropNoops()(episode, world.schema)
    kept = [2, 3, 5, 6, 7, 9, 10, 11]
    np.testing.assert_array_equal(result["action"][:-1], episode["action"][kept])
    assert result[FRONT] == [episode[FRONT][step] for step in (*kept, 12)]
    np.testing.assert_array_equal(result["timestamp_s"], episode["timestamp_s"][[*kept, 12]])
    assert check_one(result, world.schema) == []


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("everywhere", [2, 3, 5, 6, 7, 9]),
        ("start", range(2, 12)),
        ("end", range(10)),
        ("ends", range(2, 10)),
    ],
)
def test_where(world, where, kept):
    episode = with_still_steps(world.episode(0), [0, 1, 4, 8, 10, 11])
    result = DropNoops(where=where)(episode, world.schema)
    np.testing.assert_array_equal(result["action"][:-1], episode["action"][list(kept)])
    assert result.episode_return() == episode.episode_return()
    assert check_one(result, world.schema) == []


def test_absolute_actions_that_repeat_are_idle(poses):
    episode = poses.episode(0)
    action = episode["action"]
    action[[1, 2, 7], :] = action[[0, 0, 6], :]
    action[7, 0] += 1e-5
    result = DropNoops(actions="absolute")(episode, poses.schema)
    np.testing.assert_array_equal(result["action"][:-1], action[[0, 3, 4, 5, 6, 8, 9, 10, 11]])
    assert len(DropNoops()(episode, poses.schema)) == len(episode)


def test_keeps_a_still_step_that_changes_the_gripper(world):
    episode = with_still_steps(world.episode(0), [4])
    episode["action"][4, 6] = -1  # the steps before it command +1
    assert DropNoops()(episode, world.schema) is episode


@pytest.mark.parametrize(
    "still, last_step",
    [([11], 9), ([9, 10, 11], 8), ([0, 1, 2], 8)],
    ids=["last", "several last", "first"],
)
def test_loses_no_reward_and_no_termination(world, still, last_step):
    episode = world.episode(0)
    episode["reward"][:-1] = np.arange(12)
    episode = with_still_steps(episode, still)
    result = DropNoops()(episode, world.schema)
    assert result.episode_return() == episode.episode_return()
    assert result.num_transitions == 12 - len(still)
    assert result["discount"][-2] == 0 and result["is_terminal"][-1] and result["is_first"][0]
    assert not np.any(result["discount"][:-2] == 0)
    assert result["reward"][-1] == 0 and not result["action"][-1].any()


def test_keeps_truncation(world):
    episode = with_still_steps(world.episode(0, success=False), [11])
    result = DropNoops()(episode, world.schema)
    assert result["discount"][-2] == 1 and not result["is_terminal"].any() and result["is_last"][-1]


def test_leaves_out_an_episode_that_never_moves(world):
    episode = with_still_steps(world.episode(0), range(12))
    episode["action"][:-1, 6] = 1
    assert DropNoops()(episode, world.schema) is None


@pytest.mark.parametrize("threshold, dropped", [(1e-4, 0), (1e-2, 1)])
def test_threshold(world, threshold, dropped):
    episode = with_still_steps(world.episode(0), [4])
    episode["action"][4, 0] = 1e-3
    result = DropNoops(threshold)(episode, world.schema)
    assert len(episode) - len(result) == dropped


@settings(deadline=None, max_examples=40)
@given(
    still=st.sets(st.integers(0, 11), max_size=11),
    success=st.booleans(),
    last_row=st.booleans(),
    where=st.sampled_from(["everywhere", "start", "end", "ends"]),
)
def test_return_length_and_validity(deltas, still, success, last_row, where):
    drop = DropNoops(where=where)
    episode = deltas.episode(1, success=success, last_row=last_row)
    episode = with_still_steps(episode, sorted(still))
    try:
        result = drop(episode, deltas.schema)
    except BadEpisodeError:
        assert not last_row and len(still) == 11  # one step is no episode
        return
    if result is None:
        return
    assert len(episode) - len(still) <= len(result) <= len(episode)
    assert np.sum(result["reward"]) == np.sum(episode["reward"])
    assert check_one(result, deltas.schema) == []
    assert drop(result, deltas.schema) is result  # once is enough
