import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode, decode_image
from serlds.datasets.errors import SchemaError, SerldsError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.schema import Field, FieldDoc, Schema
from serlds.datasets.store import EpisodeStore
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.rtx.actions import check_convertible, end_effector_deltas
from serlds.pipelines.rtx.export import export_rtx
from serlds.pipelines.rtx.options import RtxOptions
from serlds.pipelines.rtx.schema import rtx_layout
from serlds.pipelines.rtx.survey import choose_val
from serlds.pipelines.sentence_encoder import embed
from serlds.pipelines.validate import validate


@pytest.fixture(scope="module")
def exported(arm_world, tmp_path_factory):
    """(source dataset, export) of six episodes with two cameras, two of them failures."""
    world = dataclasses.replace(arm_world, cameras=("front", "wrist", "side"))
    directory = tmp_path_factory.mktemp("rtx")
    episodes = [world.episode(index, success=index % 3 > 0) for index in range(6)]
    source = world.dataset(directory / "arm", episodes)
    options = RtxOptions(
        image_size=64,
        val_share=0.34,
        citation="@misc{arm, title={Arm}}",
        homepage="https://example.org/arm",
        description="A made-up arm.",
    )
    report = export_rtx(source, directory / "arm_rtx" / "0.1.0", options)
    assert report.exit_code == 0 and report.splits == {"train": 4, "val": 2}
    return open_dataset(source), open_dataset(directory / "arm_rtx")


READER = """
import json, sys
import numpy as np
import tensorflow_datasets as tfds
import rlds

data_dir = sys.argv[1]
assert "serlds" not in sys.modules
loaded = {
    "load": tfds.load("arm_rtx", data_dir=data_dir, split="train"),
    "builder": tfds.builder("arm_rtx", data_dir=data_dir).as_dataset(split="train"),
    "directory": tfds.builder_from_directory(f"{data_dir}/arm_rtx/0.1.0").as_dataset(split="train"),
}
assert {name: len(list(data)) for name, data in loaded.items()} == dict.fromkeys(loaded, 4)
info = tfds.builder("arm_rtx", data_dir=data_dir).info
steps = loaded["load"].element_spec["steps"].element_spec


def flat(spec, path=""):
    if isinstance(spec, dict):
        for name, child in spec.items():
            yield from flat(child, f"{path}/{name}" if path else name)
    else:
        yield path, [spec.dtype.name, list(spec.shape)]


episode = next(iter(loaded["load"]))
rows = list(episode["steps"].as_numpy_iterator())
# What a reader that knows only RLDS does: turn steps into transitions.
batched = rlds.transformations.batch(episode["steps"], size=2, shift=1, drop_remainder=True)
print(json.dumps({
    "steps": dict(flat(steps)),
    "metadata": sorted(loaded["load"].element_spec["episode_metadata"]),
    "splits": {name: split.num_examples for name, split in info.splits.items()},
    "license": info.redistribution_info.license,
    "citation": info.citation,
    "description": info.description,
    "version": str(info.version),
    "action_doc": info.features["steps"].feature["action"].doc.desc,
    "state_doc": info.features["steps"].feature["observation"]["state"].doc.desc,
    "rows": len(rows),
    "pairs": len(list(batched)),
    "first": [bool(row["is_first"]) for row in rows],
    "last": [bool(row["is_last"]) for row in rows],
    "terminal": [bool(row["is_terminal"]) for row in rows],
    "reward": [float(row["reward"]) for row in rows],
    "action": [row["action"].tolist() for row in rows],
    "language": [row["language_instruction"].decode() for row in rows],
    "norm": [float(np.linalg.norm(row["language_embedding"])) for row in rows],
    "episode_id": episode["episode_metadata"]["episode_id"].numpy().decode(),
    "file_path": episode["episode_metadata"]["file_path"].numpy().decode(),
}))
"""


@pytest.fixture(scope="module")
def read(exported):
    """What a plain script with only tfds and rlds sees of the export."""
    data_dir = exported[1].directory.parents[1]
    command = [sys.executable, "-c", READER, str(data_dir)]
    run = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_plain_tfds_sees_every_field(read):
    image = ["uint8", [64, 64, 3]]
    assert read["steps"] == {
        "action": ["float32", [7]],
        "discount": ["float32", []],
        "intervened": ["bool", []],
        "is_first": ["bool", []],
        "is_last": ["bool", []],
        "is_terminal": ["bool", []],
        "language_embedding": ["float32", [512]],
        "language_instruction": ["string", []],
        "observation/image": image,
        "observation/side_image": image,
        "observation/state": ["float32", [4]],
        "observation/wrist_image": image,
        "reward": ["float32", []],
        "timestamp_s": ["float32", []],
    }
    assert {"file_path", "episode_id", "action_convention", "robot"} <= set(read["metadata"])


def test_plain_tfds_sees_the_card(read):
    assert read["splits"] == {"train": 4, "val": 2} and read["version"] == "0.1.0"
    assert read["license"] == "CC BY 4.0" and read["citation"] == "@misc{arm, title={Arm}}"
    assert "made-up arm" in read["description"]
    assert "1 open, 0 closed" in read["action_doc"] and "robot base" in read["action_doc"]
    assert "0 gripper_pos (m)" in read["state_doc"] and "3 tcp_pos.2 (m)" in read["state_doc"]


def test_every_step_has_a_real_action_and_the_last_one_the_end(read, exported):
    source = next(e for e in exported[0].episodes() if e.episode_id == read["episode_id"])
    steps = source.num_transitions
    assert read["rows"] == steps and read["pairs"] == steps - 1
    edge = [False] * (steps - 1)
    assert read["first"] == [True, *edge] and read["last"] == [*edge, True]
    assert read["terminal"] == [*edge, source.success]
    assert read["reward"] == source["reward"][:-1].tolist()
    expected = end_effector_deltas(source["action"][:-1], exported[0].schema.action, RtxOptions())
    np.testing.assert_allclose(read["action"], expected, rtol=1e-6)
    assert read["language"] == ["pick up the cube"] * steps
    np.testing.assert_allclose(read["norm"], 1, atol=1e-4)
    assert read["file_path"].startswith("arm/1.0.0/arm-train.tfrecord-")


def test_success_ends_with_reward_one_and_failure_without_termination(exported):
    for episode in exported[1].episodes():
        assert episode["reward"][-1] == (1.0 if episode.success else 0.0)
        assert bool(episode["is_terminal"][-1]) == episode.success
        assert episode["discount"][-1] == (0.0 if episode.success else 1.0)
        assert episode["action"][-1, :3].any()


def test_images_are_square_and_padded(exported):
    episode = exported[1].episode(0)
    pixels = decode_image(episode["observation/image"][-1])
    assert pixels.shape == (64, 64, 3)
    # 32x48 becomes 43x64: black above and below, the picture between.
    assert pixels[:8].max() < 20 and pixels[32, :20, 0].min() > 150


def test_open_x_embodiment_would_take_it(exported):
    script = Path(__file__).parent / "scripts" / "check_submission.py"
    command = [sys.executable, str(script), str(exported[1].directory)]
    run = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == sum(len(episode) for episode in exported[1].episodes())


def test_statistics_for_octo_and_openvla(exported):
    figures = json.loads((exported[1].directory / "dataset_statistics.json").read_text())
    rows = np.concatenate([episode["action"] for episode in exported[1].episodes()])
    action = figures["action"]
    assert set(action) == {"mean", "std", "min", "max", "q01", "q99", "p01", "p99"}
    np.testing.assert_allclose(action["mean"], rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(action["p99"], np.quantile(rows, 0.99, axis=0), atol=1e-6)
    assert len(figures["proprio"]["std"]) == 4
    assert figures["num_transitions"] == len(rows) and figures["num_trajectories"] == 6


def test_files_for_people(exported):
    directory = exported[1].directory
    page = (directory / "README.md").read_text()
    assert "A made-up arm." in page and "https://example.org/arm" in page and "CC BY 4.0" in page
    assert "`observation/wrist_image`" in page and "universal-sentence-encoder" in page
    assert (directory / "CITATIONS.bib").read_text() == "@misc{arm, title={Arm}}\n"
    names = {path.name for path in directory.glob("*.tfrecord*")}
    assert "arm_rtx-train.tfrecord-00000-of-00001" in names


def test_export_passes_validation(exported):
    assert validate(exported[1].directory).errors == ()


def test_same_bytes_twice(arm_world, tmp_path):
    world = dataclasses.replace(arm_world, cameras=("front",))
    source = world.dataset(tmp_path / "arm", [world.episode(index) for index in range(3)])
    options, written = RtxOptions(image_size=32), []
    for name in ("a", "b"):
        directory = export_rtx(source, tmp_path / name / "out", options).dataset
        written.append(
            {p.name: p.read_bytes() for p in directory.iterdir() if p.name != "serlds.json"}
        )
    assert written[0] == written[1]


def test_rt1_actions_and_chosen_state(state_world, tmp_path):
    source = state_world.dataset(tmp_path / "arm", [state_world.episode(0), state_world.episode(1)])
    options = RtxOptions(actions="rt1", state=("tcp_pos",), val_share=0)
    report = export_rtx(source, tmp_path / "out", options)
    (first, _) = open_dataset(tmp_path / "out").episodes()
    original = state_world.episode(0)
    deltas = end_effector_deltas(original["action"][:-1], state_world.schema.action, options)
    np.testing.assert_array_equal(first["action/world_vector"], deltas[:, :3])
    np.testing.assert_array_equal(first["action/rotation_delta"], deltas[:, 3:6])
    closed = first["action/gripper_closedness_action"][:, 0]
    np.testing.assert_array_equal(closed, -original["action"][:-1, 6])
    assert first["action/terminate_episode"][-1].tolist() == [1, 0, 0]
    assert first["action/terminate_episode"][0].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(
        first["observation/state"], original["observation/state/tcp_pos"][:-1]
    )
    assert report.splits == {"train": 2}


def test_missing_language_is_a_dead_letter_unless_given(state_world, tmp_path):
    episodes = [state_world.episode(index) for index in range(3)]
    columns = {**episodes[1].columns, "language_instruction": [""] * 13}
    episodes[1] = Episode(columns, episodes[1].metadata)
    source = state_world.dataset(tmp_path / "arm", episodes)
    report = export_rtx(source, tmp_path / "out", RtxOptions(val_share=0))
    assert report.exit_code == 1 and report.num_episodes == 2
    (letter,) = report.findings
    assert (letter.check, letter.episode_id) == ("transform:rtx", "episode-00001")
    given = export_rtx(source, tmp_path / "given", RtxOptions(instruction="wave"))
    texts = {e["language_instruction"][0] for e in open_dataset(given.dataset).episodes()}
    assert texts == {"wave", "pick up the cube"} and given.exit_code == 0


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"val_share": 1.0}, "val share"),
        ({"image_size": 0}, "at least 1 pixel"),
        ({"images": ("front",)}, "CAMERA=NAME"),
        ({"images": ("front=image", "wrist=image")}, "same name"),
        ({"actions": "joint"}, "flat, rt1 or as_is"),
        ({"gripper_open": 1.0}, "two different values"),
        ({"rotation": "degrees"}, "euler_xyz"),
        ({"image_fit": "squeeze"}, "stretch, crop, pad"),
    ],
)
def test_wrong_options_are_refused(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        RtxOptions(**options)


def test_what_cannot_be_exported_is_refused(state_world, tmp_path):
    source = state_world.dataset(tmp_path / "arm", [state_world.episode(0)])
    with pytest.raises(UsageError, match="the state fields are"):
        export_rtx(source, tmp_path / "out", RtxOptions(state=("no_such",)))
    with pytest.raises(UsageError, match="the cameras are none"):
        export_rtx(source, tmp_path / "out", RtxOptions(images=("top=image",)))
    export_rtx(source, tmp_path / "out")
    with pytest.raises(UsageError, match="never overwritten"):
        export_rtx(source, tmp_path / "out")


def test_no_episode_left_is_an_error(state_world, tmp_path):
    episode = state_world.episode(0)
    episode["action"][2, 0] = np.nan
    source = state_world.dataset(tmp_path / "arm", [episode])
    with pytest.raises(SerldsError, match="none is left"):
        export_rtx(source, tmp_path / "out")


def tool_action(scale=(0.02,) * 3 + (0.1,) * 3 + (1.0,), doc="Displacement; +1 open, -1 closed."):
    return Field(
        "action", "float32", (7,), None, FieldDoc(doc, "m, m, m, rad, rad, rad, 1", "", scale)
    )


def deltas_of(action, field=None, **options):
    return end_effector_deltas(action, field or tool_action(), RtxOptions(**options))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotation_about_one_axis_keeps_its_angle(axis):
    action = np.zeros((1, 7), np.float32)
    action[0, 3 + axis] = 0.5
    expected = np.zeros(3)
    expected[axis] = 0.5 * 0.1
    np.testing.assert_allclose(deltas_of(action)[0, 3:6], expected, atol=1e-7)


def test_roll_pitch_yaw_rebuild_the_rotation():
    action = np.random.default_rng(0).uniform(-1, 1, (50, 7)).astype(np.float32)
    deltas = deltas_of(action, tool_action((0.02,) * 3 + (0.8,) * 3 + (1.0,)))
    for (roll, pitch, yaw), vector in zip(deltas[:, 3:6], action[:, 3:6] * 0.8, strict=True):
        rebuilt = (
            Rotation.from_rotvec([0, 0, yaw])
            * Rotation.from_rotvec([0, pitch, 0])
            * Rotation.from_rotvec([roll, 0, 0])
        )
        np.testing.assert_allclose(rebuilt.as_rotvec(), vector, atol=1e-6)


def test_gripper_is_absolute_one_open():
    action = np.zeros((3, 7), np.float32)
    action[:, 6] = (1, 0, -1)
    assert deltas_of(action)[:, 6].tolist() == [1, 0.5, 0]
    unit = tool_action(doc="Displacement; 1 open, 0 closed.")
    assert deltas_of(action, unit)[:, 6].tolist() == [1, 0, 0]
    flipped = {"gripper_open": -1, "gripper_closed": 1}
    assert deltas_of(action, **flipped)[:, 6].tolist() == [0, 0.5, 1]


def test_euler_angles_stay_and_physical_actions_need_no_scale():
    action = np.random.default_rng(0).uniform(-0.1, 0.1, (9, 7)).astype(np.float32)
    physical = tool_action(scale=())
    np.testing.assert_array_equal(deltas_of(action, physical)[:, :3], action[:, :3])
    assert not np.allclose(deltas_of(action, physical)[:, 3:6], action[:, 3:6], atol=1e-6)
    named = tool_action(scale=(), doc="Displacement (euler_xyz); 1 open, 0 closed.")
    for told in (deltas_of(action, physical, rotation="euler_xyz"), deltas_of(action, named)):
        np.testing.assert_array_equal(told[:, 3:6], action[:, 3:6])


def test_poses_to_reach_are_refused_by_their_documentation_and_by_their_size(state_world, tmp_path):
    field = tool_action(scale=(), doc="Tool pose to reach; 1 open, 0 closed.")
    with pytest.raises(SchemaError, match="to_delta_actions"):
        check_convertible(field, RtxOptions())
    with pytest.raises(SchemaError, match="gripper-open"):
        check_convertible(tool_action(doc="Displacement."), RtxOptions())
    check_convertible(tool_action(), RtxOptions())
    poses = np.full((5, 7), 0.4, np.float32)
    with pytest.raises(BadEpisodeError, match="are they poses"):
        deltas_of(poses, tool_action(scale=(), doc="Displacement; 1 open, 0 closed."))


def test_joint_actions_are_exported_as_they_are_and_say_so(state_world, tmp_path):
    joints = FieldDoc("Targets of 7 joints.", "rad", "", (0.5,) * 7)
    steps = tuple(
        dataclasses.replace(one, about=joints) if one.path == "action" else one
        for one in state_world.schema.steps
    )
    schema = Schema(steps, state_world.schema.metadata)
    with EpisodeStore.open(tmp_path / "arm", schema) as store:
        for index in range(2):
            store.append(state_world.episode(index))
    with pytest.raises(SchemaError, match="--actions as_is"):
        export_rtx(tmp_path / "arm", tmp_path / "out")
    export_rtx(tmp_path / "arm", tmp_path / "out", RtxOptions(actions="as_is", val_share=0))
    made = open_dataset(tmp_path / "out")
    first = made.episode(0)
    expected = state_world.episode(0)["action"][:-1] * 0.5
    np.testing.assert_allclose(first["action"], expected, rtol=1e-6)
    assert first.metadata["action_convention"].startswith("Not a 7-d end-effector delta.")
    assert (
        "Targets of 7 joints" in made.schema.action.about.doc and not made.schema.action.about.scale
    )


def test_an_export_exports_again_to_the_same_actions(exported, tmp_path):
    report = export_rtx(exported[1].directory, tmp_path / "again", RtxOptions(image_size=64))
    first = {one.episode_id: one for one in exported[1].episodes()}
    for again in open_dataset(report.dataset).episodes():
        before = first[again.episode_id]
        assert len(again) == len(before)
        np.testing.assert_allclose(again["action"], before["action"], atol=1e-7)
        assert again["observation/image"] == before["observation/image"]
        np.testing.assert_array_equal(again["observation/state"], before["observation/state"])


@pytest.mark.parametrize(
    "cameras, expected",
    [
        (("top",), {"image"}),
        (("wrist",), {"wrist_image"}),
        (("image_0", "image_1"), {"image", "image_1"}),
        (("left", "wrist"), {"image", "wrist_image"}),
        (("front", "side"), {"image", "side_image"}),
    ],
)
def test_every_camera_has_image_in_its_name_and_one_is_the_main_one(arm_world, cameras, expected):
    schema = dataclasses.replace(arm_world, cameras=cameras).schema
    layout = rtx_layout(schema, RtxOptions(), "encoder")
    assert set(layout.images.values()) == {f"observation/{name}" for name in expected}


@pytest.mark.parametrize(
    "count, share, val", [(1, 0.5, 0), (2, 0.01, 1), (10, 0.2, 2), (2, 0.9, 1)]
)
def test_val_has_its_share(count, share, val):
    ids = [f"episode-{index}" for index in range(count)]
    chosen = choose_val(ids, share)
    assert len(chosen) == val and chosen == choose_val(ids[::-1], share)


def test_val_grows_by_addition():
    ids = [f"episode-{index}" for index in range(200)]
    assert choose_val(ids, 0.1) <= choose_val(ids, 0.2)


def test_embeddings_are_unit_vectors_that_know_likeness():
    texts = ["pick up the red cube", "pick up the red block", "open the drawer"]
    vectors = embed([*texts, texts[0]])
    assert set(vectors) == set(texts)
    cube, block, drawer = (vectors[text] for text in texts)
    assert cube.shape == (512,) and cube.dtype == np.float32
    assert cube @ block > cube @ drawer
    np.testing.assert_array_equal(embed([texts[0]])[texts[0]], cube)


def test_embeddings_do_not_depend_on_threads():
    code = (
        "import sys; from serlds.pipelines.sentence_encoder import embed; "
        "sys.stdout.write(embed(['pick up the cube'])['pick up the cube'].tobytes().hex())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert len(found[0]) == 2 * 4 * 512
    assert found[0] == found[1]
