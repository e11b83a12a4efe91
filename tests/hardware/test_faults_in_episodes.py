"""What goes wrong in an episode on an arm: its end state, what is said, what is kept.

The vendor's own driver talks to a simulated controller that can go wrong.
"""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from serlds.cli import main
from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env
from serlds.hardware.errors import RobotError, RobotFaultError
from serlds.hardware.rig_state import RigMode
from serlds.hardware.running_rigs import running_rigs

HERE = Path(__file__).parent
PICK = "serlds/WidowXPickCube-v0"
STEPS = 12
STILL = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def setup(host):
    return {"addresses": [host], "reset_s": 0.0}


def arguments(host, **others):
    return {
        "cameras": [], "backend": "robot", "robot": setup(host), "max_steps": STEPS, **others
    }  # fmt: skip


@pytest.fixture
def env(controller):
    with contextlib.closing(make_env(PICK, **arguments(controller.host))) as env:
        yield env


class Goes:
    """A policy that goes slowly sideways; in the middle of its second episode something happens."""

    def __init__(self, what_happens):
        self._what_happens = what_happens
        self._episode = self._step = 0

    def reset(self, seed=None):
        self._episode, self._step = self._episode + 1, 0

    def __call__(self, observation):
        self._step += 1
        if (self._episode, self._step) == (2, STEPS // 2):
            self._what_happens()
        return np.array([0, 0.2, 0, 0, 0, 0, 1], np.float32)


def record(host, dataset, policy, episodes=3):
    return record_episodes(
        PICK, arguments(host), dataset, by="policy", policy=policy, episodes=episodes
    )


def rig_of(host):
    """The process of the rig that drives an arm."""
    (rig,) = running_rigs(host)
    return rig.pid


def test_a_frozen_controller_costs_the_episode_in_progress_alone(controller, tmp_path, eventually):
    with pytest.raises(RobotFaultError, match=r"STALE_STATE.*look at the arms"):
        record(controller.host, tmp_path / "data", Goes(lambda: controller.tell(freeze=True)))
    controller.tell(freeze=False)
    assert open_dataset(tmp_path / "data").num_episodes == 1
    record(controller.host, tmp_path / "data", Goes(lambda: None), episodes=1)
    assert open_dataset(tmp_path / "data").num_episodes == 2
    assert controller.modes() == {"IDLE"}


def test_an_error_of_the_controller_does_too_and_waits_for_a_person(controller, tmp_path, capfd):
    fault = {"fault": "JOINT_OVERHEATED"}
    with pytest.raises(RobotFaultError, match=r"CONTROLLER.*look at the arms"):
        record(controller.host, tmp_path / "data", Goes(lambda: controller.tell(**fault)))
    assert open_dataset(tmp_path / "data").num_episodes == 1
    with pytest.raises(RobotError, match=f"serlds robot recover --ip {controller.host}"):
        record(controller.host, tmp_path / "data", Goes(lambda: None))
    with pytest.raises(SystemExit) as stop:
        main(["robot", "recover", "--ip", controller.host])
    assert stop.value.code == 0, capfd.readouterr()
    record(controller.host, tmp_path / "data", Goes(lambda: None), episodes=1)
    assert open_dataset(tmp_path / "data").num_episodes == 2


def test_a_killed_process_of_the_arm_is_told_and_its_arm_holds(controller, tmp_path):
    held = []

    def kill():
        os.kill(rig_of(controller.host), signal.SIGKILL)

    class Looks(Goes):
        def __call__(self, observation):
            held.append(controller.modes())
            return super().__call__(observation)

    with pytest.raises(RobotError, match=r"ended with signal 9; its arms stay as they are: look"):
        record(controller.host, tmp_path / "data", Looks(kill))
    assert held[-1] == {"POSITION"} and controller.modes() == {"POSITION"}
    assert open_dataset(tmp_path / "data").num_episodes == 1
    record(controller.host, tmp_path / "data", Goes(lambda: None), episodes=1)
    assert controller.modes() == {"IDLE"}
    assert open_dataset(tmp_path / "data").num_episodes == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_a_recorder_that_is_killed_leaves_the_arm_idle(controller, tmp_path, eventually, number):
    data = tmp_path / "data"
    recorder = subprocess.Popen(
        [sys.executable, "-m", "serlds.cli", "record", PICK, str(data), "--by", "expert",
         "--episodes", "50", "--cameras", "--env-args", "backend=robot", f"max_steps={STEPS}",
         f"robot={json.dumps(setup(controller.host))}"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert any("2 of 50" in line for line in recorder.stderr)
        eventually(lambda: controller.modes() == {"POSITION"})
        recorder.send_signal(number)
        eventually(lambda: controller.modes() == {"IDLE"})
    finally:
        recorder.kill()
        recorder.communicate()
    kept = open_dataset(data).num_episodes
    assert kept >= 2
    record(controller.host, data, Goes(lambda: None), episodes=1)
    assert open_dataset(data).num_episodes == kept + 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_moves_nothing(env, bad):
    env.reset(seed=0)
    action = STILL.copy()
    action[1] = bad
    before = env.unwrapped.rig.read()
    with pytest.raises(UsageError, match="expected 7 finite numbers"):
        env.step(action)
    after = env.unwrapped.rig.read()
    assert after.command_seq == before.command_seq
    assert not env.step(STILL)[3]


def test_an_action_out_of_range_counts_as_its_end(env):
    env.reset(seed=0)
    info = env.step(100 * STILL + [0, 50, 0, 0, 0, 0, 0])[4]
    np.testing.assert_array_equal(info["step_fields"]["action_requested"], [0, 1, 0, 0, 0, 0, 1])


@pytest.mark.parametrize("push", [[1, 1, 1, 0, 0, 0], [-1, -1, -1, 1, 1, 1], [1, -1, 1, -1, 1, -1]])
def test_poses_that_cannot_be_reached_end_at_the_limits(env, push, controller):
    """The controller faults on any target outside a joint's range."""
    env.reset(seed=0)
    for _ in range(STEPS):
        observation, *_ = env.step(np.array([*push, 1], np.float32))
    assert env.unwrapped.rig.read().mode is RigMode.ACTIVE
    (arm,) = env.unwrapped.rig.config.arms
    where = observation["state"]["tcp_pos"]
    assert (where > np.array(arm.safety.box_lower_m) - 0.01).all()
    assert (where < np.array(arm.safety.box_upper_m) + 0.01).all()


def test_firmware_that_does_not_fit_is_told_before_anything_moves(controller, tmp_path):
    controller.tell(driver_version="1.9")
    with pytest.raises(RobotError, match=r"must match.*update the firmware"):
        record(controller.host, tmp_path / "data", Goes(lambda: None))
    controller.tell(driver_version="1.11")
    assert controller.modes() == {"IDLE"}


def test_an_arm_in_use_is_told_and_goes_on(env, controller, tmp_path):
    env.reset(seed=0)
    with pytest.raises(RobotError, match="no other program using the arm"):
        record(controller.host, tmp_path / "data", Goes(lambda: None))
    env.step(STILL)
    assert env.unwrapped.rig.read().mode is RigMode.ACTIVE


@pytest.fixture
def mouse(tmp_path):
    """Compiles the HID library that plays a SpaceMouse; the variables that make it take part."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc for the HID library")
    name = "libhidapi-hidraw.so.0"
    source, library = HERE / "teleoperation" / "fake_hidapi.c", tmp_path / name
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-w", "-o", library, f"-Wl,-soname,{name}", source],
        check=True,
    )  # fmt: skip
    (tmp_path / "libhidapi-hidraw.so").symlink_to(tmp_path / name)
    os.mkfifo(tmp_path / "mouse")
    return {"LD_LIBRARY_PATH": str(tmp_path), "SERLDS_FAKE_HID": str(tmp_path / "mouse")}


def test_a_mouse_silent_while_deflected_and_then_unplugged_leaves_the_arm_at_rest(
    mouse, controller, tmp_path, eventually
):
    person = subprocess.Popen(
        [sys.executable, str(HERE / "spacemouse_episodes.py"),
         json.dumps(setup(controller.host)), str(tmp_path / "data"), "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **mouse},
    )  # fmt: skip

    def write(report):
        with open(mouse["SERLDS_FAKE_HID"], "wb", buffering=0) as fifo:
            fifo.write(report)

    try:
        assert any("episode 0" in line for line in person.stdout)
        left = struct.pack("<Bhhh", 1, -350, 0, 0)
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:  # then silent, as deflected as it was
            write(bytes([len(left)]) + left.ljust(15, b"\0"))
            time.sleep(0.02)
        assert any("episode 1" in line for line in person.stdout)
        write(b"\xff" * 16)  # unplugged
        _, said = person.communicate(timeout=30)
    finally:
        person.kill()
        person.communicate()
    assert person.returncode == 1 and "spacemouse: it is gone" in said
    eventually(lambda: controller.modes() == {"IDLE"})
    (episode,) = open_dataset(tmp_path / "data").episodes()
    asked, sent = episode["action_requested"][:-1, :6], episode["robot/sent_joint_rad"][:-1]
    moving = np.abs(asked).max(axis=1) > 0
    assert 3 < moving.sum() < len(moving) - 3
    last = int(np.flatnonzero(moving).max())
    np.testing.assert_allclose(sent[last + 4 :], sent[[-1] * len(sent[last + 4 :])], atol=1e-3)
