import subprocess
import sys

import numpy as np
import pytest

from serlds.training.replay_client import inserted, table_infos
from serlds.training.replay_tables import MOST_ACTORS, WEIGHTS
from serlds.training.weights import WeightsPublisher, WeightsSubscriber


@pytest.fixture
def packed(served_run):
    size = served_run[1].policy_spec.size
    rng = np.random.default_rng(0)
    return lambda: rng.standard_normal(size, dtype=np.float32)


@pytest.fixture
def ends(client):
    """Both ends of the way that weights go."""
    publisher, subscriber = WeightsPublisher(client), WeightsSubscriber(client)
    yield publisher, subscriber
    subscriber.close()
    publisher.close()


def test_what_is_published_arrives_bit_for_bit(ends, packed):
    publisher, subscriber = ends
    policy, evaluation = packed(), packed()
    publisher.publish(
        policy, evaluation, updates=70, learned_steps=12, env_steps=15, received=[9, 6]
    )
    weights = subscriber.wait(0, 10.0)
    np.testing.assert_array_equal(weights.policy, policy)
    np.testing.assert_array_equal(weights.evaluation_policy, evaluation)
    assert weights.counters == (1, 70, 12, 0, 15, 0, 0)
    assert weights.received.tolist() == [9, 6] + [0] * (MOST_ACTORS - 2)


def test_only_the_newest_is_kept_and_each_wait_gives_a_later_one(ends, packed, client):
    publisher, subscriber = ends
    for update in range(1, 6):
        publisher.publish(packed(), packed(), updates=update, learned_steps=update)
    last = packed()
    publisher.publish(last, last, updates=6, learned_steps=6, is_final=True)
    weights = subscriber.wait(5, 10.0)
    assert weights.counters[:4] == (6, 6, 6, 1)
    np.testing.assert_array_equal(weights.policy, last)
    assert subscriber.wait(6, 0.05) is None
    info = table_infos(client)[WEIGHTS]
    assert info.current_size == 1
    assert inserted(info) == 6


def test_an_actor_that_slept_through_publications_still_gets_the_newest(client, packed):
    publisher = WeightsPublisher(client)
    for update in (1, 2):
        publisher.publish(packed(), packed(), updates=update, learned_steps=update)
    subscriber = WeightsSubscriber(client)
    assert subscriber.wait(1, 10.0).counters.publication == 2
    for update in (3, 4):  # one after the other, whichever table the subscriber waits at
        publisher.publish(packed(), packed(), updates=update, learned_steps=update)
    assert subscriber.wait(3, 10.0).counters.publication == 4
    subscriber.close()
    publisher.close()


def test_a_process_ends_while_its_subscriber_waits(served_run):
    script = (
        "import reverb, sys, time; from serlds.training.weights import WeightsSubscriber; "
        "WeightsSubscriber(reverb.Client(sys.argv[1])).close(); time.sleep(0.5)"
    )
    command = [sys.executable, "-c", script, served_run[2]]
    assert subprocess.run(command, timeout=60).returncode == 0


def test_before_the_first_publication_there_is_nothing(ends):
    assert ends[1].newest() is None
    assert ends[1].wait(0, 0.05) is None


def test_weights_of_another_network_are_refused(ends, packed):
    from serlds.training.replay_client import ReplayUnreachableError

    with pytest.raises((ReplayUnreachableError, ValueError)):
        ends[0].publish(packed()[:-1], packed(), updates=1, learned_steps=1)
