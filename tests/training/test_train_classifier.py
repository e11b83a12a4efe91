"""`serlds train classifier` on recorded datasets, and who then acts on its verdict."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from serlds.cli import main
from serlds.datasets.errors import DamagedDatasetError, SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.recording import record_episodes
from serlds.envs.rollout import run_episode
from serlds.envs.success_classifier import SuccessClassifier
from serlds.envs.tasks import make_env, make_expert
from serlds.pipelines.convert import convert
from serlds.pipelines.merge import merge
from serlds.pipelines.validate import keep_verdict, validate
from serlds.training.classifier_config import ClassifierConfig, ClassifierTraining, LabelRule
from serlds.training.classifying.examples import LEFT_OUT, OTHER, SUCCESS, frame_labels
from serlds.training.classifying.measuring import Confusion
from serlds.training.classifying.train import train_classifier

ENV_ID = "serlds/WidowXPickCube-v0"
STATE = {"cameras": [], "max_steps": 25}
PIXELS = {"cameras": ["front"], "image_size": 32, "max_steps": 25}
FAST = ClassifierTraining(ClassifierConfig(learning_rate=3e-3), updates=300, batch_size=64)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset of 30 expert episodes from the state, validated."""
    directory = tmp_path_factory.mktemp("data") / "cubes"
    record_episodes(ENV_ID, STATE, directory, by="expert", episodes=30, seed=0)
    assert keep_verdict(validate(directory)) == ""
    return str(directory)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A dataset with images: 3 episodes labelled success, 3 labelled failure, validated."""
    directory = tmp_path_factory.mktemp("data") / "labelled"
    for label, by in (("success", "expert"), ("failure", "random")):
        record_episodes(
            ENV_ID, {**PIXELS, "max_steps": 8}, directory, by=by, episodes=3, label=label
        )
    keep_verdict(validate(directory))
    return str(directory)


@pytest.fixture(scope="module")
def classifier(data, tmp_path_factory):
    """The directory of a classifier that looks at the state, and how it did."""
    out = tmp_path_factory.mktemp("classifiers") / "cube"
    return out, train_classifier(FAST, [data], out)


def test_it_tells_success_on_episodes_that_it_never_saw(classifier, data):
    out, result = classifier
    spec = json.loads((out / "classifier.json").read_text())
    assert result.held_out.accuracy > 0.95 and result.held_out.recall > 0.8
    assert spec["held_out"]["accuracy"] == result.held_out.accuracy
    assert result.held_out.hits + result.held_out.misses == 6  # one frame of each of 6 episodes
    assert result.examples[0] == 24
    assert spec["datasets"][0]["digest"] == open_dataset(data).digest
    assert "recall" in str(result) and result.picture is None
    mistakes = json.loads((out / "mistakes.json").read_text())
    assert mistakes[0].keys() >= {"dataset", "episode", "step", "probability"}


def test_the_same_seed_gives_the_same_classifier(classifier, data, tmp_path):
    train_classifier(FAST, [data], tmp_path / "again")
    first, again = (np.load(d / "classifier.npz") for d in (classifier[0], tmp_path / "again"))
    assert all(np.array_equal(first[name], again[name]) for name in first.files)


def test_it_judges_episodes_and_single_observations_alike(classifier, data):
    judge = SuccessClassifier.load(classifier[0])
    episode = open_dataset(data).episode(0)
    probabilities = judge.of_episode(episode)
    names = [field["name"] for field in judge.spec["state"]]
    last = {name: episode[f"observation/state/{name}"][-1] for name in names}
    assert judge.probability({"state": last}) == pytest.approx(float(probabilities[-1]), abs=1e-6)
    assert probabilities[-1] > 0.5 > probabilities[:5].max()


def test_judging_imports_no_jax(classifier):
    code = (
        "import sys\nfrom serlds.envs.success_classifier import SuccessClassifier\n"
        f"SuccessClassifier.load({str(classifier[0])!r})\n"
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_record_ends_episodes_by_its_verdict(classifier, tmp_path):
    reward = f"classifier:{classifier[0]},threshold=0.6,frames=2"
    result = record_episodes(
        ENV_ID, {**STATE, "reward": reward}, tmp_path / "judged", by="expert", episodes=4, seed=900
    )
    assert sum(episode.success for episode in result.episodes) >= 3
    dataset, judge = open_dataset(tmp_path / "judged"), SuccessClassifier.load(classifier[0])
    assert dataset.provenance.env_args["reward"] == reward
    for episode in dataset.episodes():
        seen = judge.of_episode(episode)[1:] >= 0.6
        twice = seen[1:] & seen[:-1]
        assert episode.success == twice.any() == episode["is_terminal"][-1]
        assert not twice[:-1].any() and episode.episode_return() == episode.success
    with make_env(ENV_ID, **dataset.provenance.env_args) as env:  # as a run would make it again
        again = run_episode(GymAsDmEnv(env), make_expert(env), 900)
    assert again == result.episodes[0]


def test_convert_relabels_by_its_verdict(classifier, data, tmp_path):
    chain = f"classify_reward:classifier={classifier[0]},threshold=0.6"
    assert main_code(["convert", data, str(tmp_path / "judged"), "--apply", chain]) == 0
    judge = SuccessClassifier.load(classifier[0])
    pairs = zip(
        open_dataset(data).episodes(), open_dataset(tmp_path / "judged").episodes(), strict=True
    )
    for before, after in pairs:
        seen = judge.of_episode(before)[1:] >= 0.6
        assert after.success == seen.any()
        if after.success:
            assert after.num_transitions == int(np.argmax(seen)) + 1
            assert after["reward"][-2] == 1 and after["discount"][-2] == 0


def test_a_classifier_that_does_not_fit(classifier, labelled, tmp_path):
    chain = [f"classify_reward:classifier={classifier[0]}"]
    with pytest.raises(SchemaError, match=r"needs the state cube_\w+ of shape \(\d,\), found noth"):
        convert(labelled, tmp_path / "judged", chain)
    with pytest.raises(SchemaError, match="needs the state cube"):
        make_env(ENV_ID, object_state=False, cameras=[], reward=f"classifier:{classifier[0]}")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (LabelRule(), [OTHER] * 5 + [SUCCESS]),
        (LabelRule(2, 1), [OTHER] * 3 + [LEFT_OUT] + [SUCCESS] * 2),
        (LabelRule(9), [SUCCESS] * 6),
    ],
)
def test_frames_of_ordinary_episodes(data, rule, expected):
    episode = open_dataset(data).episode(0)
    short = type(episode)({"is_first": np.zeros(6, bool)}, {"success": True})
    assert frame_labels(short, rule).tolist() == expected
    failed = type(episode)(short.columns, {"success": False})
    assert frame_labels(failed, rule).tolist() == [OTHER] * 6
    for label, said in (("success", SUCCESS), ("failure", OTHER)):
        told = type(episode)(short.columns, {"success": label == "failure", "label": label})
        assert frame_labels(told, rule).tolist() == [said] * 6


def test_labels_survive_convert_and_merge(labelled, data, tmp_path):
    source = open_dataset(labelled)
    told = [episode.metadata["label"] for episode in source.episodes()]
    assert told == ["success"] * 3 + ["failure"] * 3
    convert(labelled, tmp_path / "grey", ["crop_images:field=observation/image/front,height=24,"
                                          "width=24"])  # fmt: skip
    record_episodes(
        ENV_ID, {**PIXELS, "max_steps": 8}, tmp_path / "more", by="random", episodes=1,
        label="failure", seed=70,
    )  # fmt: skip
    merge(tmp_path / "all", [labelled, tmp_path / "more"])
    for name, extra in (("grey", []), ("all", ["failure"])):
        dataset = open_dataset(tmp_path / name)
        assert [e.metadata["label"] for e in dataset.episodes()] == told + extra
        assert not any(
            finding.severity == "error" for finding in validate(dataset.directory).findings
        )


def test_a_dataset_is_labelled_as_a_whole_or_not_at_all(data, tmp_path):
    with pytest.raises(SchemaError, match="label"):
        record_episodes(ENV_ID, STATE, data, by="expert", episodes=1, label="success")
    with pytest.raises(UsageError, match="label='maybe'"):
        record_episodes(ENV_ID, STATE, tmp_path / "x", by="expert", episodes=1, label="maybe")


def test_the_verb_learns_from_images_with_labels(labelled, tmp_path, capsys):
    out = tmp_path / "seen"
    flags = ["--updates", "40", "--batch-size", "16", "--classifier.encoder.features", "8"]
    assert main_code(["train", "classifier", "--data", labelled, "--out", str(out), *flags]) == 0
    printed = capsys.readouterr().out
    assert "held out: accuracy" in printed and "shows success" in printed
    with Image.open(out / "mistakes.png") as sheet:
        assert sheet.width > 400 and sheet.height > 100
    judge = SuccessClassifier.load(out)
    assert judge.cameras == ("front",) and judge.spec["state"] == []
    assert judge.of_episode(open_dataset(labelled).episode(0)).shape[0] > 1
    with make_env(ENV_ID, **{**PIXELS, "image_size": 48}, reward=f"classifier:{out}") as env:
        env.reset(seed=0)
        *_, info = env.step(np.zeros(7))
        assert 0.0 < info["success_probability"] < 1.0  # of images that were resized
    with pytest.raises(SchemaError, match="needs the camera front"):
        make_env(ENV_ID, cameras=[], reward=f"classifier:{out}")


@pytest.mark.parametrize("damage", ["weights", "spec", "pickle"])
def test_a_damaged_directory(classifier, damage, tmp_path):
    for name in ("classifier.json", "classifier.npz"):
        (tmp_path / name).write_bytes((classifier[0] / name).read_bytes())
    if damage == "weights":
        with np.load(tmp_path / "classifier.npz") as arrays:
            kept = {name: arrays[name] for name in arrays.files[:-1]}
        np.savez(tmp_path / "classifier.npz", **kept)
    elif damage == "spec":
        (tmp_path / "classifier.json").write_text("{")
    else:
        np.savez(tmp_path / "classifier.npz", evil=np.array([{}], object))
    with pytest.raises(DamagedDatasetError, match=str(tmp_path)):
        SuccessClassifier.load(tmp_path)


def test_errors_before_anything_is_learned(data, labelled, classifier, tmp_path):
    with pytest.raises(UsageError, match="exists already"):
        train_classifier(FAST, [data], classifier[0])
    with pytest.raises(UsageError, match="give --data"):
        train_classifier(FAST, [], tmp_path / "new")
    with pytest.raises(UsageError, match="has no back; its cameras: front"):
        train_classifier(FAST, [labelled], tmp_path / "new", cameras=["back"])
    record_episodes(ENV_ID, STATE, tmp_path / "lost", by="random", episodes=2, seed=5)
    with pytest.raises(UsageError, match="has not been validated"):
        train_classifier(FAST, [str(tmp_path / "lost")], tmp_path / "new")
    with pytest.raises(UsageError, match="no frame shows success"):
        train_classifier(FAST, [str(tmp_path / "lost")], tmp_path / "new", allow_unvalidated=True)
    record_episodes(ENV_ID, STATE, tmp_path / "one", by="expert", episodes=1, seed=5)
    with pytest.raises(UsageError, match="too few to train on some"):
        train_classifier(FAST, [str(tmp_path / "one")], tmp_path / "new", allow_unvalidated=True)
    assert not (tmp_path / "new").exists()


def test_confusion_counts():
    truth = np.array([True, True, True, False, False])
    confusion = Confusion.of(np.array([0.9, 0.5, 0.1, 0.6, 0.2]), truth, 0.5)
    assert confusion == Confusion(hits=2, misses=1, false_alarms=1, rejections=1)
    assert confusion.accuracy == 0.6 and confusion.false_alarm_rate == 0.5


def main_code(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code
