"""A person at the keyboard takes over from a policy that trains on an arm, in a real terminal.

The arm is a simulated controller behind the vendor's own driver.
"""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import psutil
import pytest

from serlds.datasets.reading import open_dataset

PICK = "serlds/WidowXPickCube-v0"
_PROGRAM = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
from serlds.cli import main
main(sys.argv[1:])
"""
SMALL = """--agent.actor.hidden-dims 8 --agent.critic.hidden-dims 8 --schedule.batch-size 8
  --schedule.random-steps 0 --schedule.start-training-steps 8
  --schedule.evaluation-interval-steps 0"""


class Training:
    """`serlds train` in a terminal of its own, and the hands at it."""

    def __init__(self, run, host, env_steps, **setup):
        robot = {"addresses": [host], "simulate": True, "reset_s": 0.0, **setup}
        self.run = run
        self.leader, self._follower = pty.openpty()
        self.before = termios.tcgetattr(self._follower)
        self._seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "train", "sac", "--out", str(run), "--env", PICK,
             "--intervene", "keyboard", *SMALL.split(), "--schedule.env-steps", str(env_steps),
             "--env-args", "backend=robot", "cameras=[]", "max_steps=20",
             f"robot={json.dumps(robot)}"],
            stdin=self._follower, stdout=self._follower, stderr=self._follower,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                self._seen += os.read(self.leader, 4096).decode(errors="replace")
            except OSError:
                return

    def wait_for(self, condition, seconds=120.0):
        end_s = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end_s and self.process.poll() is None, self._seen
            time.sleep(0.05)
        return value

    def press(self, keys):
        os.write(self.leader, keys.encode())

    def reads_keys(self):
        return not termios.tcgetattr(self._follower)[3] & termios.ICANON

    def episodes(self):
        path = self.run / "metrics-actor.jsonl"
        return path.read_text().count("train/success") if path.is_file() else 0

    def processes(self, module):
        """The processes of a module that belong to this run."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                if module in child.cmdline():
                    found.append(child)
        return found

    def end(self, seconds=60.0):
        """The exit code, and what was to be seen; the terminal is as it was."""
        code = self.process.wait(seconds)
        time.sleep(0.1)
        assert termios.tcgetattr(self._follower) == self.before
        return code, " ".join(self._seen.split())


@pytest.fixture
def training(tmp_path):
    made = []

    def start(host, env_steps, **setup):
        made.append(Training(tmp_path / "run", host, env_steps, **setup))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_keys_drive_the_arm_and_are_in_the_log(training):
    training = training("127.0.52.1", 90)
    training.wait_for(training.reads_keys)

    def drive():
        training.press("r")
        return training.episodes() >= 2

    training.wait_for(drive)
    code, seen = training.end()
    assert code == 0, seen
    assert "take over, let go" in seen and "taken over" in seen
    episodes = list(open_dataset(training.run / "episodes").episodes())
    driven = np.concatenate([np.asarray(episode["intervened"])[:-1] for episode in episodes])
    asked = np.concatenate([episode["action_requested"][:-1] for episode in episodes])
    assert 0 < driven.sum() < len(driven)
    assert (asked[driven, 2] == 1).all() and (asked[driven, :2] == 0).all()
    assert {episode.metadata["collector"] for episode in episodes} == {"mixed", "policy"}


def test_the_stop_key_ends_it_also_while_the_arm_goes_to_the_start(training):
    training = training("127.0.52.2", 500, reset_s=60.0)
    training.wait_for(lambda: training.processes("serlds.hardware.rig_process"))
    training.press("x")
    code, seen = training.end()
    assert code == 1
    assert "STOPPED by a person" in seen and "nothing is started again" in seen


def test_ctrl_c_does_not_wait_for_the_arm(training):
    training = training("127.0.52.3", 500, reset_s=60.0)
    training.wait_for(lambda: training.processes("serlds.hardware.rig_process"))
    training.press("\x03")
    code, seen = training.end()
    assert code == 130
    assert "was killed" not in seen


def test_an_actor_that_is_killed_does_not_move_the_arm_again(training):
    training = training("127.0.52.4", 500)
    training.wait_for(lambda: training.episodes() >= 1)
    (actor,) = training.processes("serlds.training.actor")
    (rig,) = training.processes("serlds.hardware.rig_process")
    actor.send_signal(signal.SIGKILL)
    code, seen = training.end()
    assert code == 1
    assert "killed by SIGKILL" in seen and "look at them, then `serlds train --resume" in seen
    assert not rig.is_running() or rig.status() == psutil.STATUS_ZOMBIE
    assert open_dataset(training.run / "episodes").num_episodes >= 1
