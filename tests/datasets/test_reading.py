"""Reading: errors name what is wrong and where; the digest and summary follow the content."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from serlds.datasets import keys
from serlds.datasets.curation import drop_episodes
from serlds.datasets.dataset_files import (
    APPENDABLE_TEMPLATE,
    COUNTED_TEMPLATE,
    MAX_SHARDS,
    DatasetFiles,
    SplitFiles,
    shard_name,
    write_metadata,
)
from serlds.datasets.errors import DamagedDatasetError, SchemaError, UsageError
from serlds.datasets.provenance import (
    Parent,
    Provenance,
    dataset_digest,
    read_provenance,
    write_provenance,
)
from serlds.datasets.reading import list_datasets, open_dataset
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.schema import Field, Schema
from serlds.datasets.store import EpisodeStore
from serlds.datasets.summary import Spread, Successes, summarize
from serlds.datasets.summary_view import render
from serlds.datasets.verdict import Verdict, write_verdict


@pytest.fixture
def dataset(tmp_path, schema, make_episode):
    path = tmp_path / "pick_cube"
    with EpisodeStore.open(
        path, schema, env_id="serlds/Test-v0", env_args={"reward": "sparse"}
    ) as store:
        for index in range(5):
            store.append(make_episode(schema, index, actions=index + 1))
    return path


def write_shards(directory, schema, shards, template=COUNTED_TEMPLATE):
    """A dataset whose shards hold the given lists of episodes."""
    directory.mkdir(parents=True)
    lengths = tuple(len(episodes) for episodes in shards)
    split = SplitFiles("train", lengths, template=template)
    name = directory.parent.name
    for index, episodes in enumerate(shards):
        content = b"".join(frame_record(encode_episode(each, schema)) for each in episodes)
        (directory / shard_name(name, split, index)).write_bytes(content)
    write_metadata(directory, DatasetFiles(name, directory.name, (split,)), schema)


def test_a_flipped_byte_is_reported_with_file_and_record(dataset):
    shard = dataset / "1.0.0" / "pick_cube-train.tfrecord-00003"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0x10
    shard.write_bytes(content)
    reader = open_dataset(dataset)
    episodes = reader.episodes()
    for _ in range(3):
        next(episodes)
    for read in (lambda: next(episodes), lambda: reader.episode(3), lambda: summarize(reader)):
        with pytest.raises(DamagedDatasetError, match=r"tfrecord-00003: record .*checksum"):
            read()
    assert reader.episode(4).episode_id == "episode-00004"


def test_records_that_do_not_match_the_counts_are_reported(tmp_path, schema, make_episode):
    episodes = [make_episode(schema, index) for index in range(4)]
    write_shards(tmp_path / "counted" / "1.0.0", schema, [episodes[:2], episodes[2:]])
    shard = tmp_path / "counted" / "1.0.0" / "counted-train.tfrecord-00001-of-00002"
    shard.write_bytes(frame_record(encode_episode(episodes[2], schema)))
    reader = open_dataset(tmp_path / "counted")
    with pytest.raises(DamagedDatasetError, match=r"00001-of-00002: expected 2 records .* found 1"):
        list(reader.episodes())
    with pytest.raises(DamagedDatasetError, match=r"00001-of-00002: expected 2 records .* found 1"):
        reader.episode(2)


def test_a_record_that_does_not_fit_the_features_names_its_episode(tmp_path, schema, make_episode):
    directory = tmp_path / "mixed" / "1.0.0"
    write_shards(directory, schema, [[make_episode(schema, 0)], [make_episode(schema, 1)]])
    wider = Schema((*schema.steps, Field("observation/state/more", "float32")), schema.metadata)
    split = SplitFiles("train", (1, 1), template=COUNTED_TEMPLATE)
    write_metadata(directory, DatasetFiles("mixed", "1.0.0", (split,)), wider)
    message = r"00001-of-00002: record 0 \(episode 1 of the dataset\): .*observation/state/more"
    with pytest.raises(DamagedDatasetError, match=message):
        open_dataset(directory).episode(1)


def test_episodes_are_found_by_ordinal_across_shards(tmp_path, schema, make_episode):
    episodes = [make_episode(schema, index) for index in range(6)]
    write_shards(tmp_path / "sharded" / "2.0.0", schema, [episodes[:3], [], episodes[3:]])
    reader = open_dataset(tmp_path / "sharded")
    assert [reader.episode(index).episode_id for index in range(6)] == [
        episode.episode_id for episode in episodes
    ]
    assert [(s.first_episode, s.num_episodes) for s in reader.shards()] == [(0, 3), (3, 0), (3, 3)]
    for index in (-1, 6):
        with pytest.raises(UsageError, match=f"there is no episode {index}; it holds 6"):
            reader.episode(index)


def test_tf_data_reads_one_shard_after_the_other(tmp_path, schema, make_episode):
    episodes = [make_episode(schema, index, actions=1) for index in range(40)]
    write_shards(tmp_path / "sharded" / "1.0.0", schema, [episodes[:20], episodes[20:]])
    found = [
        episode["episode_metadata"]["episode_id"].numpy().decode()
        for episode in open_dataset(tmp_path / "sharded").as_tf_data("train")
    ]
    assert found == [episode.episode_id for episode in episodes]


def test_shards_in_another_file_format_are_refused(dataset):
    info = dataset / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))
    with pytest.raises(SchemaError, match="the shards are array_record"):
        open_dataset(dataset)


def test_shard_names_keep_five_digits_up_to_the_limit():
    full = SplitFiles("train", (1,) * MAX_SHARDS, template=APPENDABLE_TEMPLATE)
    assert shard_name("d", full, 0) == "d-train.tfrecord-00000"
    assert shard_name("d", full, MAX_SHARDS - 1) == "d-train.tfrecord-99998"
    counted = SplitFiles("val", (1, 1), template=COUNTED_TEMPLATE)
    assert shard_name("d", counted, 1) == "d-val.tfrecord-00001-of-00002"


def test_the_digest_follows_the_records_and_not_the_shards(tmp_path, schema, make_episode):
    episodes = [make_episode(schema, index) for index in range(4)]
    layouts = {
        "one": [episodes],
        "many": [[episode] for episode in episodes],
        "swapped": [[episodes[1], episodes[0], *episodes[2:]]],
        "fewer": [episodes[:3]],
    }
    digests = {}
    for name, shards in layouts.items():
        write_shards(tmp_path / name / "1.0.0", schema, shards)
        digests[name] = open_dataset(tmp_path / name).digest
    assert digests["one"] == digests["many"]
    assert len(set(digests.values())) == 3
    assert dataset_digest([]) != digests["one"]


def test_provenance_is_read_back(tmp_path):
    parents = (
        Parent("/data/a/1.0.0", "a", "1.0.0", "aa"),
        Parent("/data/b/2.0.0", "b", "2.0.0", "bb"),
    )
    written = Provenance("serlds/X-v0", {"size": [64, 48]}, parents, {"verb": "merge"})
    write_provenance(tmp_path, written)
    assert read_provenance(tmp_path) == written
    assert written.is_derived
    assert not Provenance("serlds/X-v0").is_derived
    assert read_provenance(tmp_path.parent) is None


@pytest.mark.parametrize("content", ["[]", "{}", '{"parents": [{"path": 1}]}', "not json"])
def test_an_unreadable_provenance_is_damage(tmp_path, content):
    (tmp_path / "serlds.json").write_text(content)
    with pytest.raises(DamagedDatasetError, match=r"serlds\.json: not a readable provenance file"):
        read_provenance(tmp_path)


def test_a_summary_counts_what_there_is(dataset):
    reader = open_dataset(dataset)
    summary = summarize(reader)
    assert (summary.name, summary.version, summary.episodes) == ("pick_cube", "1.0.0", 5)
    assert summary.steps == sum(index + 2 for index in range(5))
    assert summary.steps_per_episode == Spread(2, 4, 6)
    assert summary.episode_return == Spread(1.0, 1.0, 1.0)
    # Episodes 0, 2, 4 are scripted, 1 and 3 of the policy; 0 and 3 failed.
    assert summary.success_by_collector == {
        "policy": Successes(2, 1),
        "scripted": Successes(3, 2),
    }
    assert summary.size_bytes == sum(path.stat().st_size for path in dataset.rglob("*tfrecord*"))
    assert summary.digest == reader.digest
    assert (summary.env_id, summary.env_args) == ("serlds/Test-v0", {"reward": "sparse"})
    assert summary.first_created_utc < summary.last_created_utc
    assert len(summary.step_fields) == len(reader.schema.steps)
    action = next(field for field in summary.step_fields if field.path == keys.ACTION)
    assert (action.dtype, action.shape, action.frame) == ("float32", (7,), "robot base")
    assert json.loads(json.dumps(dataclasses.asdict(summary)))["episodes"] == 5


def shown(summary):
    console = Console(width=160, file=io.StringIO())
    console.print(render(summary))
    return console.file.getvalue()


def test_a_summary_is_shown_in_words(dataset, schema):
    text = shown(summarize(open_dataset(dataset)))
    for words in (
        "pick_cube 1.0.0",
        "policy 50% (1 of 2), scripted 67% (2 of 3)",
        "min 2, median 4, max 6",
        'serlds/Test-v0 {"reward": "sparse"}',
        "m, rad, 1; robot base",
        *(field.path for field in (*schema.steps, *schema.metadata)),
    ):
        assert words in text, words


def test_a_summary_tells_the_verdict(dataset, schema, make_episode):
    assert summarize(open_dataset(dataset)).validation == "has not been validated"
    reader = open_dataset(dataset)
    write_verdict(reader.directory, Verdict(reader.digest, errors=0, warnings=2))
    assert summarize(reader).validation == "valid, 2 warning(s)"
    assert "valid, 2 warning(s)" in shown(summarize(reader))
    bad = Verdict(reader.digest, errors=1, warnings=0, checks={"discount": {"error": 1}})
    write_verdict(reader.directory, bad)
    assert summarize(reader).validation == "has 1 error(s) by the checks discount"
    drop_episodes(dataset, ["0"])
    assert summarize(open_dataset(dataset)).validation == "has changed since it was validated"
    (reader.directory / "validation.json").write_text("[]")
    assert "not a readable verdict" in summarize(open_dataset(dataset)).validation


def test_an_empty_or_foreign_dataset_has_a_summary_too(tmp_path, schema):
    EpisodeStore.open(tmp_path / "empty", schema).close()
    summary = summarize(open_dataset(tmp_path / "empty"))
    assert (summary.episodes, summary.steps) == (0, 0)
    assert summary.steps_per_episode is None
    assert summary.episode_return is None
    assert "episodes" in shown(summary)
    bare = Schema((Field(keys.IS_FIRST, "bool"),), (Field("file_path", "string"),))
    write_shards(tmp_path / "bare" / "0.1.0", bare, [])
    summary = summarize(open_dataset(tmp_path / "bare"))
    assert (summary.env_id, summary.success_by_collector) == ("", {})
    assert "file_path" in shown(summary)


def test_datasets_of_a_data_directory_are_listed(tmp_path, schema):
    for name in ("b_set/1.0.0", "a_set/2.0.0", "a_set/1.0.0"):
        EpisodeStore.open(tmp_path / name, schema).close()
    (tmp_path / "notes").mkdir()
    assert [str(path.relative_to(tmp_path)) for path in list_datasets(tmp_path)] == [
        "a_set/1.0.0",
        "a_set/2.0.0",
        "b_set/1.0.0",
    ]
