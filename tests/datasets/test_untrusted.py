"""A dataset that was made to do harm touches nothing outside of itself and runs nothing."""

import json
import sys

import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.errors import DamagedDatasetError, SerldsError, StoreWriteError
from serlds.datasets.reading import open_dataset
from serlds.datasets.salvage import recover
from serlds.datasets.store import EpisodeStore
from serlds.datasets.verdict import Verdict, write_verdict

PRECIOUS = b"not the dataset's"


@pytest.fixture
def recording(tmp_path, schema, make_episode):
    with EpisodeStore.open(tmp_path / "data" / "arm", schema) as store:
        for index in range(4):
            store.append(make_episode(schema, index, actions=2))
    return store.directory


@pytest.fixture
def outside(tmp_path):
    """Files that are no part of the dataset, two folders above and in a folder of their own."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for path in (tmp_path / "data" / "precious", folder / "precious"):
        path.write_bytes(PRECIOUS)
    yield folder
    assert (tmp_path / "data" / "precious").read_bytes() == PRECIOUS
    assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [("precious", PRECIOUS)]


def write_intent(recording, replace, remove):
    staging = recording / ".change"
    staging.mkdir()
    (staging / "planted").write_bytes(b"planted")
    intent = {"what": "harm", "replace": replace, "remove": remove}
    (staging / "intent.json").write_text(json.dumps(intent))


def openers(schema):
    return (open_dataset, recover, lambda path: EpisodeStore.open(path, schema))


@pytest.mark.parametrize(
    "name",
    [
        *("../../precious", "{outside}/precious", "dropped/../../../precious", "a/b/c"),
        *("link/precious", "", ".", "..", "dropped/..", "dropped//precious", "dropped/"),
        *(3, None, ["planted"]),
    ],
)
@pytest.mark.parametrize("place", ["replace", "remove"])
def test_an_intent_reaches_no_file_outside(recording, outside, schema, name, place):
    name = name.format(outside=outside) if isinstance(name, str) else name
    (recording / "link").symlink_to(outside)
    names = {"replace": [], "remove": [], place: ["planted", name]}
    write_intent(recording, **names)
    for opener in openers(schema):
        with pytest.raises(DamagedDatasetError, match=r"made to do harm|symbolic link"):
            opener(recording)
    assert (recording / ".change" / "planted").read_bytes() == b"planted"


def test_a_linked_folder_of_changes_is_not_followed(recording, outside, schema):
    folder = recording.parents[2] / "elsewhere"
    recording.joinpath(".change").symlink_to(folder)
    write_elsewhere = {"what": "harm", "replace": ["planted"], "remove": []}
    folder.mkdir()
    (folder / "planted").write_bytes(b"")
    (folder / "intent.json").write_text(json.dumps(write_elsewhere))
    for opener in openers(schema):
        with pytest.raises(DamagedDatasetError, match="symbolic link"):
            opener(recording)
    assert len(list(folder.iterdir())) == 2


def test_nothing_is_written_through_links(recording, outside, schema, make_episode):
    (recording / "dropped").symlink_to(outside)
    with pytest.raises(DamagedDatasetError, match="dropped: is a symbolic link"):
        drop_episodes(recording, ["0"])
    assert not (recording / ".change").exists()
    (recording / "dropped").unlink()
    (recording / "set-aside").symlink_to(outside)
    torn = recording / "arm-train.tfrecord-00004"
    torn.write_bytes(b"torn")
    with pytest.raises(DamagedDatasetError, match="set-aside: is a symbolic link"):
        recover(recording)
    torn.unlink()
    for name in ("dataset_info.json", "validation.json", "arm-train.tfrecord-00004"):
        (recording / f".{name}.serlds-tmp").symlink_to(outside / "precious")
    write_verdict(recording, Verdict(open_dataset(recording).digest, 0, 0))
    with EpisodeStore.open(recording, schema) as store:
        (recording / ".arm-train.tfrecord-00004.serlds-tmp").symlink_to(outside / "precious")
        assert store.append(make_episode(schema, 4, actions=2)) == 4


def test_the_lock_is_not_taken_through_a_link(recording, outside, schema):
    (recording / ".serlds-lock").symlink_to(outside / "precious")
    with pytest.raises(StoreWriteError, match="symbolic links"):
        EpisodeStore.open(recording, schema)
    with pytest.raises(StoreWriteError, match="symbolic links"):
        compact(recording)


@pytest.mark.parametrize(
    "damage",
    [
        lambda info: info.update(name="../../../outside/arm"),
        lambda info: info["splits"][0].update(name="../../../outside/train"),
        lambda info: info["splits"][0].update(filepathTemplate="/tmp/{SPLIT}-{SHARD_INDEX}"),
        lambda info: info["splits"][0].update(filepathTemplate="../{SPLIT}-{SHARD_INDEX}"),
    ],
    ids=["name", "split", "absolute", "relative"],
)
@pytest.mark.parametrize("lengths", [["1"] * 4, []])
def test_shards_lie_in_the_dataset(recording, outside, damage, lengths):
    path = recording / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"] = lengths
    damage(info)
    path.write_text(json.dumps(info))
    with pytest.raises(DamagedDatasetError, match=r"dataset_info\.json: cannot be read"):
        open_dataset(recording)


@pytest.mark.parametrize("values", [{"number": "../../x"}, {"shard": None}, {"record": -1}])
def test_the_list_of_dropped_episodes_has_numbers(recording, outside, values):
    drop_episodes(recording, ["1"])
    path = recording / "dropped" / "episodes.json"
    content = json.loads(path.read_text())
    content["episodes"][0].update(values)
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedDatasetError, match="not a readable list of dropped episodes"):
        restore_episodes(recording, [], everything=True)


@pytest.mark.parametrize("values", [{"env_args": ["x"]}, {"env_id": 3}, {"parents": [{}]}])
def test_a_provenance_of_other_types_is_damage(recording, values):
    path = recording / "serlds.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    with pytest.raises(DamagedDatasetError, match="not a readable provenance"):
        open_dataset(recording)


PLANTED = "planted_by_a_dataset"
DICT = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
OLD_STYLE = {"type": f"{PLANTED}.Feature", "content": {}}


@pytest.mark.parametrize(
    "features",
    [
        {"pythonClassName": f"{PLANTED}.Feature", "jsonFeature": {"json": "{}"}},
        {"python_class_name": f"{PLANTED}.Feature", "json_feature": {"json": "{}"}},
        OLD_STYLE,
        {"pythonClassName": DICT, "jsonFeature": {"json": json.dumps({"a": OLD_STYLE})}},
    ],
    ids=["proto", "snake case", "old style", "text within"],
)
def test_features_import_no_module(recording, schema, monkeypatch, features):
    (recording / f"{PLANTED}.py").write_text("")
    monkeypatch.syspath_prepend(recording)
    (recording / "features.json").write_text(json.dumps(features))
    for opener in openers(schema):
        with pytest.raises(SerldsError, match=f"features.json.*{PLANTED}"):
            opener(recording)
    assert PLANTED not in sys.modules
