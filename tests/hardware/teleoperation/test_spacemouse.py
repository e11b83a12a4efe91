"""The SpaceMouse's own library on a HID library that plays the mouse."""

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FULL = 350
"""What the mouse reports at its stop."""
pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc for the HID library")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hid")
    name = "libhidapi-hidraw.so.0"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-w", "-o", str(directory / name), f"-Wl,-soname,{name}",
         str(HERE / "fake_hidapi.c")],
        check=True,
    )  # fmt: skip
    (directory / "libhidapi-hidraw.so").symlink_to(directory / name)
    return directory


class Mouse:
    def __init__(self, library, path, is_plugged_in=True):
        variables = {**os.environ, "LD_LIBRARY_PATH": str(library)}
        if is_plugged_in:
            os.mkfifo(path)
            variables["SERLDS_FAKE_HID"] = str(path)
        self._path = path
        self._program = subprocess.Popen(
            [sys.executable, str(HERE / "spacemouse_program.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )
        while (line := self._program.stdout.readline()).endswith("found\n"):
            pass  # the library's own greeting
        self.said = line.strip()

    def report(self, x=0, y=0, z=0, roll=0, pitch=0, yaw=0, buttons=0):
        with open(self._path, "wb", buffering=0) as fifo:
            for report in (
                struct.pack("<Bhhh", 1, x, y, z),
                struct.pack("<Bhhh", 2, roll, pitch, yaw),
                struct.pack("<BB", 3, buttons),
            ):
                fifo.write(bytes([len(report)]) + report.ljust(15, b"\0"))

    def unplug(self):
        with open(self._path, "wb", buffering=0) as fifo:
            fifo.write(b"\xff" * 16)

    def poll(self):
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline().strip()
        return json.loads(line) if line.startswith("{") else line

    def after(self, **report):
        """The sample once the report was heard."""
        self.report(**report)
        time.sleep(0.1)
        return self.poll()

    def close(self):
        self._program.stdin.close()
        self._program.wait(10)


@pytest.fixture
def mouse(library, tmp_path):
    mouse = Mouse(library, tmp_path / "mouse")
    assert mouse.said == "open"
    yield mouse
    mouse.close()


def test_the_cap_moves_the_tool_along_the_base(mouse):
    assert mouse.poll() == {"engaged": False, "motion": [0.0] * 6, "gripper": [1.0], "events": []}
    assert mouse.after(y=-FULL)["motion"] == [1, 0, 0, 0, 0, 0]  # away from the person: forward
    assert mouse.after(x=-FULL)["motion"] == [0, 1, 0, 0, 0, 0]  # left
    assert mouse.after(z=-FULL // 2)["motion"] == [0, 0, 0.5, 0, 0, 0]  # up
    sample = mouse.after(yaw=-FULL)
    assert sample["motion"] == [0, 0, 0, 0, 0, 1] and sample["engaged"]
    assert not mouse.after(x=10)["engaged"]  # it is never quite still


def test_buttons_turn_the_gripper_and_take_over(mouse):
    assert mouse.after(buttons=1)["gripper"] == [-1]
    assert mouse.after(buttons=1)["gripper"] == [-1]  # still held
    assert mouse.after()["gripper"] == [-1]
    assert mouse.after(buttons=1)["gripper"] == [1]
    assert mouse.after(buttons=2)["events"] == ["TAKEOVER"]
    assert mouse.after()["events"] == []
    assert mouse.after(buttons=2)["events"] == ["TAKEOVER"]
    assert mouse.after()["events"] == []
    assert mouse.after(buttons=1)["events"] == []
    assert mouse.after(buttons=3)["events"] == ["REDO"]


def test_a_deflected_mouse_that_falls_silent_drives_nothing(mouse):
    assert mouse.after(y=-FULL)["engaged"]
    time.sleep(0.4)
    assert mouse.poll()["engaged"] is False
    assert mouse.poll()["motion"] == [0.0] * 6
    assert mouse.after(y=-FULL)["engaged"]


def test_many_reports_between_two_polls_leave_nothing_behind(mouse):
    for part in range(200):
        mouse.report(y=-FULL * part // 200)
    assert mouse.after(y=-FULL)["motion"][0] == 1


def test_unplugged_it_says_so(mouse):
    mouse.after(y=-FULL)
    mouse.unplug()
    time.sleep(0.2)
    assert mouse.poll().startswith("error: spacemouse: it is gone")


def test_without_a_mouse_it_says_what_to_do(library, tmp_path):
    mouse = Mouse(library, tmp_path / "mouse", is_plugged_in=False)
    assert "none can be opened" in mouse.said and "plug it in" in mouse.said
    mouse.close()
