"""The front door: verbs, help texts, exit codes and messages for bad input."""

import json
import re

import pytest

from serlds.cli import VERBS, main
from serlds.commands.arguments import parse_env_args
from serlds.datasets.errors import UsageError

TASK = "serlds/WidowXPickCube-v0"


def run(capfd, *arguments):
    """Exit code, standard output and standard error of a command line."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return stop.value.code, out, err


def test_top_help_names_every_verb(capfd):
    code, out, _ = run(capfd, "--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(capfd, verb):
    code, out, _ = run(capfd, *verb.replace(" RUN", "").split(), "--help")
    assert code == 0
    assert f"serlds {verb.split()[0]}" in out
    assert not re.search(r"\bSTR\b|{None}\|", out)  # arguments have names that say what they are


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["recrod"], "record"),
        (["train", "ppo"], "bc, hg-dagger, sac, drq, rlpd, classifier, vice"),
        (["export"], None),
        (["train", "rlpd", "--out", "x", "--preset", "bogus"], "quickstart"),
        (["record", "serlds/Unknown-v0", "d"], TASK),
        (["record", TASK, "Bad-Name"], "lower-case"),
        (["record", TASK, "d", "--env-args", "nonsense"], "NAME=VALUE"),
        (["record", TASK, "d", "--env-args", "colour=1"], "yaw_range_rad"),
        (["record", TASK, "d", "--episodes", "0"], "at least 1"),
        (["record", TASK, "d", "--episodes", "many"], "--episodes"),
        (["record", TASK, "d", "--by", "policy"], "--policy"),
        (["inspect", "d"], "no dataset"),
        (["drop", "d", "0"], "no dataset"),
        (["drop", "d", "0", "--where", "success"], "FIELD=VALUE"),
        (["restore", "d", "--all"], "no dataset"),
        (["compact", "d"], "no dataset"),
        (["compact", "d", "--shard-mb", "0"], "positive"),
        (["recover", "d"], "no dataset"),
        (["diff", "d", "e"], "no dataset"),
        (["merge", "d", "e"], "at least two"),
        (["merge", "d", "e", "f"], "no dataset"),
        (["split", "d", "e"], "no dataset"),
        (["split", "d", "e", "--parts", "train=0.9"], "add up to 0.9"),
        (["validate", "d"], "no dataset"),
        (["validate"], "a dataset is needed"),
        (["validate", "d", "--set", "idle.share=1"], "max_share"),
        (["validate", "--explain", "idel"], "idle"),
        (["stats", "d"], "no dataset"),
        (["convert", "d", "e", "--apply", "only_successful"], "no dataset"),
        (["convert", "d", "e"], "--apply TRANSFORM"),
        (["convert", "d", "e", "--chain", "x.toml"], "x.toml: the chain cannot be read"),
        (["convert", "d", "e", "--apply", "mirror"], "only_successful"),
        (["transforms", "mirror"], "only_successful"),
        (["export", "rtx", "d", "e"], "no dataset"),
        (["export", "lerobot", "d", "e"], "no dataset"),
        (["import", "lerobot", "d", "e"], "no LeRobot dataset"),
        (["import", "serl", "demos.pkl", "e"], "no such file"),
        (["import", "serl", "demos.pkl", "Bad-Name"], "lower-case"),
        (["import", "serl", "demos.pkl", "e", "--hz", "0"], "--hz"),
        (["import", "hil-serl", "buffer", "e"], "no such file"),
        (["import", "robomimic", "lift.hdf5", "e"], "no such file"),
        (["import", "rlds", "d", "e"], "no dataset"),
        (["import", "rlds", "d"], "DESTINATION"),
        (["train", "rlpd", "--out", "x", "--demos", "d"], "no dataset"),
        (["train", "bc", "--out", "x"], "--env"),
        (["train", "--resume", "x"], "no run"),
        (["eval", "x"], "no run"),
        (["learner", "x", "--replay", "nonsense"], "HOST:PORT"),
        (["actor", "x", "--replay", "host:0"], "HOST:PORT"),
        (["report", "x"], "no run"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_one_clear_message(capfd, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, *arguments)
    if told is None:
        assert code == 0 and "export rtx" in out
        return
    assert code == 2
    assert told in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(UsageError, match="no dataset"):
        main(["inspect", str(tmp_path / "d"), "--debug"])


def test_record_appends_and_inspect_tells(capfd, tmp_path):
    dataset = tmp_path / "data" / "pick_cube"
    for total in (2, 4):
        code, out, _ = run(capfd, "record", TASK, dataset, "--episodes", 2, "--cameras")
        assert code == 0
        assert f"holds {total} now" in out
    code, out, _ = run(capfd, "inspect", dataset, "--json")
    summary = json.loads(out)
    assert code == 0
    assert (summary["episodes"], summary["env_id"]) == (4, TASK)
    code, out, _ = run(capfd, "inspect", dataset)
    assert code == 0
    assert "observation/state/cube_pos" in out


def test_recording_into_a_dataset_of_another_shape_leaves_it_alone(capfd, tmp_path):
    dataset = tmp_path / "pick_cube"
    run(capfd, "record", TASK, dataset, "--episodes", 1, "--cameras")
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    code, _, err = run(capfd, "record", TASK, dataset, "--episodes", 1, "--image-size", 32)
    assert code == 2
    assert "observation/image/front" in err
    assert {path: path.read_bytes() for path in before} == before


def test_env_args_are_json_or_text():
    parsed = parse_env_args(["a=1", "b=[1, 2]", "c=true", "d=dense"])
    assert parsed == {"a": 1, "b": [1, 2], "c": True, "d": "dense"}
