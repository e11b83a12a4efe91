"""Opening a store after a crash keeps what is whole and sets aside what is torn."""

import shutil

import pytest

from serlds.datasets.errors import DamagedDatasetError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore


@pytest.fixture
def recorded(tmp_path, schema, make_episode):
    """A store with three episodes; `before[n]` is its dataset_info.json after n of them."""
    dataset, before = tmp_path / "pick_cube", []
    with EpisodeStore.open(dataset, schema) as store:
        info = store.directory / "dataset_info.json"
        before.append(info.read_bytes())
        for index in range(3):
            store.append(make_episode(schema, index))
            before.append(info.read_bytes())
    return dataset, store.directory, before


def shard(directory, index):
    return directory / f"pick_cube-train.tfrecord-{index:05d}"


def ids(dataset):
    import tensorflow_datasets as tfds

    reader = open_dataset(dataset)
    builder = tfds.builder_from_directory(reader.directory)
    assert builder.info.splits["train"].num_examples == reader.num_episodes
    return [int(episode.episode_id.removeprefix("episode-")) for episode in reader.episodes()]


def test_a_whole_orphan_is_adopted(recorded, schema, make_episode):
    dataset, directory, before = recorded
    (directory / "dataset_info.json").write_bytes(before[2])
    assert ids(dataset) == [0, 1]
    with EpisodeStore.open(dataset, schema) as store:
        assert store.num_episodes == 3
        assert len(store.notices) == 1
        assert "adopted pick_cube-train.tfrecord-00002: 1 whole" in store.notices[0]
        assert (directory / "dataset_info.json").read_bytes() == before[3]
        store.append(make_episode(schema, 3))
    assert ids(dataset) == [0, 1, 2, 3]


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 100, -1])
def test_a_torn_orphan_is_set_aside_and_its_place_reused(recorded, schema, make_episode, cut):
    dataset, directory, before = recorded
    (directory / "dataset_info.json").write_bytes(before[2])
    torn = shard(directory, 2)
    content = torn.read_bytes()[:cut]
    torn.write_bytes(content)
    with EpisodeStore.open(dataset, schema) as store:
        assert store.num_episodes == 2
        kept = directory / "set-aside" / f"{torn.name}.torn"
        assert f"a torn shard was set aside as {kept}" in store.notices[0]
        assert kept.read_bytes() == content
        store.append(make_episode(schema, 7))
    assert ids(dataset) == [0, 1, 7]


def test_an_altered_orphan_is_set_aside(recorded, schema):
    dataset, directory, before = recorded
    (directory / "dataset_info.json").write_bytes(before[2])
    content = bytearray(shard(directory, 2).read_bytes())
    content[200] ^= 1
    shard(directory, 2).write_bytes(content)
    with EpisodeStore.open(dataset, schema) as store:
        assert (store.num_episodes, len(store.notices)) == (2, 1)
    assert ids(dataset) == [0, 1]


def test_orphans_behind_a_torn_one_close_the_gap(recorded, schema):
    dataset, directory, before = recorded
    (directory / "dataset_info.json").write_bytes(before[0])
    shard(directory, 1).write_bytes(shard(directory, 1).read_bytes()[:50])
    with EpisodeStore.open(dataset, schema) as store:
        assert (store.num_episodes, len(store.notices)) == (2, 3)
    assert ids(dataset) == [0, 2]
    assert not shard(directory, 2).exists()


def test_nothing_that_was_set_aside_is_overwritten(recorded, schema):
    dataset, directory, _ = recorded
    for content in (b"first", b"second"):
        shard(directory, 3).write_bytes(content)
        EpisodeStore.open(dataset, schema).close()
    kept = sorted((directory / "set-aside").iterdir())
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]
    assert ids(dataset) == [0, 1, 2]


def test_leftover_temporaries_are_removed(recorded, schema):
    dataset, directory, _ = recorded
    leftovers = [
        directory / ".pick_cube-train.tfrecord-00003.serlds-tmp",
        directory / ".dataset_info.json.serlds-tmp",
    ]
    for leftover in leftovers:
        leftover.write_bytes(b"half an episo")
    mine = directory / "notes.txt"
    mine.write_text("not serlds' own")
    with EpisodeStore.open(dataset, schema) as store:
        assert store.notices == ()
    assert not any(leftover.exists() for leftover in leftovers)
    assert mine.exists()
    assert ids(dataset) == [0, 1, 2]


@pytest.mark.parametrize("noted", [False, True])
def test_a_whole_shard_that_was_not_named_yet_is_kept(recorded, schema, make_episode, noted):
    dataset, directory, before = recorded
    if not noted:
        (directory / "dataset_info.json").write_bytes(before[2])
    shard(directory, 2).rename(directory / f".{shard(directory, 2).name}.serlds-tmp")
    with EpisodeStore.open(dataset, schema) as store:
        assert (store.num_episodes, len(store.notices)) == (3, 0 if noted else 1)
        store.append(make_episode(schema, 3))
    assert ids(dataset) == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed", "not json"])
def test_a_damaged_info_file_is_rebuilt_from_the_shards(recorded, schema, make_episode, damage):
    dataset, directory, before = recorded
    info = directory / "dataset_info.json"
    if damage == "removed":
        info.unlink()
    else:
        content = {"truncated": before[3][:100], "emptied": b"", "not json": b"\x00" * 200}[damage]
        info.write_bytes(content)
    with pytest.raises(DamagedDatasetError, match=r"dataset_info\.json.* rebuilds"):
        open_dataset(dataset)
    with EpisodeStore.open(dataset, schema) as store:
        assert store.num_episodes == 3
        assert "dataset_info.json was rebuilt from the shards" in store.notices[0]
        assert info.read_bytes() == before[3]
        store.append(make_episode(schema, 3))
    assert ids(dataset) == [0, 1, 2, 3]


def test_a_creation_that_was_interrupted_is_completed(recorded, schema, make_episode, tmp_path):
    _, directory, before = recorded
    begun = tmp_path / "begun" / "1.0.0"
    begun.mkdir(parents=True)
    shutil.copy(directory / "serlds.json", begun)
    (begun / "dataset_info.json").write_bytes(before[0].replace(b"pick_cube", b"begun"))
    with EpisodeStore.open(begun, schema) as store:
        assert store.append(make_episode(schema, 5)) == 0
    assert ids(begun) == [5]


def test_a_missing_recorded_shard_stops_recording_and_reading(recorded, schema):
    dataset, directory, _ = recorded
    shard(directory, 1).unlink()
    with pytest.raises(DamagedDatasetError, match=r"1 recorded shards are missing: .*-00001"):
        EpisodeStore.open(dataset, schema)
    with pytest.raises(DamagedDatasetError, match=r"1 of 3 shards .* missing: .*-00001"):
        open_dataset(dataset)
    assert sorted(path.name for path in directory.glob("*.tfrecord*")) == [
        shard(directory, 0).name,
        shard(directory, 2).name,
    ]


def test_a_recorded_shard_of_another_size_stops_recording(recorded, schema):
    dataset, directory, _ = recorded
    shard(directory, 0).write_bytes(shard(directory, 0).read_bytes()[:-9])
    with pytest.raises(DamagedDatasetError, match=r"hold \d+ bytes, but .* says \d+"):
        EpisodeStore.open(dataset, schema)


def test_shards_without_features_are_never_overwritten(recorded, schema):
    dataset, directory, _ = recorded
    (directory / "features.json").unlink()
    content = shard(directory, 0).read_bytes()
    with pytest.raises(DamagedDatasetError, match=r"3 shards .* no features\.json"):
        EpisodeStore.open(dataset, schema)
    with pytest.raises(DamagedDatasetError, match=r"no features\.json"):
        open_dataset(dataset)
    assert shard(directory, 0).read_bytes() == content


@pytest.mark.parametrize("name", ["features.json", "serlds.json"])
def test_a_truncated_description_stops_both(recorded, schema, name):
    dataset, directory, _ = recorded
    (directory / name).write_bytes((directory / name).read_bytes()[:60])
    with pytest.raises(DamagedDatasetError, match=name):
        EpisodeStore.open(dataset, schema)
    with pytest.raises(DamagedDatasetError, match=name):
        open_dataset(dataset)
