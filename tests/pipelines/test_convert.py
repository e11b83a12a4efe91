import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from serlds.datasets.errors import SerldsError, UsageError
from serlds.datasets.provenance import read_provenance
from serlds.datasets.reading import open_dataset
from serlds.pipelines.convert import convert
from serlds.pipelines.transforms.chain_file import read_chain
from serlds.pipelines.transforms.noops import DropNoops
from serlds.pipelines.validate import validate

FRONT = "observation/image/front"
RENAME = "rename_field:old=observation/image/front,new=observation/image/main"


@pytest.fixture
def dataset(world, tmp_path):
    return world.dataset(tmp_path / "arm", [world.episode(i, success=i % 3 > 0) for i in range(9)])


def files(directory):
    """All that must not depend on when, where and by how many workers it was made."""
    return {
        path.name: path.read_bytes()
        for path in directory.glob("1.0.0/*")
        if path.name != "serlds.json"
    }


def same_columns(left, right):
    return all(
        (left[path] == right[path]).all()
        if hasattr(left[path], "all")
        else left[path] == right[path]
        for path in left.columns
    )


def test_round_trip_changes_nothing(dataset, tmp_path):
    report = convert(dataset, tmp_path / "same", [])
    source, result = open_dataset(dataset), open_dataset(tmp_path / "same")
    assert result.schema == source.schema and result.digest == source.digest
    assert report.exit_code == 0 and report.splits == {"train": 9}
    for left, right in zip(source.episodes(), result.episodes(), strict=True):
        assert same_columns(left, right) and left.metadata == right.metadata


def test_images_pass_through_byte_for_byte(dataset, tmp_path):
    convert(dataset, tmp_path / "renamed", [RENAME, "drop_field:path=intervened"])
    pairs = zip(
        open_dataset(dataset).episodes(), open_dataset(tmp_path / "renamed").episodes(), strict=True
    )
    for left, right in pairs:
        assert right["observation/image/main"] == left[FRONT]
        assert "intervened" not in right.columns


def test_filter_order_and_report(dataset, tmp_path):
    report = convert(dataset, tmp_path / "good", ["only_successful"], shard_bytes=30_000)
    result = open_dataset(tmp_path / "good")
    assert [e.metadata["seed"] for e in result.episodes()] == [1, 2, 4, 5, 7, 8]
    assert report.left_out == {"only_successful": 3} and report.num_episodes == 6
    assert len(result.shards()) > 1 and all(shard.num_episodes for shard in result.shards())
    names = sorted(path.name for path in result.directory.glob("*.tfrecord*"))
    assert names[0] == f"good-train.tfrecord-00000-of-{len(names):05d}"
    assert validate(tmp_path / "good").findings == ()


def test_transforms_chain_and_are_in_the_provenance(dataset, tmp_path):
    chain = [DropNoops(threshold=1e-3), "resize_images:height=8,width=12", RENAME]
    convert(dataset, tmp_path / "small", chain)
    result = open_dataset(tmp_path / "small")
    assert result.episode(0).pixels("observation/image/main").shape == (13, 8, 12, 3)
    provenance = read_provenance(result.directory)
    assert provenance.transform["apply"] == [
        "drop_noops:threshold=0.001,where=everywhere,actions=delta",
        "resize_images:height=8,width=12,fit=stretch",
        RENAME,
    ]
    source = open_dataset(dataset)
    (parent,) = provenance.parents
    assert (parent.name, parent.digest) == ("arm", source.digest)
    assert provenance.env_id == "test/Arm-v0"


def test_statistics_lie_beside_the_data(dataset, tmp_path):
    convert(dataset, tmp_path / "good", ["only_successful"])
    written = json.loads((tmp_path / "good" / "1.0.0" / "statistics.json").read_text())
    assert written["num_trajectories"] == 6 and written["num_transitions"] == 72
    assert written["digest"] == open_dataset(tmp_path / "good").digest
    assert written["fields"]["reward"]["max"] == 1


def test_same_bytes_twice_and_when_every_bundle_is_retried(dataset, tmp_path):
    options = {"apply": ["resize_images:height=8,width=8"], "shard_bytes": 30_000}
    convert(dataset, tmp_path / "a" / "out", **options)
    retried = ["--direct_runner_bundle_repeat=1"]
    convert(dataset, tmp_path / "b" / "out", beam_args=retried, **options)
    assert files(tmp_path / "a" / "out") == files(tmp_path / "b" / "out")


def test_two_workers_write_what_one_writes(dataset, tmp_path):
    options = {"apply": ["only_successful"], "shard_bytes": 30_000}
    convert(dataset, tmp_path / "one" / "out", **options)
    seen = []
    convert(
        dataset,
        tmp_path / "two" / "out",
        workers=2,
        progress=lambda *now: seen.append(now),
        **options,
    )
    assert files(tmp_path / "one" / "out") == files(tmp_path / "two" / "out")
    assert seen[-1] == (9, 9)


def test_bad_episodes_become_dead_letters(world, tmp_path):
    episodes = [world.episode(index) for index in range(5)]
    episodes[1]["discount"][3] = 0
    image = episodes[3][FRONT][6]
    # Header and end are there, the pixels are not: only decoding it tells.
    episodes[3][FRONT][6] = image[: image.index(b"\xff\xda") - 30] + b"\xff\xd9"
    dataset = world.dataset(tmp_path / "arm", episodes)
    damaged = dataset / "1.0.0" / "arm-train.tfrecord-00004"
    data = bytearray(damaged.read_bytes())
    data[3000] ^= 1
    damaged.write_bytes(data)
    report = convert(dataset, tmp_path / "out", ["resize_images:height=8,width=8"])
    lines = (tmp_path / "out" / "1.0.0" / "dead_letters.jsonl").read_text().splitlines()
    letters = [json.loads(line) for line in lines]
    assert [(letter["check"], letter["episode_id"], letter["step"]) for letter in letters] == [
        ("discount", "episode-00001", 3),
        ("transform:resize_images", "episode-00003", 6),
        ("records", "", None),
    ]
    assert letters[0]["found"] == "0.0" and letters[0]["file"].endswith("00001")
    assert letters[2]["file"] == str(damaged)
    assert report.exit_code == 1 and report.num_bad == 3 and report.num_episodes == 2
    seeds = [e.metadata["seed"] for e in open_dataset(tmp_path / "out").episodes()]
    assert seeds == [0, 2]


def test_a_long_chain_gives_a_valid_dataset_and_names_bad_steps(world, tmp_path):
    episodes = [world.episode(index) for index in range(4)]
    for episode in episodes:
        episode["action"][:, 3:6] *= 0.5
    episodes[2]["action"][6:8, 3:6] = 1
    dataset = world.dataset(tmp_path / "arm", episodes)
    chain = tmp_path / "chain.toml"
    chain.write_text(CHAIN)
    report = convert(dataset, tmp_path / "out", read_chain(chain))
    result = open_dataset(tmp_path / "out")
    assert [e.metadata["seed"] for e in result.episodes()] == [1, 3]
    assert report.left_out == {"keep_if": 1} and report.num_bad == 1
    (letter,) = report.findings
    assert (letter.check, letter.episode_id) == ("transform:subsample", "episode-00002")
    assert (letter.step, letter.field) == (3, "action")
    assert result.episode(0)["language_instruction"] == ["pick, please"] * 7
    assert result.schema["action"].about.scale == (0.04,) * 3 + (0.15,) * 3 + (1.0,)
    assert result.schema["language_embedding"].shape == (16,)
    assert validate(tmp_path / "out").errors == ()


CHAIN = """
[[transform]]
name = "keep_if"
where = "success and seed > 0"
[[transform]]
name = "subsample"
actions = "pose_delta"
every = 2
scale_rad = 0.15
[[transform]]
name = "crop_images"
height = 30
width = 30
left = 0
[[transform]]
name = "resize_images"
height = 16
width = 16
[[transform]]
name = "set_language"
template = "{task}, please"
[[transform]]
name = "embed_language"
dim = 16
"""


def test_existing_destination_is_never_touched(dataset, tmp_path):
    convert(dataset, tmp_path / "out", [])
    before = files(tmp_path / "out")
    with pytest.raises(UsageError, match="never overwritten"):
        convert(dataset, tmp_path / "out", ["only_successful"])
    assert files(tmp_path / "out") == before


def test_nothing_left_writes_nothing(world, tmp_path):
    dataset = world.dataset(tmp_path / "arm", [world.episode(0, success=False)])
    with pytest.raises(SerldsError, match="1 left out by only_successful"):
        convert(dataset, tmp_path / "deep" / "er" / "out", ["only_successful"])
    assert not (tmp_path / "deep").exists()


def test_wrong_transform_leaves_nothing(dataset, tmp_path):
    with pytest.raises(UsageError):
        convert(dataset, tmp_path / "out", ["drop_field:path=no_such"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_full_disk_is_named_and_leaves_nothing(dataset, tmp_path, workers):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(SerldsError) as error:
            convert(dataset, tmp_path / "out", [], workers=workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


KILLED = """
import os, sys
from serlds.pipelines.convert import convert

def progress(done, total):
    if done >= float(sys.argv[3]) * total:
        os.kill(os.getpid(), int(sys.argv[4]))

convert(sys.argv[1], sys.argv[2], ["resize_images:height=256,width=256"], shard_bytes=20_000,
        progress=progress)
"""


def run_and_send(number, dataset, out, share):
    """Converts in a process of its own that signals itself when a share of the work is done."""
    command = [sys.executable, "-c", KILLED, str(dataset), str(out), str(share), str(int(number))]
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode


def test_interrupted_run_leaves_nothing_at_all(world, tmp_path):
    dataset = world.dataset(tmp_path / "arm", [world.episode(index) for index in range(40)])
    assert run_and_send(signal.SIGINT, dataset, tmp_path / "out", 0.3) == -signal.SIGINT
    assert os.listdir(tmp_path) == ["arm"]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_killed_run_leaves_nothing_and_the_next_one_works(world, tmp_path, share):
    dataset = world.dataset(tmp_path / "arm", [world.episode(index) for index in range(40)])
    out = tmp_path / "out"
    assert run_and_send(signal.SIGKILL, dataset, out, share) == -signal.SIGKILL
    assert not (out / "1.0.0").exists() and len(os.listdir(out)) == 1
    convert(dataset, out, [])
    assert open_dataset(out).num_episodes == 40
    assert os.listdir(out) == ["1.0.0"]
