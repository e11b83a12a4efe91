"""Loading, sampling and the limiter, against a replay server in another process."""

import itertools

import numpy as np
import pytest

from serlds.datasets.reading import open_dataset
from serlds.training.replay_client import inserted, table_infos
from serlds.training.replay_items import ItemLayout, Origin, pack_episode
from serlds.training.replay_loader import (
    load_table,
    numbered_episodes,
    observation_statistics,
)
from serlds.training.replay_sampler import BatchSampler
from serlds.training.replay_tables import DEMOS, ONLINE
from serlds.training.replay_writer import TransitionWriter
from serlds.training.transition import Transition

MINIBATCHES = 3


@pytest.fixture
def layout(served_run):
    task = served_run[1].task
    return ItemLayout(task.observation_dim, task.action_dim)


@pytest.fixture
def sampler(client, layout):
    """Opens samplers and closes them at the end."""
    opened = []

    def sample(**rows):
        opened.append(BatchSampler(client.server_address, layout, MINIBATCHES, rows))
        return opened[-1]

    yield sample
    for each in opened:
        each.close()


def online_rows(layout, count, first=0):
    """Rows whose every value is their number."""
    ids = np.arange(first, first + count, dtype=np.float32)
    states = np.repeat(ids[:, None], layout.observation_dim, axis=1)
    actions = np.repeat(ids[:, None], layout.action_dim, axis=1)
    origin = Origin(np.full(count, -1), np.full(count, 7), ids)
    return layout.pack(Transition(states, actions, ids, ids, states + 1), origin)


def insert(client, layout, count, first=0):
    writer = TransitionWriter(client, ONLINE)
    for row in online_rows(layout, count, first):
        writer.write(row)
    writer.flush()
    writer.close()


def test_every_sample_is_a_step_of_the_log(client, served_run, layout, sampler, demos):
    fields, dataset = served_run[1].task.state_fields, open_dataset(demos)
    loaded = load_table(client, DEMOS, numbered_episodes([dataset], 2), fields, layout)
    assert loaded == sum(e.num_transitions for e in dataset.episodes())
    assert table_infos(client)[DEMOS].current_size == loaded
    expected = {
        (2, ordinal, step): row
        for ordinal, episode in enumerate(dataset.episodes())
        for step, row in enumerate(pack_episode(episode, fields, layout, 2, ordinal))
    }
    seen, batches = set(), sampler(demos=64)
    while len(seen) < loaded:
        batch = batches.get(10.0)
        rows = layout.pack(
            Transition(*(field.reshape(-1, *field.shape[2:]) for field in batch.transitions)),
            Origin(*(part.ravel() for part in batch.origin)),
        )
        for row, key in zip(rows, zip(*map(np.ravel, batch.origin), strict=True), strict=True):
            np.testing.assert_array_equal(row, expected[tuple(map(int, key))])
            seen.add(tuple(map(int, key)))
    assert seen == set(expected)


def test_only_the_newest_transitions_are_refilled(client, served_run, layout, sampler, demos):
    fields, dataset = served_run[1].task.state_fields, open_dataset(demos)
    assert load_table(client, DEMOS, numbered_episodes([dataset]), fields, layout, newest=3) == 3
    last = dataset.episode(dataset.num_episodes - 1).num_transitions
    batch = sampler(demos=16).get(10.0)
    assert set(batch.origin.episode.ravel().tolist()) == {dataset.num_episodes - 1}
    assert set(batch.origin.step.ravel().tolist()) <= {last - 3, last - 2, last - 1}


def test_statistics_are_those_of_all_observations(served_run, demos):
    fields, dataset = served_run[1].task.state_fields, open_dataset(demos)
    mean, std = observation_statistics([dataset, dataset], fields)
    states = np.concatenate([e.state_matrix() for e in dataset.episodes()]).astype(np.float64)
    np.testing.assert_allclose(mean, states.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std, states.std(axis=0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("from_demos", "from_online"), [(4, 4), (6, 2), (0, 8), (8, 0)])
def test_every_minibatch_has_the_exact_share_of_each_table(
    client, served_run, layout, sampler, demos, from_demos, from_online
):
    fields = served_run[1].task.state_fields
    load_table(client, DEMOS, numbered_episodes([open_dataset(demos)]), fields, layout)
    insert(client, layout, 50)
    batches = sampler(demos=from_demos, online=from_online)
    for _ in range(3):
        batch = batches.get(10.0)
        assert batch.transitions.observation.shape == (MINIBATCHES, 8, layout.observation_dim)
        assert (batch.origin.source[:, :from_demos] == 0).all()
        assert (batch.origin.source[:, from_demos:] == -1).all()


def test_limiter_lets_exactly_the_configured_ratio_through(client, layout, sampler):
    batches, got, inserts = sampler(online=4), 0, itertools.count()
    for burst in (5, 1, 3, 13):
        for _ in range(burst):
            insert(client, layout, 1, next(inserts))
        while (batch := batches.get(1.2)) is not None:  # longer than a reader's time limit
            got += batch.origin.step.size
        # 8 samples per step after the 5 that training starts with; whole batches of 12 of them
        allowed = 8 * (inserted(table_infos(client)[ONLINE]) - 5)
        assert got == allowed // 12 * 12
        assert batches.waiting_for() == [ONLINE]
    assert got == 8 * 17 // 12 * 12


def test_an_actor_that_pauses_blocks_nobody(client, layout, sampler):
    batches = sampler(online=4)
    insert(client, layout, 5 + 3)
    assert batches.get(10.0) is not None
    while batches.get(0.7) is not None:
        pass
    insert(client, layout, 200, first=8)  # far more than is ever sampled: no insert waits
    assert batches.get(10.0) is not None


def test_a_table_without_data_is_named(sampler):
    batches = sampler(demos=4, online=4)
    assert batches.get(0.1) is None
    assert batches.waiting_for() == [DEMOS, ONLINE]
