import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig

DOUBLE = Path(__file__).parent / "doubles" / "trossen_controller.py"


class FaultyController:
    """A Trossen controller in a process of its own that can be told to go wrong."""

    def __init__(self, host):
        self.host = host
        self.process = subprocess.Popen(
            [sys.executable, str(DOUBLE), host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n", f"nothing listens at {host}"
        owned = psutil.Process(self.process.pid).net_connections("tcp")
        assert (host, 50001) in [connection.laddr for connection in owned]

    def tell(self, **settings):
        self.process.stdin.write(json.dumps(settings) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        return answer if answer == "ok" else json.loads(answer)

    def modes(self):
        return set(self.tell(report=True)["modes"])

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def new_controller():
    """Makes controllers, each at a loopback address that no other test worker uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    with contextlib.ExitStack() as stack:
        made = []

        def make():
            made.append(FaultyController(f"127.0.{100 + int(worker)}.{10 + len(made)}"))
            stack.callback(made[-1].close)
            return made[-1]

        yield make


@pytest.fixture(scope="module")
def controller(new_controller):
    """One for all tests of a file that leave it well."""
    return new_controller()


@pytest.fixture(scope="session")
def patient():
    """Makes configs for machines on which a simulated controller may be held up for a while."""
    return lambda arms: RigConfig(arms=arms, stale_state_s=1.0, stale_command_s=0.7)


@pytest.fixture(scope="module")
def running_rig(controller, patient):
    with Rig(patient((ArmConfig("trossen", controller.host),))) as rig:
        yield rig


@pytest.fixture
def rig(running_rig, controller):
    """One real driver at a simulated controller, at home and holding."""
    controller.tell(freeze=False, loss=0.0, delay_s=0.0)
    running_rig.recover()
    running_rig.home()
    return running_rig


@pytest.fixture
def eventually():
    def wait(condition, timeout_s=15.0):
        """Waits until a condition holds; returns its value."""
        end_s = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < end_s, "it did not come true in time"
            time.sleep(0.005)
        return value

    return wait
