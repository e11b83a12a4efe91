"""The store: appended episodes are durable, loadable by TFDS, and nothing else is let in."""

import dataclasses
import json

import pytest
import tensorflow_datasets as tfds

import serlds.datasets.store as store_module
from serlds.datasets import keys
from serlds.datasets.curation import restore_episodes
from serlds.datasets.dataset_files import COUNTED_TEMPLATE, DatasetFiles, SplitFiles, write_metadata
from serlds.datasets.episode import Episode
from serlds.datasets.errors import (
    DatasetNotFoundError,
    SchemaError,
    SerldsError,
    StoreLockedError,
    UsageError,
)
from serlds.datasets.provenance import Parent, Provenance, write_provenance
from serlds.datasets.reading import open_dataset
from serlds.datasets.schema import Field, Schema
from serlds.datasets.store import EpisodeStore


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "data" / "pick_cube"


def record_one(dataset, schema, make_episode, **about):
    with EpisodeStore.open(dataset, schema, **about) as store:
        store.append(make_episode(schema, 0))


def test_every_append_is_at_once_part_of_the_dataset(
    dataset, make_schema, make_episode, assert_same_episode
):
    schema = make_schema(cameras=["front", "wrist"])
    episodes = [make_episode(schema, index, actions=index + 1) for index in range(3)]
    with EpisodeStore.open(dataset, schema) as store:
        for ordinal, episode in enumerate(episodes):
            assert store.append(episode) == ordinal
            assert store.num_episodes == ordinal + 1
            reader = open_dataset(dataset)
            assert reader.num_episodes == ordinal + 1
            assert_same_episode(reader.episode(ordinal), episode)
    assert store.directory == dataset / "1.0.0"
    assert {path.name for path in store.directory.iterdir()} == {
        "dataset_info.json",
        "features.json",
        "serlds.json",
        *(f"pick_cube-train.tfrecord-0000{index}" for index in range(3)),
    }


def test_sessions_append(dataset, schema, make_episode):
    for session in range(3):
        with EpisodeStore.open(dataset, schema) as store:
            assert store.num_episodes == 2 * session
            assert store.notices == ()
            for index in (2 * session, 2 * session + 1):
                store.append(make_episode(schema, index))
    ids = [episode.episode_id for episode in open_dataset(dataset).episodes()]
    assert ids == [f"episode-{index:05d}" for index in range(6)]


def test_a_store_without_episodes_takes_another_schema_and_environment(
    dataset, schema, make_schema, make_episode
):
    other = make_schema(cameras=["front"])
    EpisodeStore.open(dataset, other, env_id="task", env_args={"size": 1}).close()
    with EpisodeStore.open(dataset, schema, env_id="task", env_args={"size": 2}) as store:
        store.append(make_episode(schema, 0))
    reader = open_dataset(dataset)
    assert reader.num_episodes == 1
    assert reader.provenance.env_args == {"size": 2}
    with pytest.raises(SchemaError):
        EpisodeStore.open(dataset, other, env_id="task", env_args={"size": 2})


def test_an_empty_store_is_a_dataset_without_episodes(dataset, schema):
    import tensorflow_datasets as tfds

    EpisodeStore.open(dataset, schema).close()
    reader = open_dataset(dataset)
    assert (reader.num_episodes, reader.splits) == (0, {"train": 0})
    assert list(reader.episodes()) == []
    with pytest.raises(UsageError, match="there is no episode 0; it holds 0"):
        reader.episode(0)
    with pytest.raises(UsageError, match="no episodes yet"):
        reader.as_tf_data()
    assert tfds.builder_from_directory(dataset / "1.0.0").info.splits["train"].num_examples == 0
    with EpisodeStore.open(dataset, schema) as store:
        assert store.num_episodes == 0


def test_versions_are_separate_datasets(dataset, schema, make_episode):
    for version, count in (("1.0.0", 1), ("1.1.0", 2)):
        with EpisodeStore.open(dataset / version, schema) as store:
            for index in range(count):
                store.append(make_episode(schema, index))
    assert open_dataset(dataset / "1.0.0").num_episodes == 1
    assert open_dataset(dataset).version == "1.1.0"


def test_the_card_and_the_environment_are_kept_from_the_creation(dataset, schema, make_episode):
    arguments = {"cameras": ("front",), "image_size": 64, "reward": "dense"}
    about = {"env_id": "serlds/Test-v0", "env_args": arguments}
    record_one(dataset, schema, make_episode, **about, description="Cubes.")
    EpisodeStore.open(dataset, schema, **about, description="Ignored.").close()
    reader = open_dataset(dataset)
    assert reader.files.card.description == "Cubes."
    assert reader.provenance.env_id == "serlds/Test-v0"
    assert reader.provenance.env_args == {**arguments, "cameras": ["front"]}
    info = json.loads((dataset / "1.0.0" / "dataset_info.json").read_text())
    assert info["description"] == "Cubes."


def test_closing_twice_is_fine_and_appending_then_is_not(dataset, schema, make_episode):
    store = EpisodeStore.open(dataset, schema)
    store.close()
    store.close()
    with pytest.raises(SerldsError, match="the store is closed"):
        store.append(make_episode(schema, 0))
    EpisodeStore.open(dataset, schema).close()


def test_a_second_store_is_refused_and_leaves_the_first_alone(dataset, schema, make_episode):
    import os

    with EpisodeStore.open(dataset, schema) as store:
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on .*, since 20"):
            EpisodeStore.open(dataset, schema)
        store.append(make_episode(schema, 0))
    with EpisodeStore.open(dataset, schema) as store:
        assert store.append(make_episode(schema, 1)) == 1


def test_an_episode_that_does_not_fit_is_refused_and_the_store_goes_on(
    dataset, schema, make_episode
):
    with EpisodeStore.open(dataset, schema) as store:
        store.append(make_episode(schema, 0))
        bad = make_episode(schema, 1)
        bad.columns[keys.ACTION] = bad.columns[keys.ACTION][:, :3]
        with pytest.raises(SchemaError, match="'episode-00001', field action"):
            store.append(bad)
        assert store.append(make_episode(schema, 2)) == 1
    ids = [episode.episode_id for episode in open_dataset(dataset).episodes()]
    assert ids == ["episode-00000", "episode-00002"]


SCHEMA_CHANGES = {
    "shape": (
        "step field observation/state/gripper",
        {"shape": (2,)},
        r"recorded float32 \(1,\), offered float32 \(2,\)",
    ),
    "dtype": (
        "step field observation/state/gripper",
        {"dtype": "float64"},
        r"recorded float32 \(1,\), offered float64 \(1,\)",
    ),
    "encoding": ("step field observation/image/front", {"encoding": "png"}, "jpeg, offered .* png"),
}


@pytest.mark.parametrize("change", SCHEMA_CHANGES)
def test_another_schema_is_refused_by_field(change, dataset, make_schema, make_episode):
    where, values, message = SCHEMA_CHANGES[change]
    schema = make_schema(cameras=["front"])
    record_one(dataset, schema, make_episode)
    changed = tuple(
        dataclasses.replace(field, **values) if where.endswith(field.path) else field
        for field in schema.steps
    )
    with pytest.raises(SchemaError, match=f"{where}: .*{message}"):
        EpisodeStore.open(dataset, Schema(changed, schema.metadata))
    EpisodeStore.open(dataset, schema).close()


def test_another_action_scale_or_other_fields_are_refused(dataset, make_schema, make_episode):
    schema = make_schema()
    record_one(dataset, schema, make_episode)
    with pytest.raises(SchemaError, match=r"step field action: .*scale \(0.05.*scale \(0.1"):
        EpisodeStore.open(dataset, make_schema(action_scale=(0.1,) * 7))
    with pytest.raises(SchemaError, match="image/front: recorded no such field, offered uint8"):
        EpisodeStore.open(dataset, make_schema(cameras=["front"]))
    more = Schema(schema.steps, (*schema.metadata, Field("operator", "string")))
    with pytest.raises(SchemaError, match="metadata field operator: recorded no such field"):
        EpisodeStore.open(dataset, more)


def test_another_environment_is_refused_by_argument(dataset, schema, make_episode):
    about = {"env_id": "serlds/Test-v0", "env_args": {"reward": "dense", "image_size": 64}}
    record_one(dataset, schema, make_episode, **about)
    with pytest.raises(UsageError, match="reward: recorded 'dense', now 'sparse'"):
        EpisodeStore.open(
            dataset,
            schema,
            env_id="serlds/Test-v0",
            env_args={"reward": "sparse", "image_size": 64},
        )
    with pytest.raises(
        UsageError, match="env_id: recorded 'serlds/Test-v0', now 'serlds/Other-v0'"
    ):
        EpisodeStore.open(dataset, schema, **{**about, "env_id": "serlds/Other-v0"})
    with pytest.raises(UsageError, match="image_size: recorded 64, now None"):
        EpisodeStore.open(dataset, schema, env_id="serlds/Test-v0", env_args={"reward": "dense"})
    with pytest.raises(UsageError, match="are not JSON"):
        EpisodeStore.open(dataset, schema, env_args={"size": object()})


def test_a_derived_or_foreign_dataset_is_not_appended_to(dataset, schema):
    directory = dataset / "1.0.0"
    directory.mkdir(parents=True)
    files = DatasetFiles("pick_cube", "1.0.0", (SplitFiles("train", (), 0, COUNTED_TEMPLATE),))
    write_metadata(directory, files, schema)
    with pytest.raises(UsageError, match="serlds did not record this dataset"):
        EpisodeStore.open(dataset, schema)
    write_provenance(directory, Provenance())
    with pytest.raises(UsageError, match=r"expected one split 'train' with shards .*SHARD_X_OF_Y"):
        EpisodeStore.open(dataset, schema)
    parent = Parent("/data/raw/1.0.0", "raw", "1.0.0", "00")
    write_provenance(directory, Provenance(parents=(parent,), transform={"verb": "convert"}))
    with pytest.raises(UsageError, match=r"derived from raw 1\.0\.0"):
        EpisodeStore.open(dataset, schema)


@pytest.mark.parametrize("name", ["PickCube", "pick-cube", "1cube", "pick__cube"])
def test_a_name_that_tfds_cannot_load_is_refused(name, tmp_path, schema):
    with pytest.raises(UsageError, match=f"the name '{name}' is not allowed"):
        EpisodeStore.open(tmp_path / name, schema)
    assert list(tmp_path.iterdir()) == []


def test_an_episode_too_large_for_readers_is_refused(dataset, schema, make_episode, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_EPISODE_BYTES", 100)
    with EpisodeStore.open(dataset, schema) as store:
        with pytest.raises(SerldsError, match="at most 100 can be stored"):
            store.append(make_episode(schema, 0))
        monkeypatch.undo()
        assert store.append(make_episode(schema, 0)) == 0


def test_shards_beyond_what_tfds_can_number_are_refused(dataset, schema, make_episode, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_SHARDS", 2)
    with EpisodeStore.open(dataset, schema) as store:
        store.append(make_episode(schema, 0))
        store.append(make_episode(schema, 1))
        with pytest.raises(UsageError, match="holds 2 shards, the most"):
            store.append(make_episode(schema, 2))


def test_reading_before_anything_was_recorded_names_what_there_is(tmp_path, schema):
    EpisodeStore.open(tmp_path / "push_button", schema).close()
    with pytest.raises(DatasetNotFoundError, match=r"there are: push_button/1\.0\.0"):
        open_dataset(tmp_path / "pick_cube")
    with pytest.raises(DatasetNotFoundError, match=r"there are no datasets in .*serlds record"):
        open_dataset(tmp_path / "elsewhere" / "pick_cube")


def test_the_newest_episode_is_amended_or_dropped_and_recording_goes_on(
    dataset, make_schema, make_episode, assert_same_episode
):
    schema = make_schema(cameras=["front"])
    first, second, third = (make_episode(schema, index) for index in range(3))
    amended = Episode(second.columns, {**second.metadata, keys.SUCCESS: not second.success})
    with EpisodeStore.open(dataset, schema) as store:
        with pytest.raises(UsageError, match="no episode"):
            store.drop_newest("not kept")
        store.append(first)
        store.drop_newest("not kept")  # the only one
        assert (store.num_episodes, store.num_recorded) == (0, 1)
    with EpisodeStore.open(dataset, schema) as store:
        store.append(second)
        assert_same_episode(store.newest(), second)
        with pytest.raises(UsageError, match=f"'{second.episode_id}', not"):
            store.amend_newest(third)
        store.amend_newest(amended)
        store.append(third)
        assert (store.num_episodes, store.num_recorded) == (2, 3)
    for found, expected in zip(open_dataset(dataset).episodes(), (amended, third), strict=True):
        assert_same_episode(found, expected)
    restore_episodes(dataset, ["0"])
    found = open_dataset(dataset)
    assert_same_episode(found.episode(0), first)
    assert tfds.builder_from_directory(found.directory).info.splits["train"].num_examples == 3
