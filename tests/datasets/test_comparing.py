"""The differences of two datasets are named: schema, episodes, fields, steps."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets import keys
from serlds.datasets.compaction import compact
from serlds.datasets.comparing import compare
from serlds.datasets.comparing_view import comparison_text
from serlds.datasets.curation import drop_episodes
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore


@pytest.fixture
def record(tmp_path, schema):
    def run(name, episodes, with_schema=schema):
        with EpisodeStore.open(tmp_path / name, with_schema) as store:
            for episode in episodes:
                store.append(episode)
        return tmp_path / name

    return run


def compared(a, b):
    return compare(open_dataset(a), open_dataset(b))


def test_the_same_in_other_shards_is_the_same(record, schema, make_episode):
    a = record("a", [make_episode(schema, index) for index in range(5)])
    b = record("b", [make_episode(schema, index) for index in range(5)])
    compact(b)
    found = compared(a, b)
    assert found.is_same and found.same == 5
    assert "no difference" in comparison_text(found)


def test_equal_records_are_not_decoded(record, schema, make_episode, monkeypatch):
    episodes = [make_episode(schema, index) for index in range(3)]
    a, b = record("a", episodes), record("b", episodes)
    for dataset in (a, b):
        shard = open_dataset(dataset).shards()[1].path
        content = bytearray(shard.read_bytes())
        content[60] ^= 1  # would not pass its checksum
        shard.write_bytes(content)
    assert compared(a, b).is_same


def test_episodes_of_one_alone_and_order(record, schema, make_episode):
    a = record("a", [make_episode(schema, index) for index in (0, 1, 2, 3)])
    b = record("b", [make_episode(schema, index) for index in (3, 2, 4, 1)])
    found = compared(a, b)
    assert [(one.ordinal, one.episode_id[-1]) for one in found.only_a] == [(0, "0")]
    assert [(one.ordinal, one.episode_id[-1]) for one in found.only_b] == [(2, "4")]
    assert (found.same, found.is_reordered, found.is_same) == (3, True, False)
    drop_episodes(a, ["0"])
    drop_episodes(b, ["0", "2"])
    found = compared(a, b)
    assert [one.episode_id[-1] for one in found.only_a] == ["3"]


def test_changed_fields_are_named_with_the_first_step(record, make_schema, make_episode):
    schema = make_schema(cameras=["front"])
    changed, longer = make_episode(schema, 1), make_episode(schema, 2, actions=6)
    changed.columns[keys.ACTION][2:, 4] += 1
    changed.columns["observation/image/front"][3] = b"other"
    changed.columns["observation/state/tcp_pos"][4] = np.nan
    changed.columns[keys.LANGUAGE_INSTRUCTION][1] = "drop it"
    changed.metadata[keys.SUCCESS] = False
    a = record("a", [make_episode(schema, index) for index in range(3)], schema)
    b = record("b", [make_episode(schema, 0), changed, longer], schema)
    found = compared(a, b)
    fields = {one.path: one.step for one in found.changed[0].fields}
    assert fields == {
        "episode_metadata/success": None,
        "action": 2,
        "language_instruction": 1,
        "observation/image/front": 3,
        "observation/state/tcp_pos": 4,
    }
    assert ("steps", None, "5 steps", "7 steps") in {
        (one.path, one.step, one.a, one.b) for one in found.changed[1].fields
    }
    text = comparison_text(found)
    assert "other content (A | B): 2 episode(s)" in text
    assert "action from step 2" in text and "episode_metadata/success: True | False" in text


def test_not_a_number_is_equal_to_itself(record, schema, make_episode):
    broken = make_episode(schema, 0)
    broken.columns["observation/state/tcp_pos"][1] = np.nan
    other = dataclasses.replace(broken, columns=dict(broken.columns))
    other.columns[keys.ACTION] = broken[keys.ACTION] + 1
    found = compared(record("a", [broken]), record("b", [other]))
    assert [one.path for one in found.changed[0].fields] == ["action"]


def test_schemas_that_differ(record, make_schema, make_episode):
    one, two = make_schema(), make_schema(cameras=["front"], action_scale=(0.1,) * 7)
    a = record("a", [make_episode(one, 0)], one)
    b = record("b", [make_episode(two, 0)], two)
    found = compared(a, b)
    assert not found.is_same
    assert any("image/front: A has no such field, B has uint8" in line for line in found.schema)
    assert any("step field action: A has" in line and "scale" in line for line in found.schema)
