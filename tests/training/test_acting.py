"""The actor's policy and its stream, against a replay server in another process."""

import contextlib
import dataclasses
import threading
import time

import dm_env
import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.training.acting import ActingStopped, ExploringPolicy, TransitionStreamer
from serlds.training.policy import PackedPolicy
from serlds.training.replay_items import ItemLayout
from serlds.training.replay_receiver import TableReceiver
from serlds.training.replay_tables import ONLINE
from serlds.training.replay_writer import TransitionStream
from serlds.training.run_policy import ObservationReader
from serlds.training.stopping import StopRequest
from serlds.training.weights import WeightsPublisher, WeightsSubscriber


@pytest.fixture
def acting(served_run, client):
    """Makes (policy, publish, stop) of the served run with changes to its schedule."""
    record = served_run[1]
    publisher, subscriber = WeightsPublisher(client), WeightsSubscriber(client)
    packed = np.random.default_rng(0).standard_normal(record.policy_spec.size, dtype=np.float32)

    def publish(learned_steps, is_final=False, **progress):
        publisher.publish(packed, packed, 0, learned_steps, is_final, **progress)
        subscriber.wait(publisher_count() - 1, 10.0)

    counts = iter(range(1, 1000))

    def publisher_count():
        return next(counts)

    stop = StopRequest()

    def make(actor=0, actors=1, identity=0, **schedule):
        changed = dataclasses.replace(record.run.schedule, **schedule)
        read = ObservationReader(record.task)
        policy = ExploringPolicy(
            record.policy_spec, changed, subscriber, read, actor, actors, identity, stop
        )
        policy.reset(0)
        return policy, publish, stop

    yield make
    stop.request()
    subscriber.close()


def observation(record, value=0.0):
    sizes = {"observation/state/cube_turn": 2, "observation/state/gripper_pos": 1}
    state = {
        path.rpartition("/")[2]: np.full(
            sizes.get(path, 6 if path.endswith("joint_pos") else 3), value, np.float32
        )
        for path in record.task.state_fields
    }
    assert sum(map(len, state.values())) == record.task.observation_dim
    return {"state": state}


@contextlib.contextmanager
def in_thread(function):
    done = threading.Event()
    threading.Thread(target=lambda: (function(), done.set()), daemon=True).start()
    yield done


@pytest.mark.parametrize(("lead", "steps_per_update", "allowed"), [(10, 1, 10), (3, 8, 8)])
def test_the_actor_waits_when_it_is_far_enough_ahead(
    acting, served_run, lead, steps_per_update, allowed
):
    policy, publish, _ = acting(max_actor_lead_steps=lead, env_steps_per_update=steps_per_update)
    seen = observation(served_run[1])
    publish(learned_steps=5)
    with in_thread(lambda: [policy(seen) for _ in range(5 + allowed)]) as acted:
        assert acted.wait(10.0)
    with in_thread(lambda: policy(seen)) as acted:
        assert not acted.wait(0.3)
        publish(learned_steps=6)
        assert acted.wait(10.0)
    assert policy.env_steps == 5 + allowed + 1


def test_the_final_publication_ends_all_waiting(acting, served_run):
    policy, publish, _ = acting(max_actor_lead_steps=1)
    with in_thread(lambda: policy(observation(served_run[1]))) as acted:
        publish(learned_steps=5, env_steps=100)
        assert not acted.wait(0.3)
        publish(learned_steps=5, is_final=True, env_steps=100)
        assert acted.wait(10.0)


def test_a_waiting_actor_can_be_stopped(acting, served_run):
    policy, publish, stop = acting(max_actor_lead_steps=1)
    publish(learned_steps=0, env_steps=100)
    threading.Timer(0.2, stop.request).start()
    with pytest.raises(ActingStopped):
        policy(observation(served_run[1]))


def test_steps_of_all_actors_count_and_own_ones_once(acting, served_run):
    policy, publish, _ = acting(actor=1, max_actor_lead_steps=100)
    seen = observation(served_run[1])
    publish(learned_steps=0, env_steps=40, received=[30, 4])  # 4 of an actor 1 that died
    for _ in range(6):
        policy(seen)
    assert policy.env_steps == 46
    publish(learned_steps=0, env_steps=52, received=[40, 6])  # 10 more of actor 0, 2 of ours
    policy(seen)
    assert policy.env_steps == 52 + 5
    publish(learned_steps=0, env_steps=52, received=[40, 6], is_starved=True)  # 5 were lost
    policy(seen)
    assert policy.env_steps == 53


def test_several_actors_share_the_lead(acting, served_run):
    policy, publish, _ = acting(actors=3, max_actor_lead_steps=12)
    publish(learned_steps=0)
    seen = observation(served_run[1])
    with in_thread(lambda: [policy(seen) for _ in range(4)]) as acted:
        assert acted.wait(10.0)
    with in_thread(lambda: policy(seen)) as acted:
        assert not acted.wait(0.3)
        publish(learned_steps=4, env_steps=12, received=[4, 4, 4])
        assert acted.wait(10.0)


def test_steps_that_were_lost_are_made_up_for(acting, served_run):
    policy, publish, _ = acting(max_actor_lead_steps=100, env_steps=5)
    publish(learned_steps=0)
    for _ in range(5):
        policy(observation(served_run[1]))
    publish(learned_steps=3, env_steps=3, received=[3], is_starved=True)
    assert policy.wait_for_final() is None
    assert policy.env_steps == 3


def test_an_actor_of_another_run_stops_before_it_acts(acting, served_run):
    policy, publish, _ = acting(identity=7)
    publish(learned_steps=0)
    with pytest.raises(UsageError, match="another version of serlds than this actor"):
        policy(observation(served_run[1]))


def test_the_policys_age_and_lag_are_known(acting, served_run, client):
    policy, publish, _ = acting(max_actor_lead_steps=10**9)
    seen = observation(served_run[1])
    publish(learned_steps=0)
    policy(seen)
    assert policy.lags_updates == []
    assert 0 <= policy.ages_s[0] < 60
    packed = np.ones(served_run[1].policy_spec.size, np.float32)
    WeightsPublisher(client).publish(packed, packed, updates=30, learned_steps=0)
    deadline_s = time.monotonic() + 10.0
    while not policy.lags_updates:
        policy(seen)
        assert time.monotonic() < deadline_s
    assert policy.lags_updates == [30]
    policy.reset(1)
    assert (policy.ages_s, policy.lags_updates) == ([], [])


def test_first_actions_are_random_and_later_ones_the_policys(acting, served_run, client):
    record = served_run[1]
    policy, publish, _ = acting(random_steps=2, max_actor_lead_steps=100)
    publish(learned_steps=0)
    seen = observation(record, 0.1)
    actions = [policy(seen) for _ in range(3)]
    rng = np.random.default_rng(0)
    for action in actions[:2]:
        np.testing.assert_allclose(action, rng.uniform(-1, 1, record.task.action_dim), rtol=1e-6)
    packed = np.random.default_rng(0).standard_normal(record.policy_spec.size, dtype=np.float32)
    state = ObservationReader(record.task)(seen).state
    expected = PackedPolicy(record.policy_spec, packed).sample(state, rng)
    np.testing.assert_allclose(actions[2], expected, rtol=1e-5)


def test_every_transition_is_streamed_with_its_place_in_the_log(served_run, client):
    record = served_run[1]
    layout = ItemLayout(record.task.observation_dim, record.task.action_dim)
    stream = TransitionStream(client, ONLINE, layout)
    streamer = TransitionStreamer(stream, layout, ObservationReader(record.task))
    action = np.zeros(layout.action_dim, np.float32)  # one buffer, which the policy uses again

    def act(step):
        action[:] = step / 10
        return action

    for episode in (3, 4):
        streamer.begin(episode)
        streamer(dm_env.restart(observation(record, 0.0)), None)
        for step in range(5):
            streamer(dm_env.transition(float(step), observation(record, step + 1.0)), act(step))
        streamer(dm_env.termination(9.0, observation(record, 6.0)), act(5))
    stream.close()
    taken = []
    with contextlib.closing(TableReceiver(client.server_address, ONLINE, layout)) as receiver:
        while sum(len(one.packed) for one in taken) < 12:
            taken += receiver.take(10.0)
    rows = np.concatenate([one.packed for one in taken])
    transitions, (source, episodes, steps) = layout.unpack(rows), layout.origin(rows)
    assert source.tolist() == [-1] * 12
    assert episodes.tolist() == [3] * 6 + [4] * 6
    assert steps.tolist() == [*range(6), *range(6)]
    np.testing.assert_array_equal(transitions.observation.state[..., 0], steps)
    np.testing.assert_array_equal(transitions.next_observation.state[..., 0], steps + 1)
    np.testing.assert_allclose(transitions.action[..., 0], steps / 10, rtol=1e-6)
    np.testing.assert_array_equal(transitions.discount, steps != 5)
    np.testing.assert_array_equal(transitions.reward, np.where(steps == 5, 9, steps))
