"""Damage is named by file and record; what is whole goes on, what is damaged is kept aside."""

import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.errors import DamagedDatasetError, UsageError
from serlds.datasets.provenance import Parent, Provenance, write_provenance
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import record_spans
from serlds.datasets.salvage import recover
from serlds.datasets.store import EpisodeStore


@pytest.fixture
def recording(tmp_path, schema, make_episode):
    """Eight episodes, a shard each."""
    dataset = tmp_path / "pick_cube"
    with EpisodeStore.open(dataset, schema) as store:
        for index in range(8):
            store.append(make_episode(schema, index))
    return dataset


@pytest.fixture
def compacted(recording):
    """The same in one shard."""
    compact(recording)
    return recording


def ids(dataset):
    import tensorflow_datasets as tfds

    reader = open_dataset(dataset)
    found = [int(one.episode_id[-5:]) for one in reader.episodes()]
    builder = tfds.builder_from_directory(reader.directory)
    assert len(list(builder.as_dataset(split="train"))) == len(found)
    return found


def shard(dataset, index=0):
    return open_dataset(dataset).shards()[index].path


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    return bytes(content)


def test_a_whole_dataset_is_said_to_be_whole(recording):
    drop_episodes(recording, ["2"])
    report = recover(recording)
    assert (report.exit_code, report.notices, report.damage) == (0, (), ())
    assert "nothing to put right; all 7 episodes are whole" in report.to_text()


# The payload, its checksum, the length, the checksum of the length: of record 3.
@pytest.mark.parametrize("inside", [100, -3, 0, 9])
def test_flipped_bytes_cost_one_episode(compacted, schema, make_episode, inside):
    path = shard(compacted)
    starts = [offset for offset, _, _ in record_spans(path)]
    damaged = flip(path, starts[3] + inside if inside >= 0 else starts[4] + inside)
    report = recover(compacted)
    assert (report.exit_code, report.lost) == (1, 1)
    assert f"record 3: {path}" in report.to_text()
    assert "--salvage" in report.to_text()
    assert path.read_bytes() == damaged

    report = recover(compacted, salvage=True)
    assert (report.exit_code, report.num_episodes, report.lost) == (0, 7, 1)
    assert ids(compacted) == [0, 1, 2, 4, 5, 6, 7]
    kept = path.parent / "set-aside" / f"{path.name}.damaged"
    assert kept.read_bytes() == damaged
    assert recover(compacted).exit_code == 0
    with EpisodeStore.open(compacted, schema) as store:
        assert store.num_recorded == 8  # the seed of the lost episode is not used again
        store.append(make_episode(schema, 8))
    assert ids(compacted) == [0, 1, 2, 4, 5, 6, 7, 8]


def test_a_recorded_shard_that_was_cut(compacted, schema):
    path = shard(compacted)
    starts = [offset for offset, _, _ in record_spans(path)]
    path.write_bytes(path.read_bytes()[: starts[5] + 50])
    with pytest.raises(DamagedDatasetError, match="serlds recover"):
        EpisodeStore.open(compacted, schema)
    assert recover(compacted).exit_code == 1
    assert recover(compacted, salvage=True).lost == 3
    assert ids(compacted) == [0, 1, 2, 3, 4]


def test_a_missing_shard(recording):
    shard(recording, 2).unlink()
    with pytest.raises(DamagedDatasetError, match="1 of 8 shards"):
        open_dataset(recording)
    report = recover(recording)
    assert report.exit_code == 1
    assert "-00002: the file is missing, with its 1 episode(s)" in report.to_text()
    recover(recording, salvage=True)
    assert ids(recording) == [0, 1, 3, 4, 5, 6, 7]


def test_damage_beside_dropped_episodes(compacted):
    drop_episodes(compacted, ["0", "6"])
    path = shard(compacted)
    flip(path, [offset for offset, _, _ in record_spans(path)][2] + 40)
    with pytest.raises(DamagedDatasetError, match="record 2"):
        restore_episodes(compacted, [], everything=True)
    recover(compacted, salvage=True)
    assert ids(compacted) == [1, 2, 4, 5, 7]
    restore_episodes(compacted, [], everything=True)
    assert sorted(ids(compacted)) == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_a_lost_info_file_beside_empty_shards(recording, damage):
    drop_episodes(recording, ["0", "3", "7"])
    info = recording / "1.0.0" / "dataset_info.json"
    before = info.read_bytes()
    if damage is None:
        info.unlink()
    else:
        info.write_bytes(damage)
    with pytest.raises(DamagedDatasetError, match=r"`serlds recover .*` rebuilds"):
        open_dataset(recording)
    report = recover(recording)
    assert "dataset_info.json was rebuilt from the shards" in report.notices[0]
    assert info.read_bytes() == before
    restore_episodes(recording, [], everything=True)
    assert ids(recording) == list(range(8))


def test_a_wrong_size_in_the_info_file_is_corrected(recording):
    info = recording / "1.0.0" / "dataset_info.json"
    before = info.read_text()
    size = str(open_dataset(recording).size_bytes)
    assert size in before
    info.write_text(before.replace(size, "17"))
    assert "corrected" in recover(recording).to_text()
    assert info.read_text() == before


def as_derived(dataset):
    """The recording as a pipeline would have written it."""
    directory = dataset / "1.0.0"
    parent = Parent("/data/raw/1.0.0", "raw", "1.0.0", "00")
    write_provenance(directory, Provenance(parents=(parent,), transform={"verb": "convert"}))
    info = directory / "dataset_info.json"
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
    info.write_text(info.read_text().replace(template, template.replace("INDEX", "X_OF_Y")))
    for path in sorted(directory.glob("*.tfrecord-*")):
        path.rename(path.with_name(f"{path.name}-of-00008"))
    return dataset


def test_a_derived_dataset_without_its_info_file(recording):
    dataset = as_derived(recording)
    digest = open_dataset(dataset).digest
    info = dataset / "1.0.0" / "dataset_info.json"
    info.write_bytes(info.read_bytes()[:77])
    report = recover(dataset)
    assert (report.exit_code, len(report.notices)) == (0, 1)
    assert ids(dataset) == list(range(8))
    assert open_dataset(dataset).digest == digest
    compact(dataset)
    assert ids(dataset) == list(range(8))
    assert [path.name for path in (dataset / "1.0.0").glob("*.tfrecord*")] == [
        "pick_cube-train.tfrecord-00000-of-00001"
    ]


@pytest.mark.parametrize("make", [lambda dataset: dataset, as_derived], ids=["recorded", "derived"])
def test_a_lost_info_file_in_a_renamed_folder(recording, make):
    digest = open_dataset(recording).digest
    renamed = make(recording).rename(recording.with_name("kept"))
    (renamed / "1.0.0" / "dataset_info.json").write_bytes(b"{")
    assert "all 8 episodes are whole" in recover(renamed).to_text()
    assert open_dataset(renamed).digest == digest


def test_shards_of_two_names_in_a_renamed_folder(recording):
    renamed = recording.rename(recording.with_name("kept"))
    directory = renamed / "1.0.0"
    (directory / "dataset_info.json").unlink()
    shard = directory / "pick_cube-train.tfrecord-00003"
    shard.rename(shard.with_name("other-train.tfrecord-00003"))
    with pytest.raises(DamagedDatasetError, match="several datasets, other, pick_cube"):
        recover(renamed)
    assert len(list(directory.glob("*.tfrecord-*"))) == 8


def test_a_derived_dataset_without_its_info_file_and_a_shard(recording):
    dataset = as_derived(recording)
    (dataset / "1.0.0" / "dataset_info.json").unlink()
    (dataset / "1.0.0" / "pick_cube-train.tfrecord-00003-of-00008").unlink()
    with pytest.raises(DamagedDatasetError, match="of the 8 shards of train only 7 are there"):
        recover(dataset)


def test_recovering_what_is_not_serlds_own(recording):
    (recording / "1.0.0" / "serlds.json").unlink()
    with pytest.raises(UsageError, match="did not write this dataset"):
        recover(recording)
