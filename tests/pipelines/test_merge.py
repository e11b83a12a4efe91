"""Merging keeps every episode as it is, tells schemas apart and finds duplicates."""

import dataclasses

import pytest

from serlds.datasets.curation import drop_episodes
from serlds.datasets.errors import SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import read_records
from serlds.pipelines.merge import merge
from serlds.pipelines.split import split


def ids(dataset, part=None):
    return [int(one.episode_id[-5:]) for one in open_dataset(dataset).episodes(part)]


def payloads(dataset):
    return [data for shard in open_dataset(dataset).shards() for data in read_records(shard.path)]


def test_all_episodes_of_all_sources_in_order_and_byte_by_byte(world, tmp_path):
    a = world.dataset(tmp_path / "a", [world.episode(index) for index in (4, 2, 7)])
    b = world.dataset(tmp_path / "b", [world.episode(index) for index in (1, 9)])
    drop_episodes(a, ["1"])
    done = merge(tmp_path / "both", [a, b], workers=1)
    assert (done.exit_code, done.num_episodes) == (0, 4)
    assert ids(tmp_path / "both") == [4, 7, 1, 9]
    assert payloads(tmp_path / "both") == payloads(a) + payloads(b)
    provenance = open_dataset(tmp_path / "both").provenance
    assert [(one.name, one.digest) for one in provenance.parents] == [
        ("a", open_dataset(a).digest),
        ("b", open_dataset(b).digest),
    ]
    assert (provenance.env_id, provenance.transform["verb"]) == ("test/Arm-v0", "merge")


def test_splits_of_the_same_name_are_joined(state_world, tmp_path):
    a = state_world.dataset(tmp_path / "a", [state_world.episode(index) for index in range(10)])
    b = state_world.dataset(tmp_path / "b", [state_world.episode(index) for index in (20, 21)])
    split(a, tmp_path / "parts", {"train": 0.5, "val": 0.5}, workers=1)
    merge(tmp_path / "both", [tmp_path / "parts", b], workers=1)
    assert ids(tmp_path / "both", "val") == ids(tmp_path / "parts", "val")
    assert ids(tmp_path / "both", "train") == [*ids(tmp_path / "parts", "train"), 20, 21]


def test_duplicated_episodes(state_world, tmp_path):
    a = state_world.dataset(tmp_path / "a", [state_world.episode(index) for index in (0, 1)])
    b = state_world.dataset(tmp_path / "b", [state_world.episode(index) for index in (1, 2)])
    with pytest.raises(UsageError, match=r"(?s)'episode-00001': record 0 of .*a-train.*b-train"):
        merge(tmp_path / "both", [a, b], workers=1)
    assert not (tmp_path / "both").exists()
    merge(tmp_path / "both", [a, b], duplicates="first", workers=1)
    assert ids(tmp_path / "both") == [0, 1, 2]
    with pytest.raises(UsageError, match="named twice"):
        merge(tmp_path / "again", [a, a], duplicates="first")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": (16, 16)}, "resize_images:height=32,width=48 on b"),
        ({"encoding": "png"}, "encode_images:encoding=jpeg on b"),
        ({"cameras": ()}, "drop_field:path=observation/image/front on a"),
        ({"cameras": ("front", "wrist")}, "drop_field:path=observation/image/wrist on b"),
    ],
)
def test_schemas_that_differ_are_refused_with_the_transform_that_helps(
    world, tmp_path, change, told
):
    other = dataclasses.replace(world, **change)
    a = world.dataset(tmp_path / "a", [world.episode(0)])
    b = other.dataset(tmp_path / "b", [other.episode(1)])
    with pytest.raises(SchemaError, match=rf"(?s)step field observation/image.*; {told}"):
        merge(tmp_path / "both", [a, b])
    assert not (tmp_path / "both").exists()
