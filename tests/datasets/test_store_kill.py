"""A recorder that is killed at random moments loses at most the episode in progress."""

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serlds.datasets.errors import StoreLockedError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore

SCRIPT = Path(__file__).parent / "scripts" / "record_forever.py"
KILLS = 25


class Recorders:
    """The script's process; each call of `start` gives the id of a fresh recorder."""

    def __init__(self, dataset):
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, dataset],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def start(self, acknowledged):
        self.process.stdin.write(f"{acknowledged}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self, recorder):
        os.kill(recorder, signal.SIGKILL)
        assert self.process.stdout.readline() == "dead\n"

    def end(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
        self.process.stdout.close()


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "killed"


@pytest.fixture
def recorders(dataset):
    started = Recorders(dataset)
    yield started
    started.end()


def read_acknowledged(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(ordinal), name) for ordinal, name in (line.split() for line in lines)]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the recorder does not record"
        time.sleep(0.001)


def test_kill_at_random_moments(dataset, recorders, tmp_path):
    import tensorflow_datasets as tfds

    script = runpy.run_path(str(SCRIPT))
    acknowledged, delays = tmp_path / "acknowledged", random.Random(0)
    appended_here = []
    for _ in range(KILLS):
        before = len(read_acknowledged(acknowledged))
        recorder = recorders.start(acknowledged)
        wait_for(lambda n=before: len(read_acknowledged(acknowledged)) > n)
        time.sleep(delays.uniform(0, 0.01))
        recorders.kill(recorder)

        reader = open_dataset(dataset)
        for ordinal, name in read_acknowledged(acknowledged)[before:]:
            assert reader.episode(ordinal).episode_id == name
        builder = tfds.builder_from_directory(dataset / "1.0.0")
        assert builder.info.splits["train"].num_examples == reader.num_episodes

        with EpisodeStore.open(dataset, script["SCHEMA"]) as store:
            # At most one more than was listed: named, but not yet noted in the info file.
            assert reader.num_episodes <= store.num_episodes <= reader.num_episodes + 1
            name = f"after-{store.num_episodes}"
            appended_here.append((store.append(script["episode"](name)), name))

    found = [episode.episode_id for episode in open_dataset(dataset).episodes()]
    for ordinal, name in (*read_acknowledged(acknowledged), *appended_here):
        assert found[ordinal] == name
    assert len(set(found)) == len(found)
    assert not (dataset / "1.0.0" / "set-aside").exists()
    steps = builder_steps(tfds, dataset)
    assert steps == [5] * len(found)


def builder_steps(tfds, dataset):
    """Number of steps of each episode, as TensorFlow reads them."""
    episodes = tfds.builder_from_directory(dataset / "1.0.0").as_dataset(split="train")
    return [int(episode["steps"].cardinality()) for episode in episodes]


def test_the_dataset_can_be_read_while_it_is_written(dataset, recorders, tmp_path):
    recorder = recorders.start(tmp_path / "acknowledged")
    sizes = []
    while len(set(sizes)) < 20:
        reader = open_dataset(dataset)
        if reader.num_episodes:
            assert len(reader.episode(reader.num_episodes - 1)) == 5
        sizes.append(reader.num_episodes)
    recorders.kill(recorder)
    assert sizes == sorted(sizes)


def test_another_process_is_kept_out_until_the_holder_dies(dataset, recorders, tmp_path):
    schema = runpy.run_path(str(SCRIPT))["SCHEMA"]
    acknowledged = tmp_path / "acknowledged"
    recorder = recorders.start(acknowledged)
    wait_for(lambda: read_acknowledged(acknowledged))
    with pytest.raises(StoreLockedError, match=f"process {recorder} on .* since 20"):
        EpisodeStore.open(dataset, schema)
    recorders.kill(recorder)
    with EpisodeStore.open(dataset, schema) as store:
        assert store.num_episodes >= len(read_acknowledged(acknowledged))
