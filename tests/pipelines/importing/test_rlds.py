"""`serlds import rlds` on datasets that TFDS itself wrote in the forms of Open X-Embodiment."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from serlds.datasets.errors import SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.pipelines.importing.options import EpisodeFacts
from serlds.pipelines.importing.plan import run_import
from serlds.pipelines.importing.rlds import plan_rlds, show
from serlds.pipelines.importing.rlds_options import RldsOptions
from serlds.pipelines.validate import validate

F = tfds.features
FLAGS = {name: F.Scalar(np.bool_) for name in ("is_first", "is_last", "is_terminal")}
IMAGE = np.random.default_rng(0).integers(0, 255, (16, 20, 3), dtype=np.uint8)


def vector(size, dtype=np.float32):
    return F.Tensor(shape=(size,), dtype=dtype)


def write(data_dir, name, steps, metadata, episodes):
    """Writes with TFDS what a contributor's builder would; gives the directory."""
    builder = tfds.dataset_builders.AdhocBuilder(
        name=name,
        version="0.1.0",
        features=F.FeaturesDict({"steps": F.Dataset(steps), "episode_metadata": metadata}),
        split_datasets={"train": list(enumerate(episodes))},
        data_dir=data_dir,
    )
    builder.download_and_prepare()
    return Path(data_dir) / name / "0.1.0"


def flags(step, count):
    last = step == count - 1
    return {"is_first": step == 0, "is_last": last, "is_terminal": last}


@pytest.fixture(scope="module")
def rt1_like(tmp_path_factory):
    """A dictionary of actions, the instruction inside the observation, N steps, no discount."""
    rng = np.random.default_rng(1)

    def step(t, count):
        return {
            "observation": {
                "image": IMAGE,
                "natural_language_instruction": "pick the can",
                "natural_language_embedding": np.zeros(512, np.float32),
                "base_pose_tool_reached": rng.normal(size=7).astype(np.float32),
            },
            "action": {
                "gripper_closedness_action": np.ones(1, np.float32),
                "rotation_delta": np.full(3, 0.1 * t, np.float32),
                "terminate_episode": np.array([0, 1, 0], np.int32),
                "world_vector": np.full(3, 0.01 * t, np.float32),
            },
            "reward": float(t == count - 1),
            **flags(t, count),
        }

    steps = {
        "observation": {
            "image": F.Image(shape=(16, 20, 3), encoding_format="jpeg"),
            "natural_language_instruction": F.Text(),
            "natural_language_embedding": vector(512),
            "base_pose_tool_reached": vector(7),
        },
        "action": {
            "world_vector": vector(3),
            "rotation_delta": vector(3),
            "gripper_closedness_action": vector(1),
            "terminate_episode": vector(3, np.int32),
        },
        "reward": F.Scalar(np.float32),
        **FLAGS,
    }
    episodes = [
        {"steps": [step(t, 5) for t in range(5)], "episode_metadata": {"file_path": f"/{i}"}}
        for i in range(2)
    ]
    data_dir = tmp_path_factory.mktemp("rt1")
    return write(data_dir, "rt1_like", steps, {"file_path": F.Text()}, episodes)


@pytest.fixture(scope="module")
def logged_by_serl(tmp_path_factory):
    """Frames as raw tensors with an axis of one, the language in the metadata, N + 1 steps."""

    def step(t, count):
        void = t == count - 1
        return {
            "observation": {
                "front": IMAGE[None],
                "state": np.full((1, 4), t, np.float64),
            },
            "action": np.full(7, 0.0 if void else 0.5, np.float64),
            "reward": 0.0 if void else float(t == count - 2),
            "discount": 0.0 if void or t == count - 2 else 1.0,
            **flags(t, count),
        }

    steps = {
        "observation": {
            "front": F.Tensor(shape=(1, 16, 20, 3), dtype=np.uint8),
            "state": F.Tensor(shape=(1, 4), dtype=np.float64),
        },
        "action": vector(7, np.float64),
        "reward": F.Scalar(np.float64),
        "discount": F.Scalar(np.float64),
        **FLAGS,
    }
    metadata = {"language_instruction": F.Text(), "success": F.Scalar(np.bool_)}
    told = {"language_instruction": "close the lid", "success": True}
    episodes = [{"steps": [step(t, 6) for t in range(6)], "episode_metadata": told}]
    return write(tmp_path_factory.mktemp("serl"), "logged_by_serl", steps, metadata, episodes)


def imported(source, target, facts=None, options=None):
    plan = plan_rlds(source, facts or EpisodeFacts(), options or RldsOptions())
    report = run_import(plan, target, {"verb": "import rlds"})
    return report, open_dataset(target)


def test_a_published_form_becomes_rlds_proper(rt1_like, tmp_path):
    report, dataset = imported(rt1_like, tmp_path / "mine", EpisodeFacts(hz=3.0))
    episode = dataset.episode(0)
    assert report.exit_code == 0
    assert len(episode) == 6
    expected = [[0.01 * t] * 3 + [0.1 * t] * 3 + [1] for t in range(5)] + [[0] * 7]
    np.testing.assert_allclose(episode["action"], expected, rtol=1e-6)
    assert episode["reward"].tolist() == [0, 0, 0, 0, 1, 0]
    assert episode["discount"].tolist() == [1, 1, 1, 1, 0, 0]
    assert episode["is_terminal"].tolist() == [False] * 5 + [True]
    frames = episode["observation/image/image"]
    assert frames[5] == frames[4]
    assert episode["language_instruction"] == ["pick the can"] * 6
    assert (episode.success, episode.metadata["file_path"]) == (True, "/0")
    np.testing.assert_allclose(np.diff(episode["timestamp_s"]), 1 / 3, rtol=1e-5)
    (parent,) = dataset.provenance.parents
    assert (parent.name, parent.version) == ("rt1_like", "0.1.0")
    assert validate(dataset.directory).exit_code == 0


def test_raw_frames_are_encoded_and_void_steps_stay_void(logged_by_serl, tmp_path):
    facts = EpisodeFacts(image_encoding="png")
    _, dataset = imported(logged_by_serl, tmp_path / "mine", facts)
    episode = dataset.episode(0)
    assert len(episode) == 6
    np.testing.assert_array_equal(episode.pixels("observation/image/front")[2], IMAGE)
    assert episode["observation/state/proprio"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert episode["action"].dtype == np.float32
    assert episode["language_instruction"] == ["close the lid"] * 6
    assert "timestamp_s" not in dataset.schema


@pytest.mark.parametrize(("last_step", "steps"), [("auto", 6), ("action", 6), ("void", 5)])
def test_the_last_step_can_be_told(rt1_like, tmp_path, last_step, steps):
    _, dataset = imported(rt1_like, tmp_path / "mine", options=RldsOptions(last_step=last_step))
    assert len(dataset.episode(0)) == steps


def test_what_is_shown_is_a_mapping_that_can_be_given(rt1_like, tmp_path):
    text = show(rt1_like)
    assert "observation/natural_language_embedding: float32 (512,)" in text
    file = tmp_path / "mapping.toml"
    file.write_text(text.replace("observation/image/image", "observation/image/front"))
    _, dataset = imported(rt1_like, tmp_path / "mine", options=RldsOptions(mapping=file))
    assert [field.path for field in dataset.schema.image_fields] == ["observation/image/front"]


def test_items_change_the_mapping(rt1_like, tmp_path):
    items = (
        "action=action/world_vector+action/gripper_closedness_action",
        "observation/state/tool=observation/base_pose_tool_reached",
        "observation/state/base_pose_tool_reached=",
        "episode_metadata/file_path=",
    )
    _, dataset = imported(rt1_like, tmp_path / "mine", options=RldsOptions(map=items))
    assert dataset.schema.action.shape == (4,)
    assert [f.path for f in dataset.schema.state_fields] == ["observation/state/tool"]
    assert "file_path" not in dataset.episode(0).metadata


def test_an_imported_dataset_imports_to_the_same(rt1_like, tmp_path):
    _, first = imported(rt1_like, tmp_path / "first", EpisodeFacts(hz=3.0))
    _, second = imported(first.directory, tmp_path / "second", EpisodeFacts(hz=3.0))
    assert second.digest == first.digest


@pytest.mark.parametrize(
    ("items", "error", "told"),
    [
        (("action=acts",), UsageError, "action/world_vector"),
        (("action=",), UsageError, "--show"),
        (("action",), UsageError, "TARGET=SOURCE"),
        (("action=observation/image",), SchemaError, "numbers are needed"),
        (("observation/image/x=reward",), SchemaError, "frames"),
        (("speed=reward",), UsageError, "observation/state/NAME"),
        (("episode_metadata/seed=file_path",), SchemaError, "int64"),
    ],
    ids=str,
)
def test_wrong_mappings_say_what_is_there(rt1_like, tmp_path, items, error, told):
    with pytest.raises(error) as refused:
        imported(rt1_like, tmp_path / "mine", options=RldsOptions(map=items))
    assert told in str(refused.value)
    assert not (tmp_path / "mine").exists()
