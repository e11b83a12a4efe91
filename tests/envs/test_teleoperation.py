"""A person at the keyboard of a real terminal, through the program itself."""

import os
import pty
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.teleoperation import action_of
from serlds.hardware.teleoperation.device import open_device

PICK = "serlds/WidowXPickCube-v0"


class Terminal:
    """A program in a terminal of its own, and the hands at it."""

    def __init__(self, *arguments):
        self.leader, follower = pty.openpty()
        self.before = termios.tcgetattr(follower)
        self._follower = follower
        self._seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, os.ttyname(follower), *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                self._seen += os.read(self.leader, 4096).decode(errors="replace")
            except OSError:
                return

    def wait_for(self, text, count=1, seconds=90.0):
        end_s = time.monotonic() + seconds
        while self._seen.count(text) < count:
            assert time.monotonic() < end_s, f"no {text!r} in: {self._seen}"
            assert self.process.poll() is None or self._seen.count(text) >= count, self._seen
            time.sleep(0.01)

    def press(self, keys):
        os.write(self.leader, keys.encode())

    def hold(self, key, seconds):
        """As a terminal repeats a key that is held."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.press(key)
            time.sleep(0.03)

    def end(self, seconds=60.0):
        code = self.process.wait(seconds)
        time.sleep(0.1)
        assert termios.tcgetattr(self._follower) == self.before  # as it was found
        return code, self._seen


_PROGRAM = """
import fcntl, sys, termios
terminal = open(sys.argv.pop(1))
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)  # so that it is /dev/tty
from serlds.cli import main
main(sys.argv[1:])
"""


def test_episodes_of_a_person_are_recorded_as_they_drove(tmp_path):
    data = str(tmp_path / "hand")
    options = ["--episodes", "2", "--cameras", "--env-args", "max_steps=2000", "control_hz=20"]
    terminal = Terminal("record", PICK, data, "--by", "keyboard", *options)
    terminal.wait_for("RECORDING: episode 1 of 2")
    terminal.hold("w", 0.5)
    terminal.press("u")  # not this one
    terminal.wait_for("not kept")
    terminal.wait_for("RECORDING: episode 1 of 2", 2)
    terminal.hold("w", 1.0)
    terminal.press(" ")
    terminal.hold("r", 1.0)
    terminal.press("y")
    terminal.wait_for("success,")
    terminal.wait_for("RECORDING: episode 2 of 2")
    terminal.hold("d", 0.5)
    terminal.press("n")
    terminal.wait_for("no success,")
    code, seen = terminal.end()
    assert code == 0, seen
    assert "of 20 Hz" in seen
    first, second = open_dataset(data).episodes()
    assert [first.success, second.success] == [True, False]
    for episode in (first, second):
        assert episode.metadata["collector"] == "teleop"
        assert np.asarray(episode["intervened"])[:-1].all()
    actions = first["action"][:-1]
    assert {-1.0, 1.0} == set(actions[:, 6].tolist())
    forward, up = actions[:, 0] > 0, actions[:, 2] > 0
    assert forward.sum() > 5 and up.sum() > 5
    assert np.flatnonzero(forward).max() < np.flatnonzero(up).max()
    assert (actions[up, 6] == -1).any()
    assert (second["action"][:-1, 1] < 0).sum() > 2
    assert first["reward"][-2] == 1 and second["reward"][-2] == 0


def test_driving_without_recording_ends_when_the_person_stops():
    terminal = Terminal("teleop", PICK, "--env-args", "control_hz=20", "max_steps=2000")
    terminal.wait_for("DRIVING")
    terminal.press("x")
    code, seen = terminal.end()
    assert code == 0 and "stopped" in seen


def test_without_a_terminal_the_keyboard_says_so():
    code = (
        "from serlds.hardware.teleoperation.device import open_device\n"
        "from serlds.datasets.errors import UsageError\n"
        "try:\n    open_device('keyboard')\n"
        "except UsageError as error:\n    assert 'no terminal' in str(error), error\n"
        "else:\n    raise SystemExit('it opened')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="'glove'; the devices are keyboard, spacemouse, gamepad"):
        open_device("glove")


def test_motions_and_grippers_of_two_arms_stand_side_by_side():
    action = action_of(np.arange(12) / 10, np.array([1.0, -1.0]))
    assert action.tolist() == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, -1]
    )
