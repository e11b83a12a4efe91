"""Frames through a real replay server: from several actors at once, and from RLDS."""

import dataclasses
import threading
import time
from contextlib import closing

import dm_env
import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore
from serlds.envs.recording import record_episodes
from serlds.training.acting import TransitionStreamer
from serlds.training.config import ReplayConfig
from serlds.training.learner_replay import LearnerReplay
from serlds.training.replay_client import flood_notice
from serlds.training.replay_items import ONLINE_SOURCE, Camera, ItemLayout, online_source
from serlds.training.replay_loader import fill_tables
from serlds.training.replay_server import HOST, choose_port, start_server
from serlds.training.replay_tables import DEMOS, ONLINE, ReplayPlan
from serlds.training.replay_writer import TransitionStream
from serlds.training.run_directory import (
    DatasetRecord,
    RunDirectory,
    RunRecord,
    Session,
    TaskRecord,
)
from serlds.training.run_policy import ObservationReader
from serlds.training.stopping import StopRequest

CAMERAS = (Camera("front", 12, 16), Camera("wrist", 8, 8))
TASK = TaskRecord(("observation/state/tcp_pos",), 3, 7, CAMERAS)
LAYOUT = ItemLayout(3, 7, CAMERAS)
CAPACITY = 60


@pytest.fixture(scope="module")
def plan():
    return ReplayPlan(3, 7, 1, ReplayConfig(CAPACITY, 1000), CAMERAS)


@pytest.fixture(scope="module")
def server(plan):
    server = start_server(plan, choose_port())
    yield server
    server.stop()


@pytest.fixture
def client(server):
    import reverb

    client = reverb.Client(f"{HOST}:{server.port}")
    for table in (DEMOS, ONLINE):
        client.reset(table)
    return client


@pytest.fixture
def session(plan):
    return Session(plan, time.time())


def observation(number):
    """State and every image tell the number of the frame."""
    pixel = np.array([number // 256, number % 256, 0], np.uint8)
    images = {camera.name: np.broadcast_to(pixel, camera.shape) for camera in CAMERAS}
    return {"state": {"tcp_pos": np.full(3, number, np.float32)}, "image": images}


def numbers_in(images):
    return {n: frames[..., 0].astype(int) * 256 + frames[..., 1] for n, frames in images.items()}


def check_frames(batch):
    """Every transition's two states and images are the numbered frame and the next one."""
    transitions, origin = batch
    actor = np.maximum(ONLINE_SOURCE - origin.source, 0)
    first = 1000 * actor + 100 * origin.episode + origin.step
    sides = (transitions.observation, first), (transitions.next_observation, first + 1)
    for seen, expected in sides:
        np.testing.assert_array_equal(seen.state, np.repeat(expected[..., None], 3, axis=-1))
        for found in numbers_in(seen.images).values():
            assert (found == expected[..., None, None]).all()
    np.testing.assert_array_equal(transitions.action[..., 0], (first % 100 / 100).astype("f4"))


def act(client, episodes, length, driven_steps=(), actor=0):
    """An actor as it is in a run; a person drives in some steps of each episode."""
    stream = TransitionStream(client, ONLINE, LAYOUT, interval_s=0.005)
    step = 0
    streamer = TransitionStreamer(
        stream,
        LAYOUT,
        ObservationReader(TASK),
        online_source(actor),
        has_intervened=lambda: step in driven_steps,
    )
    for episode in episodes:
        first = 1000 * actor + 100 * episode
        streamer.begin(episode)
        streamer(dm_env.restart(observation(first)), None)
        for step in range(length):
            seen = observation(first + step + 1)
            streamer(dm_env.transition(0.5, seen), np.full(7, step / 100, np.float32))
            time.sleep(0.002)
    stream.close()


def receive(replay, steps):
    """Waits until so many environment steps have come."""
    deadline_s = time.monotonic() + 60.0
    while replay.env_steps < steps:
        assert time.monotonic() < deadline_s
        replay.receive(1.0)  # 0 where only opening rows have come


def test_frames_of_several_actors_are_never_mixed_up(client, session, batch_log):
    actors = [
        threading.Thread(target=act, args=(client, range(4), 10 + i, (), i)) for i in range(3)
    ]
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        for actor in actors:
            actor.start()
        steps, deadline_s = 4 * (10 + 11 + 12), time.monotonic() + 60.0
        while replay.env_steps < steps:
            assert time.monotonic() < deadline_s
            replay.receive(1.0)  # 0 where only opening rows have come
            if replay.size(ONLINE):
                check_frames(replay.draw({ONLINE: 64}, 1, (0, replay.env_steps)))
        for actor in actors:
            actor.join()
        assert replay.env_steps == steps  # opening rows are no environment steps
        assert CAPACITY / 2 < replay.size(ONLINE) < CAPACITY
        check_frames(replay.draw({ONLINE: 500}, 3, (0, 0)))


def test_all_steps_of_actors_whose_episodes_have_the_same_numbers_are_drawn(
    client, session, batch_log
):
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        for actor in range(3):
            act(client, range(1), 10, (), actor)
        receive(replay, 30)
        assert replay.size(ONLINE) == 30
        batch = replay.draw({ONLINE: 600}, 1, (0, 0))
        check_frames(batch)
        places = np.stack([batch.origin.source.ravel(), batch.origin.step.ravel()])
        assert np.unique(places, axis=1).shape == (2, 30)


def test_what_a_person_did_is_online_data_alone_without_demonstrations(client, session, batch_log):
    with closing(LearnerReplay(client, session, batch_log, learns_from_demos=False)) as replay:
        act(client, range(1), 10, {3, 4})
        receive(replay, 10)
        assert (replay.size(ONLINE), replay.size(DEMOS)) == (10, 0)
        mean, std = replay.observation_statistics()
        assert (mean == 0).all() and (std == 1).all()


def test_what_a_person_did_is_a_demonstration_with_its_own_frames(client, session, batch_log):
    """Stretches of one step, of several, at both ends; what was between them is not drawn."""
    driven = {0, 3, 4, 5, 7, 9}
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        act(client, range(3), 10, driven)
        receive(replay, 30)
        assert replay.size(ONLINE) == 30
        assert replay.size(DEMOS) == 3 * len(driven)
        batch = replay.draw({DEMOS: 400, ONLINE: 0}, 1, (0, 0))
        check_frames(batch)
        assert set(batch.origin.step.ravel().tolist()) == driven
        assert set(batch.origin.episode.ravel().tolist()) == {0, 1, 2}
        check_frames(replay.draw({DEMOS: 0, ONLINE: 100}, 1, (0, 1)))


def test_a_batch_drawn_ahead_is_the_one_drawn_then(client, session, batch_log):
    act(client, [0, 1], 20)
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.env_steps == 0 and replay.size(ONLINE) == 40
        rows = {ONLINE: 16}
        drawn = [replay.draw(rows, 2, (5, update)) for update in range(4)]
        replay.draw_ahead(rows, 2, (5, 1))
        act(client, [2], 20)
        while replay.env_steps < 20:
            replay.receive(10.0)
        ahead = replay.draw(rows, 2, (5, 1))
        np.testing.assert_array_equal(ahead.origin, drawn[1].origin)
        assert (drawn[0].origin.step != drawn[1].origin.step).any()
        replay.draw_ahead(rows, 2, (5, 1))
        other = replay.draw(rows, 2, (5, 2))  # what was drawn for another update is not used
        assert (other.origin.step != drawn[1].origin.step).any()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two episodes with images of another size than the agent's."""
    directory = tmp_path_factory.mktemp("pixels") / "demos"
    args = {"image_size": [24, 32], "max_steps": 6}
    record_episodes("serlds/WidowXPickCube-v0", args, directory, by="random", episodes=2, seed=0)
    return open_dataset(directory)


def records_of(dataset, tmp_path, tiny_rlpd, online_capacity=1000):
    demos = DatasetRecord(str(dataset.directory), "demos", "1.0.0", "", dataset.num_episodes)
    capacity = dataclasses.replace(tiny_rlpd.replay, online_capacity=online_capacity)
    run = dataclasses.replace(tiny_rlpd, replay=capacity)
    return RunDirectory(tmp_path), RunRecord(run, TASK, (demos,))


def test_demonstrations_are_decoded_and_resized(
    client, session, batch_log, recorded, tmp_path, tiny_rlpd
):
    fill_tables(client, *records_of(recorded, tmp_path, tiny_rlpd), session)
    episodes = list(recorded.episodes())
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.size(DEMOS) == sum(e.num_transitions for e in episodes)
        check_seen(replay.draw({DEMOS: 40}, 1, (0, 0)), episodes)


def check_seen(batch, episodes):
    """Every transition holds what the actor would have seen in its episode at its step."""
    transitions, origin = batch
    read = ObservationReader(TASK)
    for row in range(origin.step.shape[1]):
        episode, step = episodes[origin.episode[0, row]], int(origin.step[0, row])
        for seen, at in ((transitions.observation, step), (transitions.next_observation, step + 1)):
            images = {c.name: episode.pixels(c.path)[at] for c in CAMERAS}
            state = {"tcp_pos": episode["observation/state/tcp_pos"][at]}
            expected = read({"state": state, "image": images})  # as the actor would see it
            np.testing.assert_array_equal(seen.state[0, row], expected.state)
            for camera in CAMERAS:
                np.testing.assert_array_equal(
                    seen.images[camera.name][0, row], expected.images[camera.name]
                )
                assert expected.images[camera.name].shape == camera.shape


def test_a_resumed_run_gets_its_newest_frames_back(
    client, session, batch_log, recorded, tmp_path, tiny_rlpd
):
    (tmp_path / "episodes").symlink_to(recorded.directory.parent)
    records = records_of(recorded, tmp_path, tiny_rlpd, online_capacity=8)
    fill_tables(client, *records, dataclasses.replace(session, env_steps=12))
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.size(ONLINE) == 8
        origin = replay.draw({ONLINE: 200}, 1, (0, 0)).origin
    found = set(zip(origin.episode[0].tolist(), origin.step[0].tolist(), strict=True))
    assert found == {(0, 4), (0, 5), *((1, step) for step in range(6))}


def test_what_people_did_long_ago_comes_back_as_demonstrations(
    client, session, batch_log, recorded, tmp_path, tiny_rlpd
):
    with EpisodeStore.open(tmp_path / "episodes", recorded.schema) as log:
        for episode in recorded.episodes():
            driven = np.isin(np.arange(len(episode)), (1, 2))
            columns = {**episode.columns, "intervened": driven}
            log.append(dataclasses.replace(episode, columns=columns))
    records = records_of(recorded, tmp_path, tiny_rlpd, online_capacity=4)
    fill_tables(client, *records, dataclasses.replace(session, env_steps=12))
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        replay.fill(StopRequest())
        assert replay.size(ONLINE) == 4
        batch = replay.draw({DEMOS: 400}, 1, (0, 0))
    check_seen(batch, list(recorded.episodes()))
    found = set(zip(*(part[0].tolist() for part in batch.origin), strict=True))
    demos = {(0, episode, step) for episode in (0, 1) for step in range(6)}
    # The last of them is still among the newest 4 of 12, where the learner finds it.
    assert found == demos | {(-1, 0, 1), (-1, 0, 2), (-1, 1, 1), (-1, 1, 2)}


def test_a_damaged_frame_is_named(client, session, recorded, tmp_path, tiny_rlpd):
    path = CAMERAS[1].path
    with EpisodeStore.open(tmp_path / "bad", recorded.schema) as store:
        for episode in recorded.episodes():
            frames = list(episode[path])
            frames[3] = frames[3][:60]
            columns = {**episode.columns, path: frames}
            store.append(dataclasses.replace(episode, columns=columns))
    bad = open_dataset(tmp_path / "bad")
    with pytest.raises(DamagedDatasetError, match=f"field {path}, step 3: .*cannot be decoded"):
        fill_tables(client, *records_of(bad, tmp_path, tiny_rlpd), session)


def test_a_full_table_is_named_and_waited_for(client, session, batch_log):
    assert flood_notice(client, ONLINE) == ""
    actor = threading.Thread(target=act, args=(client, range(3), 50))
    actor.start()
    deadline_s = time.monotonic() + 30.0
    while not (notice := flood_notice(client, ONLINE)):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert f"table 'online' of the replay server at {client.server_address} is full" in notice
    assert f"the learner has not taken {CAPACITY} items" in notice
    assert actor.is_alive()
    with closing(LearnerReplay(client, session, batch_log)) as replay:
        while actor.is_alive():
            assert time.monotonic() < deadline_s + 30.0
            replay.receive(0.1)
    assert flood_notice(client, ONLINE) == ""
