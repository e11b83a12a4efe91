"""What a pipeline gives must not depend on where it runs."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from serlds.datasets.reading import open_dataset
from serlds.datasets.records import record_spans
from serlds.pipelines.convert import convert
from serlds.pipelines.rtx.export import export_rtx
from serlds.pipelines.validate import validate

TIME_LIMIT_S = 120
TRANSFORMS = ("resize_images:height=16,width=24", "drop_field:path=intervened")


def serlds(*arguments, beam_args=()):
    command = [sys.executable, "-m", "serlds.cli", *map(str, arguments)]
    if beam_args:
        command += ["--", *beam_args]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S)


@pytest.fixture(scope="session")
def source(arm_world, tmp_path_factory):
    """Twenty episodes of which the fourth cannot be used."""
    episodes = [arm_world.episode(index) for index in range(20)]
    episodes[3].columns["observation/state/tcp_pos"][5] = np.nan
    return arm_world.dataset(tmp_path_factory.mktemp("source") / "arm", episodes)


def contents(directory):
    """Everything that the data of a dataset consist of, without names and dates."""
    dataset = open_dataset(directory)
    beside = {
        name: (dataset.directory / name).read_bytes()
        for name in ("dead_letters.jsonl", "statistics.json", "features.json")
    }
    shards = [path.path.read_bytes() for path in dataset.shards()]
    return dataset.digest, dataset.splits, beside, shards


def check_same(local, here, done, there):
    """Checks a dataset made by the command line with Beam's options against one made without."""
    assert done.returncode == local.exit_code == 1, done.stderr[-2000:]
    assert "1 bad episode" in done.stdout
    assert done.stdout.strip().replace(str(there), "") == local.to_text().replace(str(here), "")
    assert contents(there) == contents(here)
    assert not list(there.parent.glob(".*"))


@pytest.mark.timeout(2 * TIME_LIMIT_S)
def test_converted_dataset_is_the_same(source, cluster, tmp_path):
    here, there = tmp_path / "here" / "made", tmp_path / "there" / "made"
    local = convert(source, here, TRANSFORMS)
    done = serlds("convert", source, there, "--apply", *TRANSFORMS, beam_args=cluster.beam_args)
    check_same(local, here, done, there)


@pytest.mark.timeout(2 * TIME_LIMIT_S)
def test_exported_dataset_is_the_same(source, cluster, tmp_path):
    here, there = tmp_path / "here" / "made", tmp_path / "there" / "made"
    local = export_rtx(source, here)
    done = serlds("export", "rtx", source, there, beam_args=cluster.beam_args)
    check_same(local, here, done, there)


@pytest.mark.timeout(2 * TIME_LIMIT_S)
def test_validation_finds_the_same(source, cluster, tmp_path):
    path = tmp_path / "findings.json"
    local = validate(source)
    done = serlds("validate", source, "--json", path, beam_args=cluster.beam_args)
    assert done.returncode == local.exit_code == 1, done.stderr[-2000:]
    assert path.read_text() == local.to_json()
    assert not list(source.glob(".serlds-scratch-*"))


@pytest.mark.timeout(2 * TIME_LIMIT_S)
def test_scratch_must_be_in_sight(source, cluster):
    done = serlds("validate", source, "--scratch", "/nowhere", beam_args=cluster.beam_args)
    assert done.returncode == 2
    assert "/nowhere" in done.stderr and "--scratch" in done.stderr


@pytest.mark.timeout(2 * TIME_LIMIT_S)
def test_killed_worker_leaves_a_complete_dataset_or_none(source, cluster, tmp_path):
    if cluster.name == "python":
        pytest.skip("Beam's own job service waits for ever for a worker that was killed")
    made = tmp_path / "made"
    command = ["convert", source, made, "--apply", "resize_images:height=512,width=512"]
    before = len(cluster.worker_ids.read_text().split()) if cluster.worker_ids.exists() else 0
    command = [sys.executable, "-m", "serlds.cli", *map(str, command), "--", *cluster.beam_args]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(_newest_worker(cluster.worker_ids, before), signal.SIGKILL)
        code = run.wait(TIME_LIMIT_S)
    finally:
        run.kill()
        run.wait()
    if made.exists():  # the runner tried again
        shards = open_dataset(made).shards()
        assert sum(1 for shard in shards for _ in record_spans(shard.path)) == 19
    else:
        assert code == 1
    assert not list(tmp_path.glob(".*"))


def _newest_worker(worker_ids, before):
    deadline = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < deadline:
        ids = worker_ids.read_text().split() if worker_ids.exists() else []
        if len(ids) > before:
            return int(ids[-1])
        time.sleep(0.02)
    pytest.fail("no worker was started")
