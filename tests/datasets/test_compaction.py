"""Compacting joins shards and changes nothing else."""

import pytest

from serlds.datasets.compaction import compact, group_sizes
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.errors import DamagedDatasetError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore


@pytest.fixture
def recording(tmp_path, schema, make_episode):
    dataset = tmp_path / "pick_cube"
    with EpisodeStore.open(dataset, schema) as store:
        for index in range(10):
            store.append(make_episode(schema, index, actions=3))
    return dataset


def ids(dataset):
    import tensorflow_datasets as tfds

    reader = open_dataset(dataset)
    found = [int(one.episode_id[-5:]) for one in reader.episodes()]
    builder = tfds.builder_from_directory(reader.directory)
    assert builder.info.splits["train"].num_examples == len(found)
    assert len(list(builder.as_dataset(split="train"))) == len(found)
    return found


def shard_files(dataset):
    return sorted(path.name for path in open_dataset(dataset).directory.glob("*.tfrecord*"))


def test_many_shards_become_few_and_recording_goes_on(recording, schema, make_episode):
    before = open_dataset(recording)
    digest, size_bytes = before.digest, before.size_bytes
    size = before.size_bytes // 10
    report = compact(recording, shard_mb=3.5 * size / 1e6)
    assert (report.before, report.after, report.digest) == (10, 4, digest)
    after = open_dataset(recording)
    assert [shard.num_episodes for shard in after.shards()] == [3, 3, 3, 1]
    assert (after.digest, after.size_bytes) == (digest, size_bytes)
    assert shard_files(recording) == [f"pick_cube-train.tfrecord-0000{i}" for i in range(4)]
    with EpisodeStore.open(recording, schema) as store:
        assert store.notices == ()
        assert store.append(make_episode(schema, 10)) == 10
    assert ids(recording) == list(range(11))
    assert compact(recording).after == 1
    assert ids(recording) == list(range(11))


def test_shards_that_stay_are_not_rewritten(recording, schema, make_episode):
    compact(recording, shard_mb=1e-6 * 3.5 * open_dataset(recording).size_bytes / 10)
    first = open_dataset(recording).shards()[0].path
    inode = first.stat().st_ino
    with EpisodeStore.open(recording, schema) as store:
        store.append(make_episode(schema, 10, actions=3))
    report = compact(recording, shard_mb=1e-6 * 3.5 * open_dataset(recording).size_bytes / 11)
    assert (report.before, report.after) == (5, 4)
    assert first.stat().st_ino == inode
    report = compact(recording, shard_mb=1e-6)
    assert (report.before, report.after) == (4, 4)
    assert "nothing to do" in report.to_text()
    assert ids(recording) == list(range(11))


def test_dropped_episodes_find_their_place_in_the_joined_shard(recording):
    before = open_dataset(recording).digest
    drop_episodes(recording, ["0", "4", "5", "9"])
    compact(recording)
    drop_episodes(recording, ["0", "3"])
    assert ids(recording) == [2, 3, 7, 8]
    restore_episodes(recording, ["episode-00005", "episode-00001", "episode-00009"])
    assert ids(recording) == [1, 2, 3, 5, 7, 8, 9]
    restore_episodes(recording, [], everything=True)
    assert open_dataset(recording).digest == before


def test_a_damaged_record_stops_it_and_nothing_changes(recording):
    shard = open_dataset(recording).shards()[7].path
    content = bytearray(shard.read_bytes())
    content[300] ^= 4
    shard.write_bytes(content)
    files = shard_files(recording)
    with pytest.raises(DamagedDatasetError, match=r"-00007: record 0"):
        compact(recording)
    assert shard_files(recording) == files
    assert shard.read_bytes() == content
    assert not (shard.parent / ".change").exists()


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_size_must_be_positive(recording, size):
    with pytest.raises(UsageError, match="positive"):
        compact(recording, shard_mb=size)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([1, 1, 1, 1], [(0, 1, 2), (3,)]),
        ([5, 1, 1], [(0,), (1, 2)]),
        ([0, 5, 0, 1], [(0, 1, 2), (3,)]),
        ([1, 2, 3, 0], [(0, 1), (2, 3)]),
    ],
)
def test_groups(sizes, groups):
    assert list(group_sizes(sizes, 3)) == groups
