"""What an update learned from is found again exactly, from the log of batches alone."""

import dataclasses
from contextlib import closing

import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError, UsageError
from serlds.training.batch_log import BatchLog, list_batch_logs
from serlds.training.learner_replay import LearnerReplay
from serlds.training.replay_items import ItemLayout, Origin, Rows
from serlds.training.replay_loader import fill_tables
from serlds.training.replay_tables import DEMOS, ONLINE
from serlds.training.replay_writer import TransitionWriter
from serlds.training.run_directory import RunDirectory
from serlds.training.stopping import StopRequest
from serlds.training.tracing import trace
from serlds.training.transition import Observation, Transition

ROWS = {DEMOS: 3, ONLINE: 5}


@pytest.fixture
def run(served_run, demos, tmp_path):
    """A run whose log holds the demonstrations' five episodes, with room for 30 online steps."""
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    (directory.path / "episodes").symlink_to(demos.parent)
    record = served_run[1]
    replay = dataclasses.replace(record.run.replay, online_capacity=30)
    directory.write_record(
        dataclasses.replace(record, run=dataclasses.replace(record.run, replay=replay, seed=3))
    )
    session = served_run[0].read_session()
    plan = dataclasses.replace(session.replay, capacity=replay)
    directory.write_session(dataclasses.replace(session, replay=plan, episodes=(5,), env_steps=1))
    return directory


def act(client, layout, actor, episode, steps, first=0):
    """Sends steps of one episode."""
    steps = np.arange(first, first + steps)
    n = len(steps)
    transition = Transition(
        Observation(np.zeros((n, layout.observation_dim))),
        np.zeros((n, layout.action_dim)),
        np.zeros(n),
        np.ones(n),
        Observation(np.zeros((n, layout.observation_dim))),
    )
    writer = TransitionWriter(client, ONLINE)
    for row in layout.pack(transition, Origin(np.full(n, -1 - actor), np.full(n, episode), steps)):
        writer.write(Rows(row[None]))
    writer.flush()
    return n


def receive(replay, count):
    while count:
        count -= replay.receive(1.0)


def same(found, batch):
    for part, expected in zip(found.origin, batch.origin, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_every_batch_is_found_again(run, client):
    """Two actors in turn, until the memory has wrapped around; one learner after another."""
    record, session = run.read_record(), run.read_session()
    layout, drawn = session.replay.layout, {}
    for life in range(2):
        client.reset(ONLINE)
        fill_tables(client, run, record, session)
        with (
            closing(BatchLog(run.batches, session.episodes)) as log,
            closing(LearnerReplay(client, session, log)) as replay,
        ):
            replay.fill(StopRequest())
            for episode in range(4):
                for actor in (0, 1):
                    receive(replay, act(client, layout, actor, 5 + episode, 6))
                    # The second learner goes on from update 13.
                    updates = 10 + 3 * life + 2 * episode + actor
                    drawn[updates + 1] = replay.draw(ROWS, 2, (3, updates))
            replay.draw_ahead(ROWS, 2, (3, updates + 1))  # the stop comes before its update
    assert len(list_batch_logs(run.batches)) == 2
    for update, batch in drawn.items():
        same(trace(run.path, update), batch)
    with pytest.raises(UsageError, match="update 22 was not made; there are 1 to 21"):
        trace(run.path, 22)
    text = str(trace(run.path, 21))
    assert text.startswith("update 21 learned from 2 x 8 transitions:")
    assert f"{record.datasets[0].path}: 6 transitions" in text


def test_steps_of_an_episode_that_never_ended_are_told_apart(run, client):
    """Actor 0 dies in its episode 4, begins it again, and ends it; in its episode 5 all die."""
    layout = ItemLayout(
        *(getattr(run.read_session().replay, n) for n in ("observation_dim", "action_dim"))
    )
    session = dataclasses.replace(run.read_session(), episodes=(4,), env_steps=0)
    with (
        closing(BatchLog(run.batches, session.episodes)) as log,
        closing(LearnerReplay(client, session, log)) as replay,
    ):
        receive(replay, act(client, layout, 0, 4, 6))
        first = replay.draw({ONLINE: 64}, 1, (3, 100))
        receive(replay, act(client, layout, 0, 4, 12))
        receive(replay, act(client, layout, 0, 5, 4))
        second = replay.draw({ONLINE: 64}, 1, (3, 101))
    found = trace(run.path, 101)
    same(found, first)
    assert found.is_abandoned.all()
    assert "episode 4, steps 0 (" in str(found)
    assert "of an episode that never ended and was not recorded" in str(found)
    found = trace(run.path, 102)
    same(found, second)
    late = (found.origin.episode == 4) & (found.origin.step >= 6)
    assert late.any() and not found.is_abandoned[late].any()
    assert found.is_abandoned[found.origin.episode == 5].all()
    early = (found.origin.episode == 4) & (found.origin.step < 6)
    assert set(found.is_abandoned[early].tolist()) == {True, False}


def test_a_torn_or_damaged_log(run, client):
    session = run.read_session()
    with closing(BatchLog(run.batches, session.episodes)) as log:
        log.arrived(ONLINE, Origin(np.full(9, -1), np.full(9, 1), np.arange(9)))
        log.drawn(10, 1, {ONLINE: 4})
    (path,) = list_batch_logs(run.batches)
    whole = path.read_bytes()
    assert len(whole) == 3 * 24
    path.write_bytes(whole + b"torn")
    assert trace(run.path, 11).origin.step.shape == (1, 4)
    path.write_bytes(b"\xff" * 24 + whole)
    with pytest.raises(DamagedDatasetError, match=r"000001\.bin, record 0: kind -1"):
        trace(run.path, 11)
