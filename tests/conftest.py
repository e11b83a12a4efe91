"""What holds for all tests: chance is the same in every run, unless new chances are asked for.

And a simulated Franka, franky-sim. It wants NumPy 2, so it lives in an environment of its own, and
it is downloaded, so `make franka-test` needs it and `make test` does not: `SERLDS_FRANKA_SIM` names
a directory for the environment.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

FRANKA_PACKAGES = ("franky-sim==1.0.4", "pin>=3.3.1", "numpy>=2")
INSTALL_S, START_S = 900, 60

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("explore", max_examples=5000)
settings.load_profile("repeatable")

# A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--malformed-rounds",
        type=int,
        default=1,
        metavar="N",
        help="run the tests of malformed inputs with N seeds; with other inputs in each",
    )


def pytest_generate_tests(metafunc):
    if "malformed_round" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("malformed_rounds")
        metafunc.parametrize("malformed_round", range(rounds))


@pytest.fixture(scope="session")
def franky_sim():
    """The program, in an environment that is kept for the next time."""
    if not os.environ.get("SERLDS_FRANKA_SIM"):
        pytest.skip("needs franky-sim: make franka-test")
    directory = Path(os.environ["SERLDS_FRANKA_SIM"]).resolve()
    done = directory / "installed"
    if not done.is_file() or done.read_text() != " ".join(FRANKA_PACKAGES):
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "-q", "-p", sys.executable, directory], check=True)
        python = str(directory / "bin" / "python")
        install = [*uv, "pip", "install", "-q", "--python", python, *FRANKA_PACKAGES]
        subprocess.run(install, check=True, timeout=INSTALL_S)
        done.write_text(" ".join(FRANKA_PACKAGES))
    return directory / "bin" / "franky-sim"


class SimulatedFranka:
    """A robot of franky-sim in a process of its own."""

    def __init__(self, program, host):
        self.host = host
        self.process = subprocess.Popen(
            [program, "-s", "mujoco", "--hostname", host],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(START_S, self.process.kill)
        watchdog.start()
        assert any("Connect to" in line for line in self.process.stdout), "it did not start"
        watchdog.cancel()
        owned = psutil.Process(self.process.pid).net_connections("tcp")
        assert (host, 1337) in [connection.laddr for connection in owned]

    def send(self, number):
        self.process.send_signal(number)

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def new_franka(franky_sim):
    """Makes simulated robots, each at its address."""
    with contextlib.ExitStack() as stack:

        def make(host):
            robot = SimulatedFranka(franky_sim, host)
            stack.callback(robot.close)
            return robot

        yield make
