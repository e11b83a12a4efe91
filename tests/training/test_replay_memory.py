import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.datasets.errors import SerldsError
from serlds.training.replay_items import Camera, ItemLayout, Origin, Rows
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.transition import Observation, Transition

LAYOUT = ItemLayout(observation_dim=1, action_dim=1)


def rows_of(source, ids):
    ids = np.asarray(ids, np.float32)
    column = ids[:, None]
    origin = Origin(np.full(len(ids), source), ids, ids)
    transition = Transition(Observation(column), column, ids, ids, Observation(column))
    return Rows(LAYOUT.pack(transition, origin))


@given(st.integers(1, 30), st.lists(st.integers(0, 70), max_size=10))
def test_it_holds_the_newest_rows(capacity, additions):
    memory, first = ReplayMemory(capacity, LAYOUT), 0
    for count in additions:
        memory.add(rows_of(0, range(first, first + count)))
        first += count
        newest = list(range(max(first - capacity, 0), first))
        assert sorted(memory.transitions[:, 0].tolist()) == newest
        assert len(memory) == len(newest)


@pytest.mark.parametrize(("demos", "online"), [(4, 4), (6, 2), (0, 8), (8, 0)])
def test_every_minibatch_has_the_exact_share_of_each_table(demos, online):
    memories = {"demos": ReplayMemory(50, LAYOUT), "online": ReplayMemory(50, LAYOUT)}
    memories["demos"].add(rows_of(0, range(20)))
    memories["online"].add(rows_of(-1, range(30)))
    rows = {"demos": demos, "online": online}
    batch = draw_batch(memories, rows, 5, LAYOUT, np.random.default_rng(0))
    assert batch.transitions.observation.state.shape == (5, 8, 1)
    assert batch.transitions.reward.shape == (5, 8)
    assert (batch.origin.source[:, :demos] == 0).all()
    assert (batch.origin.source[:, demos:] == -1).all()
    np.testing.assert_array_equal(batch.transitions.observation.state[..., 0], batch.origin.step)


def test_draws_are_uniform_and_repeat_with_their_seed():
    memory = ReplayMemory(100, LAYOUT)
    memory.add(rows_of(0, range(10)))
    drawn = memory.draw(np.random.default_rng(3), (100, 100)).ravel()
    counts = np.bincount(drawn, minlength=10)
    assert len(counts) == 10
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()
    again = memory.draw(np.random.default_rng(3), (100, 100)).ravel()
    np.testing.assert_array_equal(drawn, again)


SEEING = ItemLayout(1, 1, (Camera("front", 2, 3), Camera("wrist", 1, 1)))


def frames_of(numbers):
    """A pixel of every frame tells its number, in base 256."""
    pixels = np.stack([numbers // 256, numbers % 256, numbers * 0], axis=1).astype(np.uint8)
    shapes = {camera.name: (len(numbers), *camera.shape) for camera in SEEING.cameras}
    return {n: np.broadcast_to(pixels[:, None, None], shape) for n, shape in shapes.items()}


def episode_of(ordinal, length, source=-1):
    """Rows of an episode whose states and frames are 100 * ordinal + step."""
    ids = 100 * ordinal + np.arange(length + 1)
    steps, column = np.arange(length), ids.astype(np.float32)[:, None]
    origin = Origin(np.full(length, source), np.full(length, ordinal), steps)
    transition = Transition(
        Observation(column[:-1]), column[:-1], steps, steps, Observation(column[1:])
    )
    opening = SEEING.opening(column[0], source, ordinal)
    return Rows(np.concatenate([opening, SEEING.pack(transition, origin)]), frames_of(ids))


def one_by_one(rows):
    for i in range(len(rows.packed)):
        part = slice(i, i + 1)
        yield Rows(rows.packed[part], {n: frames[part] for n, frames in rows.frames.items()})


def drawn(memory, count=400, seed=0):
    """Batch of so many, checked: states and both frames are those of its episode and step."""
    rng = np.random.default_rng(seed)
    batch = draw_batch({"online": memory}, {"online": count}, 2, SEEING, rng)
    transitions, origin = batch
    ids = 100 * origin.episode + origin.step
    assert (origin.step >= 0).all()
    sides = (transitions.observation, ids), (transitions.next_observation, ids + 1)
    for observation, expected in sides:
        np.testing.assert_array_equal(observation.state[..., 0], expected)
        for name in ("front", "wrist"):
            pixels = observation.images[name].astype(int)
            found = pixels[..., 0] * 256 + pixels[..., 1]
            assert (found == expected[..., None, None]).all()
    return set(zip(origin.episode.ravel().tolist(), origin.step.ravel().tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.lists(st.integers(1, 12), min_size=1, max_size=9), st.randoms())
def test_a_transition_has_the_frames_of_its_own_two_steps(capacity, lengths, random):
    """However the rows of several actors mix, and while old ones make way."""
    memory = ReplayMemory(capacity, SEEING)
    streams = [list(one_by_one(episode_of(i, n))) for i, n in enumerate(lengths)]
    order = []
    while any(streams):
        i = random.choice([i for i, stream in enumerate(streams) if stream])
        rows = streams[i].pop(0)
        memory.add(rows)
        order.append((i, int(rows.packed[0, -1])))
        kept = order[-capacity:]
        expected = {(e, s) for e, s in kept if s >= 0 and (e, s - 1) in kept}
        assert len(memory) == len(expected)
        if expected:
            assert drawn(memory) <= expected
    if len(memory):
        assert drawn(memory, 4000) == expected


def test_steps_beside_a_gap_are_not_drawn():
    memory = ReplayMemory(50, SEEING)
    first, *rest = one_by_one(episode_of(1, 8))
    for rows in (first, *rest[:3], *rest[4:]):  # step 3 is lost on its way
        memory.add(rows)
    assert len(memory) == 6
    assert drawn(memory) == {(1, step) for step in (0, 1, 2, 5, 6, 7)}


def test_an_episode_begun_again_does_not_continue_the_one_before():
    memory = ReplayMemory(50, SEEING)
    for rows in [*one_by_one(episode_of(1, 8))][:4]:
        memory.add(rows)
    memory.add(episode_of(1, 2))
    assert len(memory) == 5
    assert drawn(memory) == {(1, 0), (1, 1), (1, 2)}


def test_many_rows_at_once_are_those_one_by_one():
    at_once, single = ReplayMemory(30, SEEING), ReplayMemory(30, SEEING)
    for ordinal in range(9):
        rows = episode_of(ordinal, 6)
        at_once.add(rows)
        for one in one_by_one(rows):
            single.add(one)
    assert len(at_once) == len(single)
    assert drawn(at_once) == drawn(single)


@pytest.mark.parametrize("rows", [[], [next(one_by_one(episode_of(0, 3)))]])
def test_a_table_without_a_whole_transition_is_named(rows):
    memory = ReplayMemory(10, SEEING)
    for one in rows:
        memory.add(one)
    with pytest.raises(SerldsError, match="table 'online' has given no transition"):
        drawn(memory)
