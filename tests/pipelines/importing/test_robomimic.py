"""`serlds import robomimic` on files as its scripts write them."""

import json
import os
import signal

import h5py
import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError
from serlds.datasets.reading import open_dataset
from serlds.pipelines.importing.hdf5 import Hdf5Reader
from serlds.pipelines.importing.options import EpisodeFacts, TransitionOptions
from serlds.pipelines.importing.plan import run_import
from serlds.pipelines.importing.robomimic import controller_scale, plan_robomimic
from serlds.pipelines.validate import validate


@pytest.fixture
def imports(tmp_path):
    def do(path, facts=None, options=None):
        plan = plan_robomimic(path, facts or EpisodeFacts(), options or TransitionOptions())
        report = run_import(plan, tmp_path / "data" / "lift", {"verb": "import robomimic"})
        return report, open_dataset(tmp_path / "data" / "lift")

    return do


def test_demos_become_episodes_with_their_splits(imports, recorded, tmp_path):
    path = recorded.robomimic(tmp_path / "image.hdf5", demos=12)
    facts = EpisodeFacts(instruction="lift the cube", image_encoding="png")
    report, dataset = imports(path, facts, TransitionOptions(gripper="flipped"))
    assert report.exit_code == 0
    assert dataset.splits == {"train": 11, "val": 1}
    episode = next(dataset.episodes("val"))
    with h5py.File(path) as file:
        demo = file["data/demo_0"]
        np.testing.assert_array_equal(episode["action"][:6, :6], np.float32(demo["actions"])[:, :6])
        np.testing.assert_array_equal(episode["action"][:6, 6], -np.float32(demo["actions"])[:, 6])
        np.testing.assert_array_equal(
            episode.pixels("observation/image/agentview"),
            np.concatenate([demo["obs/agentview_image"], demo["next_obs/agentview_image"][-1:]]),
        )
        np.testing.assert_array_equal(
            episode["observation/state/robot0_eef_pos"][6],
            np.float32(demo["next_obs/robot0_eef_pos"][-1]),
        )
    assert episode["discount"].tolist() == [1] * 5 + [0, 0]
    assert episode.success
    assert episode.metadata["task"] == episode.metadata["env_id"] == "Lift"
    assert (episode.metadata["robot"], episode.metadata["control_hz"]) == ("Panda", 20)
    scale = [0.05] * 3 + [0.5] * 3 + [1]
    np.testing.assert_allclose(dataset.schema.action.about.scale, scale)
    assert validate(dataset.directory).exit_code == 0


def test_demos_are_in_natural_order(imports, recorded, tmp_path):
    path = recorded.robomimic(tmp_path / "low_dim.hdf5", demos=11, masks=False, images=False)
    _, dataset = imports(path)
    with h5py.File(path) as file:
        want = [np.float32(file[f"data/demo_{index}/actions"][0]) for index in range(11)]
    np.testing.assert_array_equal([one["action"][0] for one in dataset.episodes()], want)


def test_without_next_observations_the_last_one_is_repeated(imports, recorded, tmp_path):
    report, dataset = imports(recorded.robomimic(tmp_path / "a.hdf5", next_obs=False))
    positions = dataset.episode(0)["observation/state/robot0_eef_pos"]
    np.testing.assert_array_equal(positions[-1], positions[-2])
    assert any("next_obs" in note for note in report.notes)


def test_instructions_of_libero_and_robocasa_are_found(imports, recorded, tmp_path):
    path = recorded.robomimic(tmp_path / "a.hdf5", demos=2, masks=False)
    with h5py.File(path, "r+") as file:
        shared = {"language_instruction": "open the drawer"}
        file["data"].attrs["problem_info"] = json.dumps(shared)
        file["data/demo_1"].attrs["ep_meta"] = json.dumps({"lang": "close the drawer"})
    _, dataset = imports(path)
    told = [episode["language_instruction"][0] for episode in dataset.episodes()]
    assert told == ["open the drawer", "close the drawer"]


def test_a_bad_demo_is_a_dead_letter_with_its_name(imports, recorded, tmp_path):
    path = recorded.robomimic(tmp_path / "a.hdf5", masks=False)
    with h5py.File(path, "r+") as file:
        del file["data/demo_2/rewards"]
    report, dataset = imports(path)
    assert (report.exit_code, dataset.num_episodes) == (1, 3)
    letter = json.loads((dataset.directory / "dead_letters.jsonl").read_text())
    assert letter["record"] == 2
    assert "data/demo_2" in letter["message"] and "rewards" in letter["message"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: file["data"].clear(), "no demo"),
        (
            lambda file: [file[f"data/demo_{n}"].pop("obs") for n in range(4)],
            "dataset_states_to_obs",
        ),
        (lambda file: file.pop("data"), "data"),
    ],
    ids=["no demos", "no observations", "another file"],
)
def test_files_without_demos_say_what_is_missing(imports, recorded, tmp_path, change, told):
    path = recorded.robomimic(tmp_path / "a.hdf5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(DamagedDatasetError, match=told) as refused:
        imports(path)
    assert "a.hdf5" in str(refused.value)


def test_a_reader_that_dies_is_an_error_and_starts_again(recorded, tmp_path):
    path = recorded.robomimic(tmp_path / "a.hdf5")
    reader = Hdf5Reader()
    try:
        assert len(reader.describe(path).demos) == 4
        os.kill(reader._child.pid, signal.SIGSTOP)
        reader.timeout_s = 0.2
        with pytest.raises(DamagedDatasetError, match=r"a\.hdf5"):
            reader.describe(path)
        reader.timeout_s = 60
        assert len(reader.describe(path).demos) == 4
    finally:
        reader.close()


def test_the_scale_of_other_controllers_is_not_guessed():
    pose = {"type": "OSC_POSE", "output_max": [0.05] * 3 + [0.5] * 3, "control_delta": True}
    new = {"body_parts": {"right": {**pose, "input_type": "delta"}}}
    assert controller_scale({"controller_configs": pose}, 7) == "0.05,0.05,0.05,0.5,0.5,0.5,1.0"
    assert controller_scale({"controller_configs": new}, 7)
    absolute = {**pose, "control_delta": False}
    for config in (None, absolute, {**pose, "type": "JOINT_POSITION"}, {**pose, "output_max": 1}):
        assert controller_scale({"controller_configs": config}, 7) == ""
    assert controller_scale({"controller_configs": pose}, 14) == ""
