"""The learner in this process, against a replay server in another; the tests play the actor."""

import contextlib
import dataclasses
import shutil
import threading
import time

import jax
import numpy as np
import pytest

from serlds.datasets import keys
from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore
from serlds.training.checkpoints import find_checkpoint, list_checkpoints, read_counters
from serlds.training.config import BCConfig, NetworkConfig, RunConfig, ScheduleConfig
from serlds.training.divergence import DivergedError
from serlds.training.learner import learn
from serlds.training.metrics import last_values, read_metrics
from serlds.training.replay_items import ItemLayout, Origin, Rows
from serlds.training.replay_loader import fill_tables
from serlds.training.replay_tables import ONLINE
from serlds.training.replay_writer import TransitionWriter
from serlds.training.run_directory import RunDirectory
from serlds.training.stopping import StopRequest
from serlds.training.tracing import trace
from serlds.training.transition import Observation, Transition
from serlds.training.weights import WeightsSubscriber


@pytest.fixture
def run(served_run, tmp_path):
    """A copy of the served run's directory."""
    directory = RunDirectory(tmp_path / "run")
    shutil.copytree(served_run[0].path, directory.path)
    return directory


def refill(client, directory):
    """Fills the tables as the replay server does when it starts."""
    fill_tables(client, directory, directory.read_record(), directory.read_session())


@pytest.fixture
def subscriber(client):
    with contextlib.closing(WeightsSubscriber(client)) as subscriber:
        yield subscriber


@contextlib.contextmanager
def learning(directory, client):
    """Learns in a thread; yields (stop, join), where join re-raises what learning raised."""
    stop, errors = StopRequest(), []
    refill(client, directory)

    def target():
        try:
            learn(directory, stop, client.server_address)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def join():
        thread.join(60.0)
        assert not thread.is_alive()
        if errors:
            raise errors[0]

    try:
        yield stop, join
    finally:
        stop.request()
        thread.join(60.0)


def act(client, directory, steps, first=0, reward=None):
    """Inserts online transitions as an actor would."""
    task = directory.read_record().task
    layout, rng = ItemLayout(task.observation_dim, task.action_dim), np.random.default_rng(first)
    ids = np.arange(first, first + steps)
    transition = Transition(
        Observation(rng.standard_normal((steps, task.observation_dim))),
        rng.uniform(-1, 1, (steps, task.action_dim)),
        rng.random(steps) if reward is None else np.full(steps, reward),
        np.ones(steps),
        Observation(rng.standard_normal((steps, task.observation_dim))),
    )
    writer = TransitionWriter(client, ONLINE)
    for row in layout.pack(transition, Origin(np.full(steps, -1), ids, ids)):
        writer.write(Rows(row[None]))
    writer.flush()


def progress(subscriber, learned_steps):
    """Waits until the learner has come so far; returns the counters after a further half second."""
    deadline_s = time.monotonic() + 60.0
    while (weights := subscriber.newest()) is None or weights.counters[2] < learned_steps:
        assert time.monotonic() < deadline_s, weights and weights.counters
        time.sleep(0.02)
    time.sleep(0.5)
    return subscriber.newest().counters


def test_learning_follows_the_actor_and_ends_complete(run, client, subscriber):
    with learning(run, client) as (_, join):
        first = subscriber.wait(0, 60.0)
        assert first.counters[1:4] == (10, 5, 0)  # 10 updates of pre-training, nothing online
        act(client, run, 5)
        assert progress(subscriber, 5)[1:4] == (10, 5, 0)  # training starts after 5 steps
        act(client, run, 7, first=5)
        # Progress is published when the learner runs out of data, not only every 5 updates.
        assert progress(subscriber, 12)[1:4] == (17, 12, 0)
        act(client, run, 48, first=12)
        join()
    assert progress(subscriber, 60)[1:4] == (65, 60, 1)
    counters = read_counters(find_checkpoint(run.checkpoints))
    assert (counters.pretrain_updates, counters.online_updates, counters.env_steps) == (10, 55, 60)
    assert [path.name for path in list_checkpoints(run.checkpoints)] == ["000000060", "000000065"]
    values = last_values(read_metrics(run.metrics("learner")))
    assert values["learner/critic_updates"] == 10 + 55 * 2
    assert values["learner/utd_ratio"] == 2.0
    assert values["replay/online"] == 60


def test_a_stopped_learner_leaves_a_checkpoint_that_is_continued(run, client, subscriber):
    with learning(run, client) as (stop, join):
        subscriber.wait(0, 60.0)
        act(client, run, 15)
        assert progress(subscriber, 15).updates == 20
        stop.request()
        join()
    checkpoint = find_checkpoint(run.checkpoints)
    assert read_counters(checkpoint).updates == 20
    session = dataclasses.replace(run.read_session(), checkpoint=checkpoint.name)
    run.write_session(session)
    publication = subscriber.newest().counters.publication
    with learning(run, client) as (stop, join):
        continued = subscriber.wait(publication, 60.0)
        assert continued.counters.updates == 20
        np.testing.assert_array_equal(
            continued.evaluation_policy, np.load(checkpoint / "policy.npy")
        )
        stop.request()
        join()


def damaged(demos, directory, field, episode_index, step):
    """A copy of the demonstrations in which one value is not a number."""
    dataset = open_dataset(demos)
    with EpisodeStore.open(directory / "damaged", dataset.schema) as store:
        for index, episode in enumerate(dataset.episodes()):
            columns = {path: np.array(column) for path, column in episode.columns.items()}
            if index == episode_index:
                columns[field][step] = np.nan
            store.append(dataclasses.replace(episode, columns=columns))
    return directory / "damaged" / "1.0.0"


def make_bc(run, path, seed=0, updates=100, batch_size=256):
    """Turns the run into behaviour cloning of the dataset at `path`."""
    record = run.read_record()
    config = RunConfig(
        algorithm="bc",
        agent=BCConfig(network=NetworkConfig(hidden_dims=(8,))),
        env_id=record.run.env_id,
        env_args=record.run.env_args,
        demos=(str(path),),
        seed=seed,
        schedule=ScheduleConfig(batch_size=batch_size, offline_updates=updates),
    )
    (dataset,) = record.datasets
    datasets = (dataclasses.replace(dataset, path=str(path)),)
    run.write_record(dataclasses.replace(record, run=config, datasets=datasets))


@pytest.mark.parametrize("field", [keys.ACTION, "observation/state/tcp_pos"])
def test_a_loss_that_is_not_finite_names_the_step_it_came_from(run, client, demos, field, tmp_path):
    path = damaged(demos, tmp_path, field, episode_index=3, step=2)
    make_bc(run, path)
    with learning(run, client) as (_, join), pytest.raises(DivergedError) as raised:
        join()
    message = str(raised.value)
    assert f"{path}: episode 3, step 2" in message
    assert "nan" in message
    assert message.count("step ") <= 2  # the step, and the one before whose next state it is
    assert not list_checkpoints(run.checkpoints)


def test_waiting_for_data_is_measured(run, client, subscriber):
    with learning(run, client) as (_, join):
        subscriber.wait(0, 60.0)
        time.sleep(0.5)
        act(client, run, 60)
        join()
    assert last_values(read_metrics(run.metrics("learner")))["learner/starved_s"] > 0.3


def test_offline_training_repeats_with_its_seed(run, client, demos):
    policies = []
    for seed in (1, 1, 2):
        make_bc(run, demos, seed, updates=20)
        with learning(run, client) as (_, join):
            join()
        checkpoint = find_checkpoint(run.checkpoints)
        policies.append(np.load(checkpoint / "policy.npy"))
        shutil.rmtree(checkpoint)
    np.testing.assert_array_equal(policies[0], policies[1])
    assert not np.array_equal(policies[0], policies[2])


def arrays(checkpoint):
    """Every array of a checkpoint's agent."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        leaves = jax.tree.leaves(checkpointer.restore(checkpoint.absolute() / "agent"))
    return [np.asarray(leaf) for leaf in leaves]


def test_a_killed_and_resumed_learner_ends_like_one_that_was_not(run, client, demos):
    """Killed: it leaves no more than the checkpoint of update 40 of 80."""
    make_bc(run, demos, updates=80)
    reschedule(run, checkpoint_interval_updates=40)
    check_resume(run, client)


def test_online_learning_resumes_bit_for_bit_on_the_same_replay(run, client, demos):
    """RLPD, with the demonstrations' episodes in the log of the run, too."""
    (run.path / "episodes").symlink_to(demos.parent)
    steps = sum(episode.num_transitions for episode in open_dataset(demos).episodes())
    run.write_session(dataclasses.replace(run.read_session(), env_steps=steps))
    updates = 10 + steps - run.read_record().run.schedule.start_training_steps
    reschedule(run, env_steps=steps, checkpoint_interval_updates=updates - 15)
    check_resume(run, client)


def reschedule(run, **changes):
    """Changes the schedule in the record of a run."""
    record = run.read_record()
    schedule = dataclasses.replace(record.run.schedule, **changes)
    run.write_record(
        dataclasses.replace(record, run=dataclasses.replace(record.run, schedule=schedule))
    )


def check_resume(run, client):
    """A run that goes on from its last checkpoint but one ends with the same bits."""
    with learning(run, client) as (_, join):
        join()
    half, whole = list_checkpoints(run.checkpoints)
    expected = arrays(whole)
    shutil.rmtree(whole)
    run.write_session(dataclasses.replace(run.read_session(), checkpoint=half.name))
    with learning(run, client) as (_, join):
        join()
    resumed = find_checkpoint(run.checkpoints)
    assert resumed == whole
    assert len(expected) > 10
    for array, other in zip(expected, arrays(resumed), strict=True):
        assert array.dtype == other.dtype
        assert array.tobytes() == other.tobytes()


def test_the_batch_of_a_diverged_update_is_traced(run, client, demos, tmp_path):
    """The trace holds the step that the error names, which the learner read from the batch."""
    path = damaged(demos, tmp_path, keys.ACTION, episode_index=3, step=2)
    make_bc(run, path, updates=1000, batch_size=2)  # few updates see the bad step
    with learning(run, client) as (_, join), pytest.raises(DivergedError) as raised:
        join()
    update = int(str(raised.value).partition("update ")[2].partition(":")[0])
    found = trace(run.path, update)
    places = set(zip(*(part.ravel().tolist() for part in found.origin), strict=True))
    assert (0, 3, 2) in places
    assert f"{path}: 2 transitions" in str(found)
    with pytest.raises(UsageError, match="update 2000 was not made"):
        trace(run.path, 2000)


def test_a_policy_that_has_diverged_is_neither_published_nor_saved(run, client, subscriber):
    with learning(run, client) as (_, join), pytest.raises(DivergedError):
        subscriber.wait(0, 60.0)
        act(client, run, 20, reward=np.nan)  # then the learner waits for more
        join()
    assert np.isfinite(subscriber.newest().policy).all()
    assert not list_checkpoints(run.checkpoints)


def test_a_learner_of_another_version_is_refused(run, client):
    run.write_session(dataclasses.replace(run.read_session(), serlds_version="0.0.1"))
    with (
        pytest.raises(UsageError, match=r"serlds 0\.0\.1, this is serlds"),
        learning(run, client) as (_, join),
    ):
        join()
