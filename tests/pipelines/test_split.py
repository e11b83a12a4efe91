"""A split follows from episode ids alone: complete, disjoint, stable when the source grows."""

import dataclasses

import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore
from serlds.pipelines.split import parse_parts, part_of, split

PARTS = {"train": 0.6, "val": 0.2, "test": 0.2}


def ids_by_split(dataset):
    reader = open_dataset(dataset)
    return {name: [one.episode_id for one in reader.episodes(name)] for name in reader.splits}


def test_every_episode_is_in_one_part_and_stays_there(state_world, tmp_path):
    world = state_world
    source = world.dataset(tmp_path / "source", [world.episode(index) for index in range(20)])
    split(source, tmp_path / "first", PARTS, workers=1)
    before = ids_by_split(tmp_path / "first")
    assert list(before) == list(PARTS)
    assert sorted(one for ids in before.values() for one in ids) == [
        f"episode-{index:05d}" for index in range(20)
    ]
    with EpisodeStore.open(source, world.schema, env_id="test/Arm-v0") as store:
        for index in range(20, 30):
            store.append(world.episode(index))
    split(source, tmp_path / "second", PARTS, workers=1)
    after = ids_by_split(tmp_path / "second")
    for name, ids in before.items():
        assert after[name][: len(ids)] == ids
    split(source, tmp_path / "third", PARTS, seed=1, workers=1)
    assert ids_by_split(tmp_path / "third") != after
    provenance = open_dataset(tmp_path / "third").provenance
    assert provenance.transform == {"verb": "split", "parts": PARTS, "by": "episode", "seed": 1}


def test_whole_tasks(state_world, tmp_path):
    world = state_world
    episodes = [
        dataclasses.replace(one, metadata={**one.metadata, "task": f"task {index % 6}"})
        for index, one in ((index, world.episode(index)) for index in range(18))
    ]
    source = world.dataset(tmp_path / "source", episodes)
    split(source, tmp_path / "parts", {"train": 0.5, "val": 0.5}, by="task", workers=1)
    reader = open_dataset(tmp_path / "parts")
    tasks = {
        name: {one.metadata["task"] for one in reader.episodes(name)} for name in reader.splits
    }
    assert not tasks["train"] & tasks["val"]
    assert len(tasks["train"] | tasks["val"]) == 6
    assert reader.num_episodes == 18


def test_a_part_without_episodes_is_refused(state_world, tmp_path):
    source = state_world.dataset(tmp_path / "source", [state_world.episode(0)])
    with pytest.raises(UsageError, match=r"of 1 episodes none falls to .*another --seed"):
        split(source, tmp_path / "parts", PARTS, workers=1)
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["train"], "expected NAME=SHARE"),
        (["train=much"], "expected NAME=SHARE"),
        (["train=0.5", "train=0.5"], "given twice"),
        (["train=0.5", "val=0.6"], "add up to 1.1"),
        (["train=1", "val=0"], "above 0"),
        (["train=nan", "val=1"], "above 0"),
        (["Train=1"], "cannot name a split"),
        (["all=1"], "cannot name a split"),
        ([], "add up to 0"),
    ],
)
def test_wrong_parts(texts, told, tmp_path):
    with pytest.raises(UsageError, match=told):
        split(tmp_path / "source", tmp_path / "parts", parse_parts(texts))


def test_shares_are_met():
    counts = {name: 0 for name in PARTS}
    for index in range(10_000):
        counts[part_of(f"episode-{index}", PARTS, seed=0)] += 1
    for name, share in PARTS.items():
        assert abs(counts[name] / 10_000 - share) < 0.02
