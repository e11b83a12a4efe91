import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serlds.datasets.errors import DamagedDatasetError, SchemaError, SerldsError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.pipelines.lerobot.export import export_lerobot
from serlds.pipelines.lerobot.import_options import LeRobotImportOptions
from serlds.pipelines.lerobot.importing import import_lerobot
from serlds.pipelines.validate import validate

LENGTHS = (12, 7, 9, 5)
VIDEO = "observation.images.front"
PIXEL_ERROR = 4.0


@pytest.fixture(scope="module")
def pair(arm_world, tmp_path_factory):
    """(source dataset, its LeRobot export in several files)."""
    world = dataclasses.replace(arm_world, cameras=("front", "wrist"))
    directory = tmp_path_factory.mktemp("lerobot")
    episodes = [world.episode(i, length, success=i != 1) for i, length in enumerate(LENGTHS)]
    source = world.dataset(directory / "arm", episodes)
    export_lerobot(source, directory / "out", shard_bytes=40_000)
    return open_dataset(source), directory / "out"


@pytest.fixture
def copy(pair, tmp_path):
    """A LeRobot dataset that a test may damage."""
    return shutil.copytree(pair[1], tmp_path / "copy")


def edit_info(root, **values):
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def edit_table(path, change):
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def replaced(table, name, values):
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_what_was_exported_comes_back(pair, tmp_path):
    source, root = pair
    report = import_lerobot(root, tmp_path / "back", workers=2, shard_bytes=20_000)
    assert report.exit_code == 0 and report.splits == {"train": 4}
    back = open_dataset(tmp_path / "back")
    assert back.schema.action.about == source.schema.action.about
    assert back.schema.state_fields == source.schema.state_fields
    for before, after in zip(source.episodes(), back.episodes(), strict=True):
        assert after.episode_id == before.episode_id and after.success == before.success
        assert len(after) == len(before)
        for path in ("action", "reward", "discount", "is_first", "is_last", "is_terminal"):
            np.testing.assert_array_equal(after[path], before[path], err_msg=path)
        np.testing.assert_allclose(after["timestamp_s"], before["timestamp_s"], atol=1e-6)
        np.testing.assert_array_equal(after.state_matrix()[:-1], before.state_matrix()[:-1])
        np.testing.assert_array_equal(after.state_matrix()[-1], before.state_matrix()[-2])
        for camera in ("front", "wrist"):
            path = f"observation/image/{camera}"
            error = np.abs(after.pixels(path)[:-1].astype(float) - before.pixels(path)[:-1])
            assert error.mean() < PIXEL_ERROR and error.mean(axis=(1, 2, 3)).max() < 2 * PIXEL_ERROR
        assert after["language_instruction"] == before["language_instruction"]
        assert after.metadata["control_hz"] == 10 and after.metadata["robot"] == "made-up arm"
    assert validate(tmp_path / "back").errors == ()


def test_exported_again_it_is_the_same_data(pair, tmp_path):
    import_lerobot(pair[1], tmp_path / "back", LeRobotImportOptions(image_encoding="png"))
    export_lerobot(tmp_path / "back", tmp_path / "again", shard_bytes=10**9)
    rows = [
        [
            row
            for path in sorted((root / "data").glob("*/*"))
            for row in pq.read_table(path).to_pylist()
        ]
        for root in (pair[1], tmp_path / "again")
    ]
    assert rows[0] == rows[1]


def test_options_override(pair, tmp_path):
    options = LeRobotImportOptions(instruction="wave", collector="scripted", image_encoding="png")
    back = open_dataset(import_lerobot(pair[1], tmp_path / "back", options).dataset)
    episode = back.episode(0)
    assert set(episode["language_instruction"]) == {"wave"}
    assert episode.metadata["collector"] == "scripted" and episode.metadata["task"] == "wave"
    assert back.schema["observation/image/front"].encoding == "png"
    with pytest.raises(UsageError, match="teleop"):
        LeRobotImportOptions(collector="ghost")


def without_outcome(root):
    """What most people have: no rewards, no success, names of joints, no documentation."""
    features = json.loads((root / "meta/info.json").read_text())["features"]
    for name in ("next.reward", "next.success", "next.done", "next.truncated"):
        del features[name]
    state = features["observation.state"]
    del state["fields"], state["doc"], features["action"]["doc"]
    state["names"] = {"motors": ["a", "b", "c", "d"]}
    edit_info(root, features=features)
    for path in (root / "data").glob("*/*"):
        edit_table(path, lambda t: t.select([n for n in t.column_names if n in features]))
    for path in (root / "meta/episodes").glob("*/*"):
        edit_table(path, lambda t: t.drop_columns(["episode_id"]))


def test_nothing_is_invented(copy, tmp_path):
    without_outcome(copy)
    back = open_dataset(import_lerobot(copy, tmp_path / "back").dataset)
    assert back.schema["observation/state/state"].shape == (4,)
    assert "a, b, c, d" in back.schema["observation/state/state"].about.doc
    for index, episode in enumerate(back.episodes()):
        assert not episode["reward"].any() and not episode.success
        assert not episode["is_terminal"].any() and episode["discount"][:-1].all()
        assert episode.episode_id == f"copy-{index:06d}"


def test_a_person_can_say_that_all_succeeded(copy, tmp_path):
    without_outcome(copy)
    told = LeRobotImportOptions(success="all")
    for episode in open_dataset(import_lerobot(copy, tmp_path / "back", told).dataset).episodes():
        assert episode.success and episode["is_terminal"][-1]
        assert np.flatnonzero(episode["reward"]).tolist() == [len(episode) - 2]
    assert validate(tmp_path / "back").errors == ()


def test_images_in_parquet_are_read_too(pair, copy, tmp_path):
    source, _ = pair
    info = json.loads((copy / "meta/info.json").read_text())
    info["features"][VIDEO]["dtype"] = "image"
    edit_info(copy, features=info["features"])
    shutil.rmtree(copy / "videos" / VIDEO)
    images = [
        {"bytes": image, "path": None}
        for episode in source.episodes()
        for image in episode["observation/image/front"][:-1]
    ]
    for path in sorted((copy / "data").glob("*/*")):
        first = pq.read_table(path)["index"][0].as_py()
        edit_table(
            path,
            lambda t, first=first: t.append_column(
                VIDEO, pa.array(images[first : first + t.num_rows])
            ),
        )
    options = LeRobotImportOptions(image_encoding="png")
    back = open_dataset(import_lerobot(copy, tmp_path / "back", options).dataset)
    for before, after in zip(source.episodes(), back.episodes(), strict=True):
        path = "observation/image/front"
        np.testing.assert_array_equal(after.pixels(path)[:-1], before.pixels(path)[:-1])


def files(root, folder):
    return sorted((root / folder).glob("*/*"))


@pytest.mark.parametrize(
    "damage, error, told",
    [
        (lambda r: (r / "meta/info.json").unlink(), UsageError, "no LeRobot dataset"),
        (lambda r: (r / "meta/info.json").write_text("{"), DamagedDatasetError, "info.json"),
        (
            lambda r: edit_info(r, codebase_version="v2.1"),
            SchemaError,
            "convert_dataset_v21_to_v30",
        ),
        (lambda r: edit_info(r, total_episodes=9), DamagedDatasetError, "9 episodes.*lists 4"),
        (lambda r: edit_info(r, total_frames=9), DamagedDatasetError, "9 frames.*lists 33"),
        (lambda r: edit_info(r, fps=0), DamagedDatasetError, "fps"),
        (lambda r: edit_info(r, features={}), SchemaError, "action"),
        (lambda r: edit_info(r, splits={"train": "x"}), DamagedDatasetError, "FIRST:END"),
        (lambda r: (r / "meta/tasks.parquet").unlink(), DamagedDatasetError, "tasks.parquet"),
        (lambda r: shutil.rmtree(r / "meta/episodes"), DamagedDatasetError, "lists 0"),
        (
            lambda r: files(r, "meta/episodes")[0].write_bytes(b"PAR1 torn"),
            DamagedDatasetError,
            "cannot be read",
        ),
        (
            lambda r: edit_table(
                files(r, "meta/episodes")[0], lambda t: t.drop_columns(["data/file_index"])
            ),
            DamagedDatasetError,
            "no column data/file_index",
        ),
    ],
)
def test_a_damaged_description_is_refused(copy, tmp_path, damage, error, told):
    damage(copy)
    with pytest.raises(error, match=told):
        import_lerobot(copy, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def shift_video(root, seconds):
    def change(table):
        name = f"videos/{VIDEO}/from_timestamp"
        return replaced(table, name, [time + seconds for time in table[name].to_pylist()])

    edit_table(files(root, "meta/episodes")[0], change)


def in_data(change):
    return lambda root: edit_table(files(root, "data")[0], change)


@pytest.mark.parametrize(
    "damage, told",
    [
        (
            lambda r: files(r, f"videos/{VIDEO}")[0].unlink(),
            "file-000.mp4: the video file is missing",
        ),
        (lambda r: truncate(files(r, f"videos/{VIDEO}")[0]), "file-000.mp4: cannot be decoded"),
        (lambda r: files(r, "data")[0].unlink(), "file-000.parquet: the file is missing"),
        (lambda r: truncate(files(r, "data")[0]), "file-000.parquet: cannot be read"),
        (in_data(lambda t: t.slice(1)), "expected 12 frames.*found 11"),
        (in_data(lambda t: t.drop_columns(["action"])), "no column action"),
        (in_data(lambda t: replaced(t, "task_index", [7] * t.num_rows)), "there are 1 tasks"),
        (
            in_data(lambda t: replaced(t, "timestamp", np.arange(t.num_rows) * 0.11)),
            "multiples of 1/10 s",
        ),
        (in_data(lambda t: replaced(t, "action", [[0.0] * 6] * t.num_rows)), "expected 7 numbers"),
        (lambda r: shift_video(r, 0.05), r"no frame at 0\.050000 s"),
        (lambda r: shift_video(r, 100), "no frame at 100"),
    ],
)
def test_a_damaged_episode_is_named_and_left_out(copy, tmp_path, damage, told):
    damage(copy)
    report = import_lerobot(copy, tmp_path / "back")
    assert report.exit_code == 1 and 0 < report.num_episodes < 4
    import re

    assert re.search(told, str(report.findings[0])), str(report.findings[0])
    assert report.findings[0].record == 0


def test_a_description_cannot_point_outside(copy, tmp_path):
    edit_info(copy, data_path="../{chunk_index}/{file_index}.parquet")
    with pytest.raises(SerldsError, match="outside of it"):
        import_lerobot(copy, tmp_path / "back")
