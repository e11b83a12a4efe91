"""Dropped episodes leave the dataset for every reader and come back to where they were."""

import random
import shutil

import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.dataset_files import COUNTED_TEMPLATE, DatasetFiles, SplitFiles, write_metadata
from serlds.datasets.dropped import read_dropped
from serlds.datasets.errors import (
    DamagedDatasetError,
    DatasetNotFoundError,
    SerldsError,
    StoreLockedError,
    UsageError,
)
from serlds.datasets.provenance import Parent, Provenance, write_provenance
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.store import EpisodeStore
from serlds.datasets.summary import summarize


@pytest.fixture
def recording(tmp_path, make_schema, make_episode):
    """Six episodes, a shard each."""
    schema, dataset = make_schema(cameras=["front"]), tmp_path / "data" / "pick_cube"
    with EpisodeStore.open(dataset, schema) as store:
        for index in range(6):
            store.append(make_episode(schema, index))
    return dataset


@pytest.fixture
def derived(tmp_path, schema, make_episode):
    """Two splits of several episodes per shard: train [0 1 2] [3 4], val [5 6]."""
    dataset = tmp_path / "data" / "clean"
    directory = dataset / "1.0.0"
    directory.mkdir(parents=True)
    splits, first = [], 0
    for name, lengths in (("train", (3, 2)), ("val", (2,))):
        size = 0
        for index, length in enumerate(lengths):
            episodes = [make_episode(schema, first + position) for position in range(length)]
            data = b"".join(frame_record(encode_episode(one, schema)) for one in episodes)
            file = f"clean-{name}.tfrecord-{index:05d}-of-{len(lengths):05d}"
            (directory / file).write_bytes(data)
            first, size = first + length, size + len(data)
        splits.append(SplitFiles(name, lengths, size, COUNTED_TEMPLATE))
    parent = Parent("/data/raw/1.0.0", "raw", "1.0.0", "00")
    write_provenance(directory, Provenance(parents=(parent,), transform={"verb": "convert"}))
    write_metadata(directory, DatasetFiles("clean", "1.0.0", tuple(splits)), schema)
    return dataset


def ids(dataset, split=None):
    return [int(one.episode_id[-5:]) for one in open_dataset(dataset).episodes(split)]


def tfds_ids(dataset, split="train"):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(open_dataset(dataset).directory)
    read = builder.as_dataset(split=split, read_config=tfds.ReadConfig(interleave_cycle_length=1))
    found = [int(one["episode_metadata"]["episode_id"].numpy()[-5:]) for one in read]
    assert builder.info.splits[split].num_examples == len(found)
    return found


def names(report):
    return [int(one.episode_id[-5:]) for one in report.episodes]


def test_dropped_episodes_are_gone_for_every_reader(recording):
    import rlds
    import tensorflow_datasets as tfds

    report = drop_episodes(recording, ["0", "3-4"], reason="the arm was stuck")
    assert (names(report), report.num_episodes, report.num_dropped) == ([0, 3, 4], 3, 3)
    assert ids(recording) == tfds_ids(recording) == tfds_ids(recording, "all") == [1, 2, 5]
    episodes = tfds.load("pick_cube", data_dir=recording.parent, split="train")
    lengths = [int(rlds.transformations.episode_length(one[rlds.STEPS])) for one in episodes]
    assert lengths == [5, 5, 5]
    summary = summarize(open_dataset(recording))
    assert (summary.episodes, summary.dropped, summary.lost) == (3, 3, 0)
    listed = read_dropped(open_dataset(recording).directory).episodes
    assert {one.reason for one in listed} == {"the arm was stuck"}


def test_tfds_slices_and_shuffles_around_empty_shards(recording):
    import tensorflow_datasets as tfds

    drop_episodes(recording, ["0", "2-3", "5"])
    builder = tfds.builder_from_directory(open_dataset(recording).directory)
    for split, shuffle in (("train[:1]", False), ("train[1:]", False), ("train", True)):
        found = [
            int(one["episode_metadata"]["episode_id"].numpy()[-5:])
            for one in builder.as_dataset(split=split, shuffle_files=shuffle)
        ]
        assert sorted(found) == {"train[:1]": [1], "train[1:]": [4], "train": [1, 4]}[split]


def test_restoring_in_any_order_gives_the_same_dataset(recording):
    before = open_dataset(recording).digest
    files = {path.name: path.read_bytes() for path in (recording / "1.0.0").glob("*.*")}
    drop_episodes(recording, ["1", "4"])
    drop_episodes(recording, ["episode-00002", "0"])
    assert names(restore_episodes(recording, ["episode-00004"])) == [4]
    assert ids(recording) == [3, 4, 5]
    restore_episodes(recording, ["0", "3"])  # by number in the list
    assert ids(recording) == [1, 2, 3, 4, 5]
    report = restore_episodes(recording, [], everything=True)
    assert (report.num_episodes, report.num_dropped) == (6, 0)
    assert open_dataset(recording).digest == before
    assert {path.name: path.read_bytes() for path in (recording / "1.0.0").glob("*.*")} == files
    assert [path.name for path in (recording / "1.0.0" / "dropped").iterdir()] == ["episodes.json"]


def test_episodes_of_one_shard(derived):
    before = open_dataset(derived).digest
    drop_episodes(derived, ["0", "2", "5"])
    assert (ids(derived, "train"), ids(derived, "val")) == ([1, 3, 4], [6])
    assert (tfds_ids(derived), tfds_ids(derived, "val")) == ([1, 3, 4], [6])
    drop_episodes(derived, ["1-2"])
    assert ids(derived) == [1, 6]
    restore_episodes(derived, ["2", "0"])
    assert ids(derived) == [0, 1, 5, 6]
    restore_episodes(derived, [], everything=True)
    assert ids(derived) == list(range(7))
    assert open_dataset(derived).digest == before


def test_recording_goes_on_and_no_ordinal_of_a_seed_comes_twice(
    recording, make_schema, make_episode
):
    schema = make_schema(cameras=["front"])
    drop_episodes(recording, ["1", "5"])
    with EpisodeStore.open(recording, schema) as store:
        assert (store.num_episodes, store.num_recorded, store.notices) == (4, 6, ())
        assert store.append(make_episode(schema, 6)) == 4
        assert store.num_recorded == 7
    assert ids(recording) == [0, 2, 3, 4, 6]
    restore_episodes(recording, [], everything=True)
    assert ids(recording) == list(range(7))


def test_where_selects_by_metadata(recording):
    # Of the six episodes 0 and 3 failed; the even ones are scripted, the odd ones by a policy.
    assert names(drop_episodes(recording, ["1-5"], where={"success": "false"})) == [3]
    report = drop_episodes(recording, [], where={"success": "false", "collector": "scripted"})
    assert names(report) == [0]
    assert names(drop_episodes(recording, [], where={"seed": "7"})) == []
    assert ids(recording) == [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("episodes", "where", "told"),
    [
        ([], {}, "no episodes are named"),
        (["6"], {}, "no episode 6; it holds 6, numbered from 0"),
        (["4-6"], {}, "no episode 6"),
        (["4-2"], {}, "ends before it begins"),
        (["0-99999999999"], {}, "longer than any dataset"),
        (["episode-77777"], {}, "no episode 'episode-77777'"),
        ([], {"colour": "red"}, "no metadata field 'colour'; there are .*success"),
        ([], {"success": "maybe"}, "success=maybe: expected bool"),
        ([], {"seed": "many"}, "seed=many: expected int64"),
        (["0-5"], {}, "all 6 episodes of split 'train'"),
    ],
)
def test_a_wrong_selection_changes_nothing(recording, episodes, where, told):
    before = {path: path.read_bytes() for path in recording.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=told):
        drop_episodes(recording, episodes, where=where)
    assert {path: path.read_bytes() for path in recording.rglob("*") if path.is_file()} == before


def test_what_restore_refuses(recording):
    drop_episodes(recording, ["2"])
    for episodes, everything in ((["1"], False), (["episode-00001"], False)):
        with pytest.raises(UsageError, match="no dropped episode"):
            restore_episodes(recording, episodes, everything=everything)
    for episodes, everything in ((["0"], True), ([], False)):
        with pytest.raises(UsageError, match="or --all"):
            restore_episodes(recording, episodes, everything=everything)


def test_an_id_of_several_episodes_is_refused(tmp_path, schema, make_episode):
    dataset = tmp_path / "twice"
    with EpisodeStore.open(dataset, schema) as store:
        for index in (3, 4, 3):
            store.append(make_episode(schema, index))
    with pytest.raises(UsageError, match=r"2 episodes have the id .* ordinal: 0, 2"):
        drop_episodes(dataset, ["episode-00003"])
    drop_episodes(dataset, ["2"])
    assert ids(dataset) == [3, 4]


def test_nobody_curates_while_another_writes(recording, make_schema):
    with EpisodeStore.open(recording, make_schema(cameras=["front"])):
        for curate in (
            lambda: drop_episodes(recording, ["0"]),
            lambda: restore_episodes(recording, [], everything=True),
            lambda: compact(recording),
        ):
            with pytest.raises(StoreLockedError, match="another process is writing"):
                curate()
    drop_episodes(recording, ["0"])


def test_the_log_of_a_training_run_is_left_alone(tmp_path, schema, make_episode):
    with EpisodeStore.open(tmp_path / "run" / "episodes", schema) as store:
        for index in range(3):
            store.append(make_episode(schema, index))
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"log of the training run .*\n  serlds convert"):
        drop_episodes(tmp_path / "run" / "episodes", ["1"])
    assert open_dataset(tmp_path / "run" / "episodes").num_episodes == 3
    (tmp_path / "run" / "config.json").unlink()
    assert drop_episodes(tmp_path / "run" / "episodes", ["1"]).num_episodes == 2


def test_datasets_of_others_are_left_alone(recording, tmp_path):
    (recording / "1.0.0" / "serlds.json").unlink()
    with pytest.raises(UsageError, match="serlds did not write this dataset"):
        drop_episodes(recording, ["0"])
    with pytest.raises(DatasetNotFoundError, match=r"there are: pick_cube"):
        drop_episodes(tmp_path / "data" / "elsewhere", ["0"])
    assert not (tmp_path / "data" / "elsewhere").exists()


def test_a_damaged_shard_is_not_rewritten(derived):
    shard = derived / "1.0.0" / "clean-train.tfrecord-00000-of-00002"
    content = bytearray(shard.read_bytes())
    content[-20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DamagedDatasetError, match=r"00000-of-00002: record 2 at byte"):
        drop_episodes(derived, ["0"])
    assert shard.read_bytes() == content
    assert not (derived / "1.0.0" / ".change").exists()
    drop_episodes(derived, ["3"])
    restore_episodes(derived, ["0"])


def test_a_damaged_list_is_named(recording):
    drop_episodes(recording, ["0"])
    (recording / "1.0.0" / "dropped" / "episodes.json").write_text("{")
    assert ids(recording) == [1, 2, 3, 4, 5]
    with pytest.raises(DamagedDatasetError, match=r"dropped/episodes\.json: not a readable list"):
        drop_episodes(recording, ["0"])


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_changes_keeps_every_episode_and_the_order(
    tmp_path, schema, make_episode, seed
):
    choose, dataset = random.Random(seed), tmp_path / "pick_cube"
    recorded, dropped = 0, set()
    for _ in range(14):
        live = [index for index in range(recorded) if index not in dropped]
        action = choose.choice(["record", "drop", "drop", "restore", "compact"])
        if action == "record" or len(live) < 3:
            with EpisodeStore.open(dataset, schema) as store:
                for _ in range(choose.randint(1, 4)):
                    assert store.num_recorded == recorded
                    store.append(make_episode(schema, recorded, actions=2))
                    recorded += 1
        elif action == "drop":
            gone = choose.sample(range(len(live)), choose.randint(1, len(live) - 1))
            drop_episodes(dataset, [str(ordinal) for ordinal in gone])
            dropped |= {live[ordinal] for ordinal in gone}
        elif action == "restore" and dropped:
            back = choose.sample(sorted(dropped), choose.randint(1, len(dropped)))
            restore_episodes(dataset, [f"episode-{index:05d}" for index in back])
            dropped -= set(back)
        elif action == "compact":
            compact(dataset, shard_mb=choose.choice([0.001, 0.003, 1]))
        assert ids(dataset) == [index for index in range(recorded) if index not in dropped]
    assert tfds_ids(dataset) == ids(dataset)
    if dropped:
        restore_episodes(dataset, [], everything=True)
    assert ids(dataset) == list(range(recorded))


def test_an_intent_that_cannot_be_read_is_named(recording):
    change = recording / "1.0.0" / ".change"
    change.mkdir()
    (change / "intent.json").write_text("{}")
    with pytest.raises(DamagedDatasetError, match=r"intent\.json: the note of an interrupted"):
        drop_episodes(recording, ["0"])
    with pytest.raises(SerldsError, match=r"intent\.json"):
        open_dataset(recording)
    shutil.rmtree(change)
    assert ids(recording) == list(range(6))
