"""Killed at any moment, a change of a dataset is done or undone, and no episode is lost."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes
from serlds.datasets.dropped import read_dropped
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import decode_episode, read_records
from serlds.datasets.salvage import recover
from serlds.datasets.store import EpisodeStore

SCRIPTS = Path(__file__).parent / "scripts"
RECORDER = runpy.run_path(str(SCRIPTS / "record_forever.py"), run_name="recorder")
SCHEMA, episode = RECORDER["SCHEMA"], RECORDER["episode"]
NEW = ("record", "think again")
NAMES = [f"e{index}" for index in range(6)]


@pytest.fixture(scope="module")
def curators():
    """Forks a curator that dies at its n-th system call; gives whether it was killed."""
    process = subprocess.Popen(
        [sys.executable, SCRIPTS / "curate_and_die.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"

    def run(count, dataset, verb, *arguments):
        process.stdin.write(json.dumps([count, str(dataset), verb, *arguments]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer in ("killed\n", "done 0\n")
        return answer == "killed\n"

    yield run
    process.stdin.close()
    assert process.wait() == 0
    process.stdout.close()


@pytest.fixture
def recorded(tmp_path):
    """Six episodes, of which two are dropped, and a copy to work on for each trial."""
    dataset = tmp_path / "before" / "killed"
    with EpisodeStore.open(dataset, SCHEMA) as store:
        for name in NAMES:
            store.append(episode(name))
    drop_episodes(dataset, ["1", "e4"])
    return dataset


def ids_in(dataset):
    return [one.episode_id for one in open_dataset(dataset).episodes()]


def ids_dropped(dataset):
    directory = open_dataset(dataset).directory
    found = [
        decode_episode(payload, SCHEMA).episode_id
        for file in sorted(directory.glob("dropped/*.tfrecord"))
        for payload in read_records(file)
    ]
    assert found == [one.episode_id for one in read_dropped(directory).episodes]
    return found


@pytest.mark.parametrize(
    ("verb", "arguments", "outcomes"),
    [
        ("drop", ["e0", "e3"], ["e2 e3 e0 e5", "e2 e5"]),
        ("restore", ["e4", "e1"], ["e0 e2 e3 e5", "e0 e1 e2 e3 e4 e5"]),
        ("compact", [], ["e0 e2 e3 e5"]),
        ("think again", ["e6"], ["e0 e2 e3 e5", "e0 e2 e3 e5 e6"]),
        ("amend", [], ["e0 e2 e3 e5"]),
        ("record", ["e6", "e7"], ["e0 e2 e3 e5", "e0 e2 e3 e5 e6", "e0 e2 e3 e5 e6 e7"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_killed_before_each_system_call(curators, recorded, tmp_path, verb, arguments, outcomes):
    import tensorflow_datasets as tfds

    outcomes = {tuple(sorted(outcome.split())) for outcome in outcomes}
    seen, tasks, count, killed = set(), set(), 0, True
    while killed:
        count += 1
        dataset = shutil.copytree(recorded, tmp_path / str(count) / "killed")
        killed = curators(count, dataset, verb, *arguments)
        opener = ("recover", "record", "read")[count % 3]
        if opener == "recover":
            assert recover(dataset).exit_code == 0
        elif opener == "record":
            EpisodeStore.open(dataset, SCHEMA).close()
        here, dropped = ids_in(dataset), ids_dropped(dataset)
        assert tuple(here) in outcomes
        seen.add(tuple(here))
        recorded_now = set(NAMES) | (set(arguments) if verb in NEW else set())
        assert len({*here, *dropped}) == len(here) + len(dropped)
        assert set(NAMES) <= {*here, *dropped} <= recorded_now
        tasks.add(open_dataset(dataset).episode(len(here) - 1).metadata["task"])
        if opener != "read":
            loaded = tfds.builder_from_directory(dataset / "1.0.0")
            assert loaded.info.splits["train"].num_examples == len(here)
            assert not (dataset / "1.0.0" / ".change").exists()
        shutil.rmtree(dataset.parent)
    assert count > 5
    assert seen == outcomes
    assert tasks == ({"", "amended"} if verb == "amend" else {""})


def test_salvage_killed_before_each_system_call(curators, recorded, tmp_path):
    compact(recorded)
    (shard,) = (one.path for one in open_dataset(recorded).shards())
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 4 + 50] ^= 1  # within e2, the second of four records of equal size
    shard.write_bytes(damaged)
    seen, count, killed = set(), 0, True
    while killed:
        count += 1
        dataset = shutil.copytree(recorded, tmp_path / str(count) / "killed")
        killed = curators(count, dataset, "recover")
        opener = ("recover", "record", "read")[count % 3]
        if opener == "recover":
            recover(dataset)
        elif opener == "record":
            EpisodeStore.open(dataset, SCHEMA).close()
        reader = open_dataset(dataset)
        seen.add(reader.num_episodes)
        if reader.num_episodes == 4:
            assert reader.shards()[0].path.read_bytes() == damaged
            assert recover(dataset, salvage=True).lost == 1
        assert recover(dataset).exit_code == 0
        assert ids_in(dataset) == ["e0", "e3", "e5"]
        assert ids_dropped(dataset) == ["e1", "e4"]
        assert read_dropped(reader.directory).lost == 1
        (kept,) = (reader.directory / "set-aside").iterdir()
        assert kept.read_bytes() == damaged
        shutil.rmtree(dataset.parent)
    assert count > 5
    assert seen == {3, 4}
