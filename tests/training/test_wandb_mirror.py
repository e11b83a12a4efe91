"""Metrics reach Weights & Biases, offline, once each."""

import importlib.util
import json
import subprocess
import sys

import pytest

from serlds.datasets.errors import UsageError
from serlds.training.metrics import MetricsLog
from serlds.training.run_directory import create_run_directory
from serlds.training.run_preparation import prepare
from serlds.training.wandb_mirror import WandbMirror

has_wandb = importlib.util.find_spec("wandb") is not None

MIRROR = """
import sys
from pathlib import Path
from serlds.training.wandb_mirror import WandbMirror
WandbMirror(Path(sys.argv[1]), "tests").close()
"""


@pytest.fixture
def directory(tiny_rlpd, tmp_path):
    return create_run_directory(tmp_path / "run", prepare(tiny_rlpd))


def log(directory, value):
    with MetricsLog(directory.metrics("actor"), directory.tensorboard / "actor") as metrics:
        metrics.write({"wall_s": 1, "env_steps": value, "train/return": value})


def returns(directory):
    """What all W&B files of a run hold of `train/return`, in order."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    found = []
    for path in sorted((directory.path / "wandb").glob("offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(path))
        while data := store.scan_data():
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            for item in record.history.item:
                if "train/return" in (item.key, *item.nested_key):
                    found.append(json.loads(item.value_json))
    return found


@pytest.mark.skipif(not has_wandb, reason="the extra `wandb` is not installed")
def test_each_line_is_copied_once_over_two_sessions(directory, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    log(directory, 1)
    log(directory, 2)
    command = [sys.executable, "-c", MIRROR, str(directory.path)]
    subprocess.run(command, check=True, timeout=120)
    log(directory, 3)
    subprocess.run(command, check=True, timeout=120)
    assert returns(directory) == [1, 2, 3]


def test_without_the_extra_it_says_how_to_install_it(directory, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"pip install 'serlds\[wandb\]'"):
        WandbMirror(directory.path, "tests")
