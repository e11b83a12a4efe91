"""Whatever the files of a LeRobot dataset hold: an error that names the place, never a crash."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serlds.datasets.episode import Episode
from serlds.datasets.errors import SerldsError
from serlds.pipelines.engine.parts import RecordRef
from serlds.pipelines.findings import Finding
from serlds.pipelines.lerobot.export import export_lerobot
from serlds.pipelines.lerobot.fields import ImportLayout
from serlds.pipelines.lerobot.metadata import episode_rows, read_episode_file, read_info
from serlds.pipelines.lerobot.parquet import open_frames
from serlds.pipelines.lerobot.source import LeRobotSource

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
SETTINGS = settings(
    max_examples=max(200, settings().max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def whole(arm_world, tmp_path_factory):
    directory = tmp_path_factory.mktemp("malformed")
    source = arm_world.dataset(directory / "arm", [arm_world.episode(i, 4) for i in range(2)])
    return export_lerobot(source, directory / "out").dataset


@pytest.fixture(scope="module")
def copy(whole, tmp_path_factory):
    return shutil.copytree(whole, tmp_path_factory.mktemp("copy") / "out")


def read_all(root):
    """Everything an import reads; gives episodes and findings."""
    for kept in (read_episode_file, open_frames):
        kept.cache_clear()
    info = read_info(root)
    layout = ImportLayout.of(info, "png")
    source = LeRobotSource(info, layout, "x", "", False, "teleop")
    return [
        source.load(RecordRef(str(path), row["episode_index"], number, 1))
        for path, number, row in episode_rows(info)
    ]


def check(root):
    try:
        made = read_all(root)
    except SerldsError as error:
        assert str(root) in str(error), error
        return
    assert made and all(isinstance(one, (Episode, Finding)) for one in made)
    assert all(one.file for one in made if isinstance(one, Finding))


def paths_in(values, before=()):
    """The place of every value inside nested dictionaries."""
    for key, value in values.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from paths_in(value, (*before, key))


@SETTINGS
@given(data=st.data())
def test_any_value_of_info_json(whole, copy, data):
    values = json.loads((whole / "meta/info.json").read_text())
    *parents, last = data.draw(st.sampled_from(sorted(paths_in(values))))
    holder = values
    for key in parents:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(JSON)
    else:
        del holder[last]
    (copy / "meta/info.json").write_text(json.dumps(values))
    check(copy)
    shutil.copy(whole / "meta/info.json", copy / "meta/info.json")


@SETTINGS
@given(data=st.data())
def test_any_column_of_the_episodes_and_rows(whole, copy, data):
    name = data.draw(
        st.sampled_from(
            ["meta/episodes/chunk-000/file-000.parquet", "data/chunk-000/file-000.parquet"]
        )
    )
    table = pq.read_table(whole / name)
    position = data.draw(st.integers(0, table.num_columns - 1))
    values = data.draw(
        st.one_of(
            st.lists(
                st.integers(-(2**40), 2**40), min_size=table.num_rows, max_size=table.num_rows
            ),
            st.lists(st.floats(width=32), min_size=table.num_rows, max_size=table.num_rows),
            st.lists(st.text(max_size=5), min_size=table.num_rows, max_size=table.num_rows),
            st.just([None] * table.num_rows),
            st.just([[1.0]] * table.num_rows),
        )
    )
    changed = table.set_column(position, table.column_names[position], pa.array(values))
    pq.write_table(changed, copy / name)
    check(copy)
    shutil.copy(whole / name, copy / name)


@SETTINGS
@given(
    name=st.sampled_from(
        [
            "meta/info.json",
            "meta/tasks.parquet",
            "meta/episodes/chunk-000/file-000.parquet",
            "data/chunk-000/file-000.parquet",
            "videos/observation.images.front/chunk-000/file-000.mp4",
        ]
    ),
    data=st.data(),
)
def test_any_flipped_or_missing_bytes(whole, copy, name, data):
    content = bytearray((whole / name).read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        # Structure lies near the end of these files, and far more bytes hold values.
        most = data.draw(st.sampled_from([len(content), min(len(content), 3000)]))
        for place in data.draw(st.lists(st.integers(1, most), min_size=1, max_size=4)):
            content[-place] ^= data.draw(st.integers(1, 255))
    (copy / name).write_bytes(content)
    check(copy)
    shutil.copy(whole / name, copy / name)
