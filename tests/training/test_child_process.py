import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from serlds.training.child_process import ChildProcess
from serlds.training.process_main import run_process

SCRIPTS = {
    "polite": "from serlds.training.stopping import StopRequest\n"
    "stop = StopRequest()\nstop.listen_to_signals()\nprint('ready')\nstop.wait(60)\nprint('done')",
    "deaf": "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready')\ntime.sleep(60)",
    "failing": "import sys\nprint('first')\n"
    "print('the disk is full', file=sys.stderr)\nsys.exit(3)",
    "supervised": "from serlds.training.stopping import StopRequest\n"
    "stop = StopRequest()\nstop.listen_to_supervisor()\nprint('ready')\nstop.wait(60)",
}


@pytest.fixture
def start(tmp_path):
    """Starts one of the scripts as a module."""
    (tmp_path / "modules").mkdir()
    with contextlib.ExitStack() as stack:

        def start(name):
            (tmp_path / "modules" / f"{name}_script.py").write_text(SCRIPTS[name])
            variables = {"PYTHONPATH": str(tmp_path / "modules"), "PYTHONUNBUFFERED": "1"}
            log = tmp_path / f"{name}.log"
            child = ChildProcess(name, f"{name}_script", [], log, variables)
            stack.callback(child.kill)
            return child

        yield start


def wait_until(condition):
    deadline_s = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def is_ready(child):
    return lambda: "ready" in child.log.read_text()


def test_one_that_is_asked_ends_by_itself(start):
    child = start("polite")
    wait_until(is_ready(child))
    assert child.exit_code is None
    assert not child.has_failed
    assert child.stop(60.0)
    assert child.exit_code == 0
    assert child.last_lines() == ["ready", "done"]


def test_one_that_does_not_listen_is_killed(start):
    child = start("deaf")
    wait_until(is_ready(child))
    assert not child.stop(0.2)
    assert child.exit_code == -signal.SIGKILL


def test_last_words_name_the_process_its_end_and_its_log(start):
    child = start("failing")
    wait_until(lambda: child.has_failed)
    message = str(child.died())
    assert "the failing ended with exit code 3" in message
    assert str(child.log) in message
    assert message.endswith("  first\n  the disk is full")


def test_a_killed_process_is_said_to_be_killed(start):
    child = start("polite")
    wait_until(is_ready(child))
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: child.has_failed)
    assert "was killed by SIGKILL (out of memory?)" in str(child.died())


def test_last_words_of_an_earlier_session_are_not_repeated(start):
    for _ in range(2):
        child = start("failing")
        wait_until(lambda child=child: child.has_failed)
    assert child.log.read_text().splitlines() == ["first", "the disk is full"] * 2
    assert child.last_lines() == ["first", "the disk is full"]


def test_none_outlives_a_killed_supervisor(tmp_path):
    (tmp_path / "supervised_script.py").write_text(SCRIPTS["supervised"])
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from serlds.training.child_process import ChildProcess\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        "child = ChildProcess('child', 'supervised_script', [], log, {'PYTHONUNBUFFERED': '1'})\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as supervisor:
        child = psutil.Process(int(supervisor.stdout.readline()))
        wait_until(lambda: "ready" in (tmp_path / "log").read_text())
        supervisor.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_an_error_on_purpose_ends_with_its_message_and_code(tmp_path):
    code = (
        "import argparse\nfrom serlds.training.process_main import run_process\n"
        "run_process(argparse.ArgumentParser(), None)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "no-run")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {tmp_path}/no-run: no run here")
    assert run_process.__module__ in code
