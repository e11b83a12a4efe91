"""A conversion by several processes that is killed or interrupted leaves nothing half-made."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from serlds.datasets.reading import open_dataset
from serlds.pipelines.convert import convert

CONVERT = """
import sys
from serlds.pipelines.convert import convert
convert(sys.argv[1], sys.argv[2], ["resize_images:height=512,width=512"], shard_bytes=20_000,
        workers=3)
"""


def workers_of(process):
    return [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "serlds.pipelines.engine.local_worker" in child.cmdline()
    ]


def has_ended(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("number", "send"), [(signal.SIGKILL, os.kill), (signal.SIGINT, os.killpg)], ids=["kill", "^C"]
)
def test_a_launcher_that_ends_takes_its_workers_along(world, tmp_path, number, send):
    dataset = world.dataset(tmp_path / "arm", [world.episode(index) for index in range(40)])
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(dataset), str(out)],
        cwd="/",
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(workers := workers_of(process)) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    send(process.pid, number)
    assert process.wait(30) == -number
    deadline = time.monotonic() + 30
    while not all(map(has_ended, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (out / "1.0.0").exists()
    if number == signal.SIGINT:
        assert not out.exists()
    convert(dataset, out, [])
    assert open_dataset(out).num_episodes == 40
    assert os.listdir(out) == ["1.0.0"]
