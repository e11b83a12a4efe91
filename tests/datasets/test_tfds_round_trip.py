"""The same datasets through TFDS and RLDS: theirs read ours, ours reads theirs."""

import functools
import json
import operator
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serlds.datasets import keys
from serlds.datasets.dataset_files import (
    COUNTED_TEMPLATE,
    DatasetCard,
    DatasetFiles,
    SplitFiles,
    shard_name,
    write_metadata,
)
from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.store import EpisodeStore

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def recorded(tmp_path, make_schema, make_episode):
    """A recorded dataset with one lossless camera, and its episodes."""
    schema = make_schema(cameras=["front"], encoding="png")
    episodes = [make_episode(schema, index, actions=index + 2) for index in range(4)]
    with EpisodeStore.open(tmp_path / "pick_cube", schema) as store:
        for episode in episodes:
            store.append(episode)
    return tmp_path, episodes


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, SCRIPTS / script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_script_with_tfds_alone_reads_a_recording(recorded):
    data_dir, episodes = recorded
    found = run("read_with_tfds.py", data_dir, "pick_cube")
    assert len(found) == len(episodes)
    for theirs, ours in zip(found, episodes, strict=True):
        assert theirs["episode_id"] == ours.episode_id
        assert theirs["seed"] == ours.metadata[keys.SEED]
        assert theirs["instruction"] == ours[keys.LANGUAGE_INSTRUCTION][0]
        np.testing.assert_array_equal(np.float32(theirs["actions"]), ours[keys.ACTION])
        assert theirs["frame_shapes"] == [[16, 16, 3]]
        assert theirs["is_last"] == ours[keys.IS_LAST].tolist()


def test_a_script_with_rlds_alone_makes_transitions(recorded):
    data_dir, episodes = recorded
    found = run("read_with_rlds.py", data_dir, "pick_cube")
    assert sorted(found["returns"]) == sorted(episode.episode_return() for episode in episodes)
    expected = {
        tuple(episode[keys.ACTION][t].tolist()): (
            float(episode[keys.REWARD][t]),
            bool(episode[keys.IS_TERMINAL][t + 1]),
            episode["observation/state/tcp_pos"][t].tolist(),
            episode["observation/state/tcp_pos"][t + 1].tolist(),
        )
        for episode in episodes
        for t in range(episode.num_transitions)
    }
    assert {
        tuple(np.float32(each["action"]).tolist()): (
            each["reward"],
            each["terminal"],
            each["position"],
            each["next_position"],
        )
        for each in found["transitions"]
    } == expected


def test_tf_data_holds_every_field_in_order(recorded):
    data_dir, episodes = recorded
    dataset = open_dataset(data_dir / "pick_cube")
    found = list(dataset.as_tf_data())
    for theirs, ours in zip(found, episodes, strict=True):
        metadata = {name: value.numpy() for name, value in theirs["episode_metadata"].items()}
        for name, value in ours.metadata.items():
            assert metadata[name] == (value.encode() if isinstance(value, str) else value), name
        steps = list(theirs["steps"].as_numpy_iterator())
        assert len(steps) == len(ours)
        for field in dataset.schema.steps:
            expected = ours.pixels(field.path) if field.is_image else ours[field.path]
            for step, value in zip(steps, expected, strict=True):
                found_value = functools.reduce(operator.getitem, field.path.split("/"), step)
                if isinstance(value, str):
                    found_value = found_value.decode()
                np.testing.assert_array_equal(found_value, value, err_msg=field.path)


@pytest.mark.parametrize("how", ["directory", "name"])
def test_tfds_builders_know_a_recording(recorded, how):
    import tensorflow_datasets as tfds

    data_dir, episodes = recorded
    if how == "directory":
        info = tfds.builder_from_directory(data_dir / "pick_cube" / "1.0.0").info
    else:
        info = tfds.builder("pick_cube", data_dir=data_dir).info
    assert info.full_name == "pick_cube/1.0.0"
    assert info.splits["train"].num_examples == len(episodes)
    assert info.splits["train"].num_bytes == open_dataset(data_dir / "pick_cube").size_bytes
    assert "robot base" in info.features["steps"].feature["action"].doc.desc


def test_a_dataset_that_tfds_wrote_is_read(tmp_path):
    """Several splits, counted shard names, only `file_path` in the metadata: as RT-X exports."""
    import tensorflow_datasets as tfds

    steps = {
        "observation": {
            "image": tfds.features.Image(shape=(8, 8, 3), dtype=np.uint8, encoding_format="png"),
            "state": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        },
        "action": tfds.features.Tensor(shape=(7,), dtype=np.float64),
        "reward": tfds.features.Scalar(dtype=np.float32),
        "is_first": tfds.features.Scalar(dtype=np.bool_),
        "language_instruction": tfds.features.Text(),
    }

    class WipeTable(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("0.1.0")

        def _info(self):
            features = {
                "steps": tfds.features.Dataset(steps),
                "episode_metadata": {"file_path": tfds.features.Text()},
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features),
                citation="@article{wipe}",
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate(range(5)), "val": self._generate([5])}

        def _generate(self, indices):
            for index in indices:
                yield index, episode(index)

        def _generate_examples(self):
            raise AssertionError("the splits bring their generators")

    def episode(index):
        steps = [
            {
                "observation": {
                    "image": np.full((8, 8, 3), 10 * index + t, np.uint8),
                    "state": np.float32([index, t]),
                },
                "action": np.full(7, t / 4),
                "reward": float(t == 2),
                "is_first": t == 0,
                "language_instruction": "wipe the table",
            }
            for t in range(3)
        ]
        return {"steps": steps, "episode_metadata": {"file_path": f"/raw/{index}"}}

    WipeTable(data_dir=tmp_path).download_and_prepare()

    dataset = open_dataset(tmp_path / "wipe_table")
    assert (dataset.name, dataset.version) == ("wipe_table", "0.1.0")
    assert dataset.splits == {"train": 5, "val": 1}
    assert dataset.provenance is None
    assert dataset.files.card.citation == "@article{wipe}"
    assert [shard.path.name for shard in dataset.shards("val")] == [
        "wipe_table-val.tfrecord-00000-of-00001"
    ]
    for index, found in enumerate(dataset.episodes()):
        assert found.metadata == {"file_path": f"/raw/{index}"}
        np.testing.assert_array_equal(found["observation/state"], [[index, t] for t in range(3)])
        np.testing.assert_array_equal(found["action"], np.outer(np.arange(3) / 4, np.ones(7)))
        assert found["action"].dtype == np.float64
        assert found.pixels("observation/image")[2, 0, 0].tolist() == [10 * index + 2] * 3
        assert found[keys.LANGUAGE_INSTRUCTION] == ["wipe the table"] * 3
    assert dataset.episode(5).metadata == {"file_path": "/raw/5"}
    assert [episode.metadata["file_path"] for episode in dataset.episodes("val")] == ["/raw/5"]
    with pytest.raises(UsageError, match="no split 'test'; the splits are train, val"):
        dataset.shards("test")


def test_a_directory_with_several_splits_written_by_us_is_read_by_tfds(
    tmp_path, make_schema, make_episode
):
    import tensorflow_datasets as tfds

    schema = make_schema(cameras=["front"], encoding="png")
    directory = tmp_path / "exported" / "1.0.0"
    directory.mkdir(parents=True)
    splits, first = [], 0
    for name, shard_lengths in (("train", (2, 0, 1)), ("val", (1,))):
        split = SplitFiles(name, shard_lengths, template=COUNTED_TEMPLATE)
        num_bytes = 0
        for index, length in enumerate(shard_lengths):
            episodes = [make_episode(schema, first + i) for i in range(length)]
            content = b"".join(frame_record(encode_episode(each, schema)) for each in episodes)
            (directory / shard_name("exported", split, index)).write_bytes(content)
            first, num_bytes = first + length, num_bytes + len(content)
        splits.append(SplitFiles(name, shard_lengths, num_bytes, COUNTED_TEMPLATE))
    card = DatasetCard("About cubes.", "@misc{cubes}", "CC-BY-4.0", "https://example.org/cubes")
    write_metadata(directory, DatasetFiles("exported", "1.0.0", tuple(splits), card), schema)

    builder = tfds.builder("exported", data_dir=tmp_path)
    for split, expected in (("train", [0, 1, 2]), ("val", [3])):
        ids = [
            episode["episode_metadata"]["episode_id"].numpy().decode()
            for episode in builder.as_dataset(split=split)
        ]
        assert sorted(ids) == [f"episode-{index:05d}" for index in expected]
    assert builder.info.description == "About cubes."
    assert builder.info.citation == "@misc{cubes}"
    assert builder.info.homepage == "https://example.org/cubes"
    assert (directory / "LICENSE").read_text() == "CC-BY-4.0"
    dataset = open_dataset(directory)
    assert dataset.files.card == card
    assert [episode.metadata[keys.SEED] for episode in dataset.episodes()] == [
        2**40 + index for index in range(4)
    ]


@pytest.mark.parametrize(
    "card", [DatasetCard(), DatasetCard("Größe", "@misc{x}", "CC-BY-4.0", "here.org")]
)
def test_dataset_info_is_what_tfds_would_write(card, tmp_path, make_schema):
    import tensorflow_datasets as tfds

    splits = (SplitFiles("train", (1, 2, 1), 2**40), SplitFiles("val"))
    write_metadata(tmp_path, DatasetFiles("pick", "1.0.0", splits, card), make_schema())
    version = tfds.core.Version("1.0.0")
    theirs = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity("pick", version, str(tmp_path), module_name=""),
        description=card.description or None,
        citation=card.citation or None,
        license=card.license or None,
        homepage=card.homepage or None,
    )
    theirs.set_file_format("tfrecord")
    theirs.set_splits(tfds.builder_from_directory(str(tmp_path)).info.splits)
    assert (tmp_path / "dataset_info.json").read_text() == theirs.as_json
