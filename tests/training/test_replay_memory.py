import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.training.replay_items import ItemLayout, Origin
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.transition import Transition

LAYOUT = ItemLayout(observation_dim=1, action_dim=1)


def rows_of(source, ids):
    ids = np.asarray(ids, np.float32)
    column = ids[:, None]
    origin = Origin(np.full(len(ids), source), ids, ids)
    return LAYOUT.pack(Transition(column, column, ids, ids, column), origin)


@given(st.integers(1, 30), st.lists(st.integers(0, 70), max_size=10))
def test_it_holds_the_newest_rows(capacity, additions):
    memory, first = ReplayMemory(capacity, 1), 0
    for count in additions:
        memory.add(np.arange(first, first + count, dtype=np.float32)[:, None])
        first += count
        newest = list(range(max(first - capacity, 0), first))
        assert sorted(memory.rows[:, 0].tolist()) == newest
        assert len(memory) == len(newest)


@pytest.mark.parametrize(("demos", "online"), [(4, 4), (6, 2), (0, 8), (8, 0)])
def test_every_minibatch_has_the_exact_share_of_each_table(demos, online):
    memories = {"demos": ReplayMemory(50, LAYOUT.width), "online": ReplayMemory(50, LAYOUT.width)}
    memories["demos"].add(rows_of(0, range(20)))
    memories["online"].add(rows_of(-1, range(30)))
    rows = {"demos": demos, "online": online}
    batch = draw_batch(memories, rows, 5, LAYOUT, np.random.default_rng(0))
    assert batch.transitions.observation.shape == (5, 8, 1)
    assert batch.transitions.reward.shape == (5, 8)
    assert (batch.origin.source[:, :demos] == 0).all()
    assert (batch.origin.source[:, demos:] == -1).all()
    np.testing.assert_array_equal(batch.transitions.observation[..., 0], batch.origin.step)


def test_draws_are_uniform_and_repeat_with_their_seed():
    memory = ReplayMemory(100, 1)
    memory.add(np.arange(10, dtype=np.float32)[:, None])
    drawn = memory.draw(np.random.default_rng(3), (100, 100)).ravel()
    counts = np.bincount(drawn.astype(int), minlength=10)
    assert len(counts) == 10
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()
    again = memory.draw(np.random.default_rng(3), (100, 100)).ravel()
    np.testing.assert_array_equal(drawn, again)
