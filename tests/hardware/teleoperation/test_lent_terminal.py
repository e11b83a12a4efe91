"""A terminal comes back as it was, whatever becomes of the process that reads keys there."""

import os
import pty
import subprocess
import sys
import termios

import pytest

LENDER = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from serlds.hardware.teleoperation.lent_terminal import LentTerminal
terminal = LentTerminal()
borrower = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    env={**os.environ, **terminal.variables},
    start_new_session=True,
)
assert borrower.stdout.readline() == b"reading\\n"
before = termios.tcgetattr(0)
borrower.kill()
borrower.wait()
assert termios.tcgetattr(0) == before  # nobody has told it yet
terminal.take_back()
print("taken back", file=sys.stderr)
"""
BORROWER = """
import time
from serlds.hardware.teleoperation.device import open_device
device = open_device("keyboard")
print("reading", flush=True)
time.sleep(60)
"""


def test_a_terminal_is_taken_back_from_a_killed_borrower():
    leader, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    result = subprocess.run(
        [sys.executable, "-c", LENDER, BORROWER],
        stdin=terminal,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert "taken back" in result.stderr, result.stderr
    assert termios.tcgetattr(terminal) == before
    os.close(leader)
    os.close(terminal)


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_without_a_terminal_there_is_nothing_to_lend(stdin):
    code = (
        "from serlds.hardware.teleoperation.lent_terminal import LentTerminal\n"
        "terminal = LentTerminal()\n"
        "assert not terminal.variables\n"
        "terminal.take_back()\n"
    )
    subprocess.run([sys.executable, "-c", code], stdin=stdin, check=True)
