"""Loading tables from RLDS and taking transitions out, against a server in another process."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.training.config import ScheduleConfig
from serlds.training.learner_replay import LearnerReplay
from serlds.training.replay_client import inserted, table_infos
from serlds.training.replay_items import ItemLayout, LooseRow, Origin, Rows, pack_episode
from serlds.training.replay_loader import ROWS_PER_ITEM, fill_tables, write_table
from serlds.training.replay_receiver import TableReceiver
from serlds.training.replay_tables import DEMOS, ONLINE, updates_paid_for
from serlds.training.replay_writer import TransitionStream, TransitionWriter
from serlds.training.stopping import StopRequest
from serlds.training.transition import Observation, Transition


@pytest.fixture
def session(served_run):
    return served_run[0].read_session()


@pytest.fixture
def layout(session):
    return session.replay.layout


def rows_of_ids(layout, ids, episode=7):
    """Online rows whose every value is their number."""
    ids = np.asarray(ids, np.float32)
    states = np.repeat(ids[:, None], layout.observation_dim, axis=1)
    actions = np.repeat(ids[:, None], layout.action_dim, axis=1)
    origin = Origin(np.full(len(ids), -1), np.full(len(ids), episode), ids)
    before, after = Observation(states), Observation(states + 1)
    return Rows(layout.pack(Transition(before, actions, ids, ids, after), origin))


def loose_row_of_id(layout, number):
    """The same of one, as an actor sends it."""
    state = np.full(layout.observation_dim, number, np.float32)
    action = np.full(layout.action_dim, number, np.float32)
    return LooseRow(state, action, number, number, state + 1, False, -1, 7, number)


def insert(client, layout, ids):
    writer = TransitionWriter(client, ONLINE)
    for number in ids:
        writer.write(rows_of_ids(layout, [number]))
    writer.flush()
    writer.close()


def take_until(receiver, rows):
    taken = []
    while (count := sum(len(item.packed) for item in taken)) < rows:
        arrived = receiver.take(10.0)
        assert arrived, f"only {count} of {rows} rows arrived"
        taken += arrived
    return taken


def packed(taken):
    return np.concatenate([rows.packed for rows in taken])


def test_the_table_holds_exactly_the_steps_of_the_log(client, served_run, session, layout, demos):
    directory, record, _ = served_run
    fill_tables(client, directory, record, session)
    dataset = open_dataset(demos)
    fields = record.task.state_fields
    episodes = enumerate(dataset.episodes())
    expected = np.concatenate([pack_episode(e, fields, layout, 0, i) for i, e in episodes])
    with closing(TableReceiver(client.server_address, DEMOS, layout)) as receiver:
        np.testing.assert_array_equal(packed(take_until(receiver, len(expected))), expected)


@pytest.mark.parametrize("count", [0, 1, ROWS_PER_ITEM - 1, ROWS_PER_ITEM, 2 * ROWS_PER_ITEM + 3])
def test_tables_of_every_size_arrive_whole(client, layout, count):
    # More items than the table holds at once, so they are taken while they are written.
    rows = rows_of_ids(layout, np.arange(count)).packed
    parts = [Rows(part) for part in np.array_split(rows, 3)]
    items = count // ROWS_PER_ITEM + count % ROWS_PER_ITEM
    with (
        closing(TableReceiver(client.server_address, ONLINE, layout)) as receiver,
        ThreadPoolExecutor(1) as pool,
    ):
        writing = pool.submit(write_table, client, ONLINE, parts, layout)
        taken = [Rows(np.zeros((0, layout.width))), *take_until(receiver, count)]
        writing.result()
    assert inserted(table_infos(client)[ONLINE]) == items
    np.testing.assert_array_equal(packed(taken), rows)


def test_what_is_drawn_can_be_looked_up_in_the_log(client, served_run, session, demos, batch_log):
    directory, record, _ = served_run
    fill_tables(client, directory, record, session)
    episodes = list(open_dataset(demos).episodes())
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.size(DEMOS) == sum(e.num_transitions for e in episodes)
        batch = replay.draw({DEMOS: 64, ONLINE: 0}, 3, (0, 0))
    assert (batch.origin.source == 0).all()
    for place in np.ndindex(3, 64):
        episode, step = episodes[batch.origin.episode[place]], batch.origin.step[place]
        states = episode.state_matrix()
        np.testing.assert_array_equal(batch.transitions.observation.state[place], states[step])
        np.testing.assert_array_equal(
            batch.transitions.next_observation.state[place], states[step + 1]
        )
        np.testing.assert_array_equal(batch.transitions.action[place], episode["action"][step])
        assert batch.transitions.reward[place] == episode["reward"][step]
        assert batch.transitions.discount[place] == episode["discount"][step]


def test_statistics_are_those_of_the_demonstrations(client, served_run, session, demos, batch_log):
    directory, record, _ = served_run
    fill_tables(client, directory, record, session)
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        mean, std = replay.observation_statistics()
        assert (mean == 0).all() and (std == 1).all()  # nothing has arrived yet
        replay.fill(StopRequest())
        mean, std = replay.observation_statistics()
    states = [e.state_matrix()[:-1] for e in open_dataset(demos).episodes()]
    states = np.concatenate(states).astype(np.float64)
    np.testing.assert_allclose(mean, states.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(std, states.std(axis=0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("limit", ["configuration", "table"])
def test_a_resumed_run_gets_its_newest_episodes_back(
    client, served_run, session, layout, demos, tmp_path, limit
):
    directory, record, _ = served_run
    # The log of the earlier session: the demonstrations' episodes will do.
    (tmp_path / "episodes").symlink_to(demos.parent)
    resumed, run = dataclasses.replace(session, env_steps=1), record.run
    capacity = dataclasses.replace(run.replay, online_capacity=20)
    if limit == "configuration":
        run = dataclasses.replace(run, replay=capacity)
    else:  # as of a run whose last episode outlasted it
        plan = dataclasses.replace(session.replay, capacity=capacity)
        resumed = dataclasses.replace(resumed, replay=plan)
    there = dataclasses.replace(directory, path=tmp_path)
    fill_tables(client, there, dataclasses.replace(record, run=run), resumed)
    with closing(TableReceiver(client.server_address, ONLINE, layout)) as receiver:
        origin = layout.origin(packed(take_until(receiver, 20)))
    lengths = [e.num_transitions for e in open_dataset(demos).episodes()]
    everything = [(-1, e, step) for e, n in enumerate(lengths) for step in range(n)]
    assert list(zip(*(part.tolist() for part in origin), strict=True)) == everything[-20:]


def test_more_demonstrations_than_there_is_room_for_are_refused(client, served_run, session):
    directory, record, _ = served_run
    replay = dataclasses.replace(record.run.replay, demos_capacity=10)
    small = dataclasses.replace(record, run=dataclasses.replace(record.run, replay=replay))
    with pytest.raises(UsageError, match=r"more than replay\.demos_capacity = 10"):
        fill_tables(client, directory, small, session)


def test_every_item_is_taken_once_and_in_order_across_pauses(client, layout):
    with closing(TableReceiver(client.server_address, ONLINE, layout)) as receiver:
        taken, first = [], 0
        for burst in (1, 40, 3, 200):
            insert(client, layout, range(first, first + burst))
            first += burst
            taken += take_until(receiver, burst)
            assert receiver.take(0.7) == []  # longer than a reader's time limit
        assert receiver.items == first
    assert packed(taken)[:, 0].tolist() == list(range(first))
    assert table_infos(client)[ONLINE].current_size == 0


@pytest.mark.parametrize("count", [30, 64, 300])
def test_a_stream_sends_all_rows_in_order(client, layout, count):
    stream = TransitionStream(client, ONLINE, layout, interval_s=0.02)
    with closing(TableReceiver(client.server_address, ONLINE, layout)) as receiver:
        for number in range(count):
            stream.write(loose_row_of_id(layout, number))
        taken = take_until(receiver, count)  # without having been flushed
        for number in range(count, count + 70):
            stream.write(loose_row_of_id(layout, number))
        stream.close()
        taken += take_until(receiver, 70)
    expected = rows_of_ids(layout, np.arange(count + 70)).packed
    np.testing.assert_array_equal(packed(taken), expected)


def test_inserting_waits_for_nobody(client, layout):
    insert(client, layout, range(60))  # all that the table holds; nobody takes them
    assert inserted(table_infos(client)[ONLINE]) == 60


def test_receiving_counts_environment_steps(client, session, layout, batch_log):
    with closing(
        LearnerReplay(client, dataclasses.replace(session, env_steps=100), batch_log)
    ) as replay:
        insert(client, layout, range(8))
        count = 0
        while count < 8:
            arrived = replay.receive(10.0)
            assert arrived
            count += arrived
        assert replay.env_steps == 108
        assert replay.size(ONLINE) == 8
        assert replay.receive() == 0
        assert replay.write_off_lost() == 0


def test_transitions_lost_on_the_way_are_written_off(client, session, layout, batch_log):
    thief = TableReceiver(client.server_address, ONLINE, layout)
    time.sleep(0.3)  # until it waits at the table, before the learner does
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        insert(client, layout, range(20))
        take_until(thief, 1)
        while table_infos(client)[ONLINE].current_size:
            time.sleep(0.05)
        thief.close()
        insert(client, layout, range(20, 30))
        arrived = 0
        while (count := replay.receive(1.0)) > 0:
            arrived += count
        assert arrived < 30
        assert replay.write_off_lost() == 30 - arrived
        assert replay.env_steps == arrived
        assert replay.write_off_lost() == 0


def test_what_others_took_before_is_not_waited_for(client, session, layout, batch_log):
    insert(client, layout, range(5))
    with closing(TableReceiver(client.server_address, ONLINE, layout)) as earlier:
        take_until(earlier, 5)
    insert(client, layout, range(3))
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.size(ONLINE) == 3
        assert replay.env_steps == 0  # those of earlier sessions are counted in the session
        assert replay.write_off_lost() == 0


@pytest.mark.parametrize(
    ("start", "steps_per_update", "env_steps", "updates"),
    [(0, 1, 0, 0), (0, 1, 7, 7), (5, 1, 5, 0), (5, 1, 12, 7), (5, 1, 3, 0), (5, 4, 12, 1)],
)
def test_environment_steps_pay_for_updates(start, steps_per_update, env_steps, updates):
    schedule = ScheduleConfig(start_training_steps=start, env_steps_per_update=steps_per_update)
    assert updates_paid_for(schedule, env_steps) == updates


def test_rows_of_another_width_are_refused(client, layout):
    writer = TransitionWriter(client, ONLINE)
    narrow = ItemLayout(layout.observation_dim - 1, layout.action_dim)
    with pytest.raises(Exception, match=r"(?i)shape|signature|compatible"):
        writer.write(rows_of_ids(narrow, [1]))
        writer.flush()
