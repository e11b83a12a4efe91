import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serlds.datasets import keys
from serlds.datasets.episode import Episode
from serlds.training.replay_items import ItemLayout, Origin, pack_episode
from serlds.training.transition import Observation, Transition

FIELDS = ("observation/state/a", "observation/state/b")


def episode_of_frame_ids(num_transitions, first_id):
    """Every value tells its row: state (id, id), action id, reward id / 2."""
    ids = first_id + np.arange(num_transitions + 1, dtype=np.float32)
    discount = np.ones(len(ids), np.float32)
    discount[-2] = 0.0
    columns = {
        "observation/state/b": np.stack([ids, ids], axis=1),
        "observation/state/a": ids[:, None],
        "observation/state/unused": -ids[:, None],
        keys.ACTION: np.stack([ids, -ids], axis=1),
        keys.REWARD: ids / 2,
        keys.DISCOUNT: discount,
        keys.IS_FIRST: ids == first_id,
    }
    return Episode(columns, {})


@given(st.integers(1, 40), st.integers(0, 1000), st.integers(-1, 3), st.integers(0, 2**23))
def test_packed_transitions_are_those_of_the_episode(transitions, first_id, source, ordinal):
    layout = ItemLayout(observation_dim=3, action_dim=2)
    episode = episode_of_frame_ids(transitions, first_id)
    rows = pack_episode(episode, FIELDS, layout, source, ordinal)
    assert rows.shape == (transitions, layout.width)
    assert rows.dtype == np.float32
    ids = first_id + np.arange(transitions)
    found = layout.unpack(rows)
    np.testing.assert_array_equal(found.observation.state, np.stack([ids] * 3, axis=1))
    np.testing.assert_array_equal(found.next_observation.state, found.observation.state + 1)
    np.testing.assert_array_equal(found.action, np.stack([ids, -ids], axis=1))
    np.testing.assert_array_equal(found.reward, ids / 2)
    np.testing.assert_array_equal(found.discount, [1.0] * (transitions - 1) + [0.0])
    origin = layout.origin(rows)
    assert set(origin.source.tolist()) == {source}
    assert set(origin.episode.tolist()) == {ordinal}
    assert origin.step.tolist() == list(range(transitions))


def test_a_chunk_is_the_steps_action_and_those_after_it():
    layout = ItemLayout(observation_dim=3, action_dim=2, chunk=3)
    rows = pack_episode(episode_of_frame_ids(4, 10), FIELDS, layout, 0, 0)
    assert rows.shape == (4, layout.width)
    found = layout.unpack(rows)
    # The last action of the episode, 13, is repeated; nothing comes from the step after it.
    assert found.action[:, ::2].tolist() == [[10, 11, 12], [11, 12, 13], [12, 13, 13], [13] * 3]
    np.testing.assert_array_equal(found.action[:, 1::2], -found.action[:, ::2])
    assert found.reward.tolist() == [5.0, 5.5, 6.0, 6.5]
    assert layout.origin(rows).step.tolist() == [0, 1, 2, 3]


def test_unpack_takes_stacked_minibatches():
    layout = ItemLayout(observation_dim=2, action_dim=1)
    numbers = np.arange(6.0)
    transition = Transition(
        Observation(np.stack([numbers, numbers], 1)),
        numbers[:, None],
        numbers,
        numbers,
        Observation(np.zeros((6, 2))),
    )
    rows = layout.pack(transition, Origin(numbers, numbers, numbers))
    stacked = layout.unpack(rows.reshape(2, 3, layout.width))
    assert stacked.observation.state.shape == (2, 3, 2)
    assert stacked.reward.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert layout.origin(rows.reshape(2, 3, -1)).step.tolist() == [[0, 1, 2], [3, 4, 5]]
