"""SDL's own virtual gamepad, as pygame sees it, in a process of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, glob, os, time
os.environ.update(SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy")
import pygame
from serlds.datasets.errors import UsageError
from serlds.hardware.errors import RobotError
from serlds.hardware.teleoperation.device import TeleopEvent, open_device

try:
    open_device("gamepad")
except UsageError as error:
    assert "none is there" in str(error)
else:
    raise SystemExit("a gamepad where there is none")

here = os.path.dirname(pygame.__file__)
(library,) = glob.glob(os.path.join(here, "..", "pygame.libs", "libSDL2-2*"))
sdl = ctypes.CDLL(library)
index = sdl.SDL_JoystickAttachVirtual(1, 6, 11, 1)
assert index >= 0
pad = open_device("gamepad", arms=2)
sdl.SDL_JoystickFromInstanceID.restype = ctypes.c_void_p
virtual = ctypes.c_void_p(sdl.SDL_JoystickFromInstanceID(pad._device._pad.get_instance_id()))

def press(button, down):
    sdl.SDL_JoystickSetVirtualButton(virtual, button, ctypes.c_uint8(down))
    pygame.event.pump()
    return pad.poll()

def stick(axis, value):
    sdl.SDL_JoystickSetVirtualAxis(virtual, axis, ctypes.c_int16(int(32767 * value)))
    pygame.event.pump()
    return pad.poll()

for axis in range(6):  # a virtual one starts at its stops
    stick(axis, 0.0)
sample = stick(1, -1.0)
assert not sample.engaged and not sample.motion.any()  # without the clutch
sample = press(4, 1)
assert sample.engaged and sample.motion.round(2).tolist() == [1] + [0] * 11, sample
assert stick(1, 0.05).motion.any() == False
assert stick(4, 0.5).motion[2].round(1) == -0.5
stick(4, 0.0)
assert press(0, 1).gripper.tolist() == [-1, 1]
press(0, 0)
press(1, 1), press(1, 0)  # the other arm
assert stick(0, -1.0).motion.round(2).tolist() == [0] * 7 + [1] + [0] * 4
assert press(5, 1).events == (TeleopEvent.TAKEOVER,)
assert press(3, 1).events == (TeleopEvent.SUCCESS,)
assert press(3, 1).events == ()
sdl.SDL_JoystickDetachVirtual(index)
pygame.event.pump()
try:
    pad.poll()
except RobotError as error:
    assert "it is gone" in str(error)
else:
    raise SystemExit("nothing was noticed")
print("all well")
"""


def test_sticks_buttons_clutch_and_loss():
    pytest.importorskip("pygame")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert "all well" in result.stdout, result.stdout + result.stderr
