import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.datasets.episode import Episode
from serlds.datasets.errors import UsageError
from serlds.datasets.schema import Schema
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.classifying import ClassifyReward
from serlds.pipelines.transforms.nstep import AddNstep
from serlds.pipelines.transforms.rewards import ScaleReward, SparseReward


def rewarded(episode, rewards):
    reward = np.zeros(len(episode), np.float32)
    reward[: len(rewards)] = rewards
    return Episode({**episode.columns, "reward": reward}, episode.metadata)


@pytest.mark.parametrize("last_row", [True, False])
def test_sparse_reward(deltas, last_row):
    episode = rewarded(deltas.episode(0, last_row=last_row), np.linspace(0, 1, 12))
    result = SparseReward()(episode, deltas.schema)
    assert result["reward"].tolist() == [0] * 11 + [1] + [0] * last_row
    assert SparseReward()(result, deltas.schema)["reward"].tolist() == result["reward"].tolist()


@pytest.mark.parametrize(("terminate", "discount"), [(False, 1), (True, 0)])
def test_sparse_reward_of_a_success_that_went_on(deltas, terminate, discount):
    episode = deltas.episode(0, success=False)
    episode = Episode(episode.columns, {**episode.metadata, "success": True})
    result = SparseReward(terminate=terminate)(episode, deltas.schema)
    assert result["discount"][-2] == discount and result["is_terminal"][-1] == terminate
    assert check_one(result, deltas.schema) == []


@given(
    scale=st.floats(0.1, 10),
    offset=st.floats(-5, 5),
    rewards=st.lists(st.floats(-2, 2), min_size=12, max_size=12),
)
def test_scale_reward(deltas, scale, offset, rewards):
    episode = rewarded(deltas.episode(0), rewards)
    result = ScaleReward(scale, offset)(episode, deltas.schema)
    expected = np.sum(np.array(rewards)) * scale + 12 * offset
    assert result.episode_return() == pytest.approx(expected, abs=1e-3)
    assert result["reward"][-1] == 0  # nothing is done there
    back = ScaleReward(1 / scale, -offset / scale)(result, deltas.schema)
    np.testing.assert_allclose(back["reward"], episode["reward"], atol=1e-4)


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """Makes a classifier of some code in a module of its own; returns its name."""
    number = 0

    def make(code):
        nonlocal number
        number += 1
        name = f"made_up_classifier_{tmp_path.name}_{number}"
        (tmp_path / f"{name}.py").write_text(
            f"import numpy as np\ndef judge(episode, schema):\n    return {code}\n"
        )
        return f"{name}:judge"

    monkeypatch.syspath_prepend(tmp_path)
    return make


@pytest.mark.parametrize("last_row", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_classified_success_ends_the_episode(deltas, classifier, last_row, recorded):
    name = classifier("np.where(np.arange(len(episode)) >= 6, 0.9, 0.3)")
    episode = deltas.episode(0, success=recorded, last_row=last_row)
    result = ClassifyReward(name)(episode, deltas.schema)
    # Observation 6 is what action 5 led to.
    assert result["reward"].tolist() == [0] * 5 + [1] + [0] * last_row
    assert result["discount"][:6].tolist() == [1] * 5 + [0]
    assert result.success and check_one(result, deltas.schema) == []
    np.testing.assert_array_equal(result["action"][:6], episode["action"][:6])
    assert not result["action"][6:].any()


@pytest.mark.parametrize(("threshold", "found"), [(0.3, True), (0.31, False)])
def test_threshold(deltas, classifier, threshold, found):
    name = classifier("np.where(np.arange(len(episode)) == 12, 0.3, 0)")
    result = ClassifyReward(name, threshold)(deltas.episode(0), deltas.schema)
    assert result.success == found and result.episode_return() == found
    assert len(result) == 13


def test_success_of_several_frames_in_a_row(deltas, classifier):
    # The first observation does not count: 0 and 1 are no two in a row, 4 to 6 are.
    name = classifier("np.isin(np.arange(len(episode)), [0, 1, 4, 5, 6]).astype(float)")
    rewarded = [ClassifyReward(name, frames=n, end=False) for n in (1, 2, 3, 4, 20)]
    found = [np.flatnonzero(c(deltas.episode(0), deltas.schema)["reward"]) for c in rewarded]
    assert [places.tolist() for places in found] == [[0, 3, 4, 5], [4, 5], [5], [], []]


def test_all_successes_are_rewarded_without_end(deltas, classifier):
    name = classifier("(np.arange(len(episode)) % 4 == 0).astype(float)")
    result = ClassifyReward(name, end=False)(deltas.episode(0), deltas.schema)
    assert np.flatnonzero(result["reward"]).tolist() == [3, 7, 11]
    assert result.success and len(result) == 13
    assert check_one(result, deltas.schema) == []


def test_success_is_added_to_metadata_that_lack_it(deltas, classifier):
    metadata = tuple(field for field in deltas.schema.metadata if field.path != "success")
    schema = Schema(deltas.schema.steps, metadata)
    episode = deltas.episode(0)
    episode.metadata.pop("success")
    classify = ClassifyReward(classifier("np.ones(len(episode))"))
    result = classify(episode, schema)
    assert check_one(result, classify.map_schema(schema)) == [] and len(result) == 2


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("np.ones(3)", r"one number for each step \(expected \(13,\), found float64 \(3,\)"),
        ("np.ones((len(episode), 2))", "one number for each step"),
        ("['yes'] * len(episode)", "one number for each step"),
        ("np.arange(len(episode))", r"step 2: the classifier gives no probability"),
        ("np.full(len(episode), np.nan)", r"step 0: .*expected 0 to 1, found nan"),
    ],
)
def test_classifier_that_gives_no_probabilities(deltas, classifier, code, complaint):
    with pytest.raises(BadEpisodeError, match=complaint):
        ClassifyReward(classifier(code))(deltas.episode(0), deltas.schema)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_module_at_all:f", "ModuleNotFoundError"),
        ("math:no_such", "AttributeError"),
        ("math", "expected module:function"),
        ("math:pi", "expected module:function"),
    ],
)
def test_classifier_that_cannot_be_imported(deltas, name, complaint):
    with pytest.raises(UsageError, match=complaint):
        ClassifyReward(name).map_schema(deltas.schema)


@settings(deadline=None)
@given(
    n=st.integers(1, 15),
    gamma=st.sampled_from([0.5, 0.99, 1.0]),
    rewards=st.lists(st.floats(-2, 2), min_size=1, max_size=12),
    success=st.booleans(),
    last_row=st.booleans(),
)
def test_nstep_is_the_sum_written_out(deltas, n, gamma, rewards, success, last_row):
    count = len(rewards)
    if not last_row and count < 2:
        return
    episode = deltas.episode(1, count, success, last_row)
    episode = rewarded(episode, [*rewards[:-1], 1.5])
    result = AddNstep(n, gamma)(episode, deltas.schema)
    # Without a row after it, an action whose outcome is open has no observation to go on from.
    actions = count if last_row or success else count - 1
    reward, discount = episode["reward"], episode["discount"]
    for row in range(len(episode)):
        length = max(0, min(n, actions - row))
        window = range(row, row + length)
        total, factor = 0.0, 1.0
        for step in window:
            total, factor = total + factor * reward[step], factor * gamma * discount[step]
        assert result["nstep/length"][row] == length
        assert result["nstep/reward"][row] == pytest.approx(total, abs=1e-5)
        assert result["nstep/discount"][row] == pytest.approx(factor if length else 0, abs=1e-6)
        assert row + length < len(episode) or factor == 0  # the observation is there
    assert result["reward"] is episode["reward"]
