import threading
import time

import psutil
import pytest

from serlds.datasets.errors import SerldsError
from serlds.pipelines.convert import convert


def local_workers():
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "serlds.pipelines.engine.local_worker" in child.cmdline()
    ]


def test_killed_worker_ends_the_run_and_leaves_nothing(world, tmp_path):
    dataset = world.dataset(tmp_path / "arm", [world.episode(index) for index in range(40)])
    errors = []

    def run():
        slow = ["resize_images:height=512,width=512"]
        with pytest.raises(SerldsError) as caught:
            convert(dataset, tmp_path / "out", slow, shard_bytes=20_000, workers=2)
        errors.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    while not (started := local_workers()):
        assert thread.is_alive()
        time.sleep(0.01)
    started[0].kill()
    thread.join()
    assert "killed by signal 9" in errors[0]
    assert not local_workers() and not (tmp_path / "out").exists()
