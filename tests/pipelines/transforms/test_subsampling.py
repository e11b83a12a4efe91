import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode
from serlds.datasets.errors import SchemaError
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.delta_actions import ToAbsoluteActions
from serlds.pipelines.transforms.subsampling import Subsample

POS = "observation/state/tcp_pos"


@settings(deadline=None, max_examples=40)
@given(
    every=st.integers(1, 15),
    actions=st.integers(2, 12),
    success=st.booleans(),
    last_row=st.booleans(),
    kind=st.sampled_from(["absolute", "joint_delta"]),
)
def test_return_time_and_end_stay(deltas, every, actions, success, last_row, kind):
    world = deltas
    episode = world.episode(1, actions, success, last_row)
    episode["reward"][: actions - 1] = np.arange(actions - 1)
    subsample = Subsample(kind, every=every)
    if every >= actions and not last_row:
        with pytest.raises(BadEpisodeError, match="two steps"):
            subsample(episode, world.schema)
        return
    result = subsample(episode, world.schema)
    schema = subsample.map_schema(world.schema)
    kept = np.arange(0, actions, every)
    assert len(result) == len(kept) + last_row
    np.testing.assert_array_equal(result["timestamp_s"][: len(kept)], episode["timestamp_s"][kept])
    assert np.sum(result["reward"]) == np.sum(episode["reward"])
    assert np.prod(result["discount"][: len(kept)]) == (not success)
    assert result["is_terminal"][-1] == success
    assert result.metadata["control_hz"] == pytest.approx(10 / every)
    assert [one for one in check_one(result, schema) if one.check != "success_reward"] == []


@pytest.mark.parametrize("frame", ["base", "tool"])
@pytest.mark.parametrize("every", [2, 3, 5])
def test_composed_displacements_reach_the_same_poses(deltas, every, frame):
    """The commands that the old actions add up to, taken at the new steps."""
    episode, subsample = deltas.episode(3), Subsample("pose_delta", every=every, frame=frame)
    schema = subsample.map_schema(deltas.schema)
    result = subsample(episode, deltas.schema)
    reach = every * np.sqrt(3)
    position = 0.02 * (reach if frame == "tool" else every)
    scale = schema["action"].about.scale
    assert scale == pytest.approx([position] * 3 + [0.1 * reach] * 3 + [1])
    to_absolute = ToAbsoluteActions(frame=frame, reference="command")
    fine = to_absolute(episode, deltas.schema)["action"][:-1]
    coarse = to_absolute(result, schema)["action"][:-1]
    last = [min(start + every, 12) - 1 for start in range(0, 12, every)]
    np.testing.assert_allclose(coarse[:, :3], fine[last, :3], atol=1e-6)
    turns = Rotation.from_rotvec(coarse[:, 3:6]).inv() * Rotation.from_rotvec(fine[last, 3:6])
    assert turns.magnitude().max() < 1e-5
    np.testing.assert_array_equal(coarse[:, 6], episode["action"][last, 6])


def test_joint_deltas_are_summed_and_targets_taken_last(deltas):
    episode = deltas.episode(3)
    summed = Subsample("joint_delta", every=3)
    result = summed(episode, deltas.schema)["action"]
    scale = np.array(summed.map_schema(deltas.schema)["action"].about.scale)
    expected = (
        episode["action"][:-1].reshape(4, 3, 7).sum(axis=1) * deltas.schema["action"].about.scale
    )
    np.testing.assert_allclose((result[:-1] * scale)[:, :6], expected[:, :6], rtol=1e-5)
    np.testing.assert_array_equal(result[:-1, 6], episode["action"][2:-1:3, 6])
    last = Subsample("absolute", every=3)(episode, deltas.schema)["action"]
    np.testing.assert_array_equal(last[:-1], episode["action"][2:-1:3])


def test_a_step_is_intervened_where_any_of_its_old_ones_was(deltas):
    episode = deltas.episode(3)
    episode["intervened"][4] = True
    result = Subsample("absolute", every=3)(episode, deltas.schema)
    assert result["intervened"].tolist() == [False, True, False, False, False]


def test_target_rate(deltas):
    episode = deltas.episode(3)
    by_rate = Subsample("absolute", hz=5)(episode, deltas.schema)
    by_number = Subsample("absolute", every=2)(episode, deltas.schema)
    assert by_rate.metadata == by_number.metadata and by_rate.metadata["control_hz"] == 5
    np.testing.assert_array_equal(by_rate["action"], by_number["action"])
    assert Subsample("absolute", hz=10)(episode, deltas.schema) is episode


@pytest.mark.parametrize("rate", [10.0, 12.5, 0.0, float("nan")])
def test_rate_that_is_no_multiple_is_refused(deltas, rate):
    episode = deltas.episode(3)
    episode = Episode(episode.columns, {**episode.metadata, "control_hz": rate})
    with pytest.raises(BadEpisodeError, match=f"multiple of 4 Hz, found {rate:g} Hz"):
        Subsample("absolute", hz=4)(episode, deltas.schema)


def test_rate_needs_one_scale_for_all_episodes(deltas):
    with pytest.raises(SchemaError, match="give every="):
        Subsample("pose_delta", hz=5).map_schema(deltas.schema)


TURNS = [[1, 1, 1], [1, -1, 1]]  # together more about x than 2 in units of the old scale


@pytest.mark.parametrize("frame", ["base", "tool"])
def test_turns_about_different_axes_stay_in_the_scale(deltas, frame):
    episode = deltas.episode(3)
    action = np.ones((13, 7), np.float32)
    action[:-1, 3:6] = TURNS * 6
    action[-1] = 0
    episode = dataclasses.replace(episode, columns={**episode.columns, "action": action})
    subsample = Subsample("pose_delta", every=4, frame=frame)
    result = subsample(episode, deltas.schema)
    assert check_one(result, subsample.map_schema(deltas.schema)) == []


@pytest.mark.parametrize(("scale_rad", "fits"), [(0.2, False), (0.25, True)])
def test_chosen_scale_of_turns(deltas, scale_rad, fits):
    episode = deltas.episode(3)
    episode["action"][:2, 3:6] = TURNS
    subsample = Subsample("pose_delta", every=2, scale_rad=scale_rad)
    assert subsample.map_schema(deltas.schema)["action"].about.scale[3:6] == (scale_rad,) * 3
    if fits:
        exact = Subsample("pose_delta", every=2)(episode, deltas.schema)["action"]
        chosen = subsample(episode, deltas.schema)["action"]
        factor = scale_rad / (0.2 * np.sqrt(3))
        np.testing.assert_allclose(chosen[:, 3:6] * factor, exact[:, 3:6], atol=1e-6)
    else:
        with pytest.raises(BadEpisodeError, match=r"step 0, field action.*its scale allows"):
            subsample(episode, deltas.schema)
