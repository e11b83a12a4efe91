"""Reads exports with pyarrow, PyAV and json alone, as LeRobot's own loader would need them."""

import dataclasses
import itertools
import json

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from serlds.datasets.episode import Episode
from serlds.datasets.errors import SchemaError, SerldsError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.pipelines.lerobot.export import export_lerobot
from serlds.pipelines.lerobot.options import LeRobotOptions

LENGTHS = (12, 7, 9, 5, 12)
# Mean error of a pixel value, of 255, that H.264 with halved colour resolution may cost.
PIXEL_ERROR = 3.0


@pytest.fixture(scope="module")
def exported(arm_world, tmp_path_factory):
    """(source dataset, directory) of five episodes in several files, two cameras."""
    world = dataclasses.replace(arm_world, cameras=("front", "wrist"))
    directory = tmp_path_factory.mktemp("lerobot")
    episodes = [
        world.episode(index, length, success=index != 1) for index, length in enumerate(LENGTHS)
    ]
    texts = ["open the drawer"] * len(episodes[2])
    episodes[2] = Episode(
        {**episodes[2].columns, "language_instruction": texts}, episodes[2].metadata
    )
    source = world.dataset(directory / "arm", episodes)
    report = export_lerobot(
        source, directory / "out", LeRobotOptions(license="MIT"), shard_bytes=40_000, workers=2
    )
    assert report.exit_code == 0 and report.num_episodes == 5
    return open_dataset(source), directory / "out"


def info_of(root):
    return json.loads((root / "meta/info.json").read_text())


def episodes_of(root):
    files = sorted((root / "meta/episodes").glob("*/*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def frames_of(path):
    """Times in s and pixels (N, H, W, 3) of a video, and whether each is a keyframe."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        decoded = list(container.decode(stream))
        times = np.array([float(frame.pts * stream.time_base) for frame in decoded])
        keyframes = [frame.key_frame for frame in decoded]
        return times, np.stack([f.to_ndarray(format="rgb24") for f in decoded]), keyframes


def test_info_counts_what_is_there(exported):
    root = exported[1]
    info = info_of(root)
    assert info["codebase_version"] == "v3.0" and info["fps"] == 10
    assert (info["total_episodes"], info["total_frames"]) == (len(LENGTHS), sum(LENGTHS))
    assert info["total_tasks"] == 2 and info["splits"] == {"train": "0:5"}
    assert info["robot_type"] == "made-up arm"
    assert info["features"]["action"]["shape"] == [7]
    assert info["features"]["observation.state"]["names"] == [
        "gripper_pos", "tcp_pos.0", "tcp_pos.1", "tcp_pos.2",
    ]  # fmt: skip
    assert info["features"]["observation.images.front"]["shape"] == [32, 48, 3]


def test_rows_are_numbered_through_all_files(exported):
    source, root = exported
    files = sorted((root / "data").glob("*/*.parquet"))
    assert len(files) > 1  # so that places in files and in the dataset differ
    tables = [pq.read_table(path) for path in files]
    info = info_of(root)
    declared = {name for name, one in info["features"].items() if one["dtype"] != "video"}
    assert all(set(table.column_names) == declared for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["index"] for row in rows] == list(range(sum(LENGTHS)))
    assert [row["episode_index"] for row in rows] == list(np.repeat(range(5), LENGTHS))
    assert [row["frame_index"] for row in rows] == [n for length in LENGTHS for n in range(length)]
    for row in rows:
        assert row["timestamp"] == np.float32(row["frame_index"] / 10)
    actions = np.concatenate([one["action"][:-1] for one in source.episodes()])
    np.testing.assert_array_equal([row["action"] for row in rows], actions)
    states = np.concatenate([one.state_matrix()[:-1] for one in source.episodes()])
    np.testing.assert_array_equal([row["observation.state"] for row in rows], states)
    rewards = np.concatenate([one["reward"][:-1] for one in source.episodes()])
    np.testing.assert_array_equal([row["next.reward"] for row in rows], rewards)
    ends = np.cumsum(LENGTHS) - 1
    assert [row["index"] for row in rows if row["next.done"]] == ends.tolist()
    assert [row["index"] for row in rows if row["next.truncated"]] == [ends[1]]
    assert [row["index"] for row in rows if row["next.success"]] == np.delete(ends, 1).tolist()


def test_arrow_types_are_those_declared(exported):
    table = pq.read_table(next((exported[1] / "data").glob("*/*.parquet")))
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types["action"] == "fixed_size_list<element: float>[7]"
    assert types["timestamp"] == types["next.reward"] == "float"
    assert types["next.done"] == "bool"
    integers = ("frame_index", "episode_index", "index", "task_index")
    assert {types[name] for name in integers} == {"int64"}


def test_episodes_name_their_files_and_places(exported):
    _source, root = exported
    info, first = info_of(root), 0
    for index, row in enumerate(episodes_of(root)):
        assert (row["episode_index"], row["length"]) == (index, LENGTHS[index])
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (
            first,
            first + LENGTHS[index],
        )
        place = {name: row[f"data/{name}"] for name in ("chunk_index", "file_index")}
        table = pq.read_table(root / info["data_path"].format(**place))
        held = table.filter(np.equal(table["episode_index"].to_numpy(), index))
        assert held["index"].to_pylist() == list(range(first, first + LENGTHS[index]))
        first += LENGTHS[index]


def test_each_video_shows_its_episodes_at_exact_times(exported):
    source, root = exported
    info = info_of(root)
    for row, episode in zip(episodes_of(root), source.episodes(), strict=True):
        for camera in ("front", "wrist"):
            key = f"observation.images.{camera}"
            place = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            times, pixels, keyframes = frames_of(
                root / info["video_path"].format(video_key=key, **place)
            )
            np.testing.assert_allclose(times, np.arange(len(times)) / 10, atol=1e-9)
            first = round(row[f"videos/{key}/from_timestamp"] * 10)
            assert row[f"videos/{key}/to_timestamp"] == (first + row["length"]) / 10
            shown = pixels[first : first + row["length"]].astype(float)
            truth = episode.pixels(f"observation/image/{camera}")[:-1]
            assert np.abs(shown - truth).mean() < PIXEL_ERROR
            kept = keyframes[first : first + row["length"]]
            assert kept[0] and all(a or b for a, b in itertools.pairwise(kept))


def test_tasks_are_found_by_text_as_pandas_would(exported):
    table = pq.read_table(exported[1] / "meta/tasks.parquet")
    tasks = dict(zip(table["task"].to_pylist(), table["task_index"].to_pylist(), strict=True))
    assert tasks == {"pick up the cube": 0, "open the drawer": 1}
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    rows = episodes_of(exported[1])
    assert [row["tasks"] for row in rows][1:3] == [["pick up the cube"], ["open the drawer"]]


def test_statistics_are_those_of_the_rows(exported):
    source, root = exported
    stats = json.loads((root / "meta/stats.json").read_text())
    actions = np.concatenate([one["action"][:-1] for one in source.episodes()])
    figures = stats["action"]
    np.testing.assert_allclose(figures["mean"], actions.mean(0), atol=1e-6)
    np.testing.assert_allclose(figures["q90"], np.quantile(actions, 0.9, axis=0), atol=1e-6)
    assert figures["count"] == [len(actions)]
    image = stats["observation.images.front"]
    pixels = np.concatenate(
        [one.pixels("observation/image/front")[:-1].reshape(-1, 3) for one in source.episodes()]
    )
    assert np.shape(image["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(image["mean"]), pixels.mean(0) / 255, atol=1e-6)
    np.testing.assert_allclose(np.ravel(image["std"]), pixels.std(0) / 255, atol=1e-6)
    np.testing.assert_allclose(np.ravel(image["max"]), pixels.max(0) / 255)
    row, episode = episodes_of(root)[1], list(source.episodes())[1]
    np.testing.assert_allclose(row["stats/action/min"], episode["action"][:-1].min(0))


def test_card_tells_licence_and_conventions(exported):
    page = (exported[1] / "README.md").read_text()
    assert page.startswith("---\nlicense: mit\n") and "`observation.state`" in page


def test_files_do_not_depend_on_the_number_of_workers(exported, tmp_path):
    source, root = exported
    export_lerobot(
        source.directory, tmp_path / "one", LeRobotOptions(license="MIT"), shard_bytes=40_000
    )
    names = {path.relative_to(root) for path in root.rglob("*.*") if path.is_file()}
    assert names == {
        p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*") if p.is_file()
    }
    for name in names:
        if name.name not in ("serlds.json", "README.md"):
            assert (root / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name


def test_rates_that_differ_are_refused(state_world, tmp_path):
    episodes = [state_world.episode(index) for index in range(2)]
    episodes[1] = Episode(episodes[1].columns, {**episodes[1].metadata, "control_hz": 20.0})
    source = state_world.dataset(tmp_path / "arm", episodes)
    with pytest.raises(SerldsError, match=r"episode-00001.*20.*serlds convert"):
        export_lerobot(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = export_lerobot(source, tmp_path / "out", LeRobotOptions(fps=15))
    assert report.num_episodes == 2 and info_of(tmp_path / "out")["fps"] == 15


def test_a_rate_that_is_not_whole_is_refused(state_world, tmp_path):
    episode = state_world.episode(0)
    odd = Episode(episode.columns, {**episode.metadata, "control_hz": 9.97})
    source = state_world.dataset(tmp_path / "arm", [odd])
    with pytest.raises(SerldsError, match=r"9\.97.*--fps"):
        export_lerobot(source, tmp_path / "out")


def test_a_bad_image_leaves_one_episode_out_and_no_trace(arm_world, tmp_path):
    episodes = [arm_world.episode(index) for index in range(3)]
    images = list(episodes[1]["observation/image/front"])
    images[5] = images[5][: len(images[5]) // 2]
    columns = {**episodes[1].columns, "observation/image/front": images}
    episodes[1] = Episode(columns, episodes[1].metadata)
    report = export_lerobot(arm_world.dataset(tmp_path / "arm", episodes), tmp_path / "out")
    assert report.exit_code == 1 and report.num_episodes == 2
    (letter,) = report.findings
    assert (letter.episode_id, letter.step) == ("episode-00001", 5)
    root = tmp_path / "out"
    rows = pq.read_table(root / "data/chunk-000/file-000.parquet").to_pylist()
    assert [row["episode_index"] for row in rows] == [0] * 12 + [1] * 12
    times, _pixels, _ = frames_of(root / "videos/observation.images.front/chunk-000/file-000.mp4")
    assert len(times) == 24
    assert (root / "dead_letters.jsonl").is_file()


@pytest.mark.parametrize(
    "change, told",
    [({"size": (33, 48)}, "even height and width.*resize_images"), ({"cameras": ()}, None)],
)
def test_odd_images_are_refused_and_none_are_fine(arm_world, tmp_path, change, told):
    world = dataclasses.replace(arm_world, **change)
    source = world.dataset(tmp_path / "arm", [world.episode(0)])
    if told:
        with pytest.raises(SchemaError, match=told):
            export_lerobot(source, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    else:
        export_lerobot(source, tmp_path / "out")
        assert info_of(tmp_path / "out")["video_path"] is None


@pytest.mark.parametrize("options, told", [({"fps": 0}, "at least 1"), ({"crf": 60}, "0 to 51")])
def test_wrong_options_are_refused(options, told):
    with pytest.raises(UsageError, match=told):
        LeRobotOptions(**options)
