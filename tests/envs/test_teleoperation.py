"""A person at the keyboard of a real terminal, through the program itself."""

import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pytest

from serlds.cli import main
from serlds.datasets.curation import restore_episodes
from serlds.datasets.dropped import read_dropped
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

    @property
    def seen(self):
        """All that was shown, without colours."""
        return re.sub(r"\x1b\[[0-9;]*[mK]", "", self._seen)

    def wait_for(self, text, count=1, seconds=90.0):
        end_s = time.monotonic() + seconds
        while self.seen.count(text) < count:
            assert time.monotonic() < end_s, f"no {text!r} in: {self.seen}"
            assert self.process.poll() is None or self.seen.count(text) >= count, self.seen
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
        return code, self.seen


_PROGRAM = """
import fcntl, sys, termios
terminal = open(sys.argv.pop(1))
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)  # so that it is /dev/tty
from serlds.cli import main
main(sys.argv[1:])
"""


def record(data, *options, episodes=2, max_steps=2000):
    given = ["--episodes", str(episodes), *options]
    arguments = ["--env-args", f"max_steps={max_steps}", "control_hz=20"]
    return Terminal("record", PICK, str(data), "--by", "keyboard", *given, *arguments)


def test_episodes_of_a_person_are_recorded_as_they_drove(tmp_path):
    terminal = record(tmp_path / "hand", "--cameras")
    terminal.wait_for("RECORDING  episode 1 of 2")
    terminal.hold("w", 0.5)
    terminal.press("u")  # not this one
    terminal.wait_for("not kept")
    terminal.wait_for("RECORDING  episode 1 of 2", 2)
    terminal.hold("w", 1.0)
    terminal.press(" ")
    terminal.hold("r", 1.0)
    terminal.press("y")
    terminal.wait_for("success,")
    terminal.wait_for("DECIDE")
    terminal.press("\n")
    terminal.wait_for("kept: success")
    terminal.wait_for("RECORDING  episode 2 of 2")
    terminal.hold("d", 0.5)
    terminal.press("n")
    terminal.wait_for("no success,")
    terminal.press("\n")
    code, seen = terminal.end()
    assert code == 0, seen
    assert "of 20 Hz" in seen
    first, second = open_dataset(tmp_path / "hand").episodes()
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


def test_after_each_episode_a_person_decides(tmp_path):
    terminal = record(tmp_path / "hand", "--cameras", "front", "--image-size", "16", max_steps=40)
    terminal.wait_for("RECORDING  episode 1 of 2")
    terminal.press("y")
    terminal.wait_for("kept in 5 s")
    terminal.press("u")  # the only one there is
    terminal.wait_for("not kept; once more")
    terminal.wait_for("RECORDING  episode 1 of 2", 2)
    terminal.press("y")
    terminal.wait_for("DECIDE", 2)
    terminal.press("n")
    terminal.wait_for("kept: no success")
    terminal.wait_for("RECORDING  episode 2 of 2")
    terminal.hold("w", 0.3)
    terminal.wait_for("waits for you")  # the time limit
    terminal.press("y")
    terminal.wait_for("kept: success")
    code, seen = terminal.end()
    assert code == 0 and "recorded 2 episodes (1 successful" in seen, seen
    found = open_dataset(tmp_path / "hand")
    first, second = found.episodes()
    assert [first.success, second.success] == [False, True]
    assert [first["reward"][-2], second["reward"][-2]] == [0, 1]
    assert [first["discount"][-2], second["discount"][-2]] == [0, 0]
    assert first["is_terminal"][-1] and second["is_terminal"][-1] and len(second) == 41
    assert first.pixels("observation/image/front").std() > 5
    assert [one.metadata["seed"] for one in (first, second)] == [0, 1]
    (gone,) = read_dropped(found.directory).episodes
    assert gone.reason == "a person did not keep it"
    report = restore_episodes(tmp_path / "hand", ["0"])
    assert report.num_episodes == 3
    assert next(open_dataset(tmp_path / "hand").episodes()).success


def test_silence_and_a_motion_keep_an_episode(tmp_path):
    terminal = record(tmp_path / "hand", "--cameras", "--decide-s", "0.5", max_steps=40)
    terminal.wait_for("RECORDING  episode 1 of 2")
    terminal.press("y")
    terminal.wait_for("kept: success")
    terminal.wait_for("RECORDING  episode 2 of 2")
    terminal.wait_for("waits for you")
    terminal.hold("w", 0.3)
    terminal.wait_for("kept: no success")
    assert terminal.end()[0] == 0


def test_an_episode_that_ended_survives_a_kill_while_the_person_decides(tmp_path):
    terminal = record(tmp_path / "hand", "--cameras", max_steps=40)
    terminal.wait_for("RECORDING  episode 1 of 2")
    terminal.wait_for("waits for you")
    terminal.process.kill()
    terminal.process.wait()
    (episode,) = open_dataset(tmp_path / "hand").episodes()
    assert not episode.success and len(episode) == 41


def test_only_a_person_is_asked(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["record", PICK, str(tmp_path / "d"), "--by", "expert", "--decide-s", "3"])
    assert stop.value.code == 2
    assert "--decide-s" in capsys.readouterr().err


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
