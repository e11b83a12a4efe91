"""What becomes of the arms when processes die; the vendor's own driver, a simulated controller."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from serlds.hardware.errors import RobotError
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.rig_state import Clamp, Fault, RigMode
from serlds.hardware.widowx import WIDOWX

HOME = WIDOWX.tool_down_joint_rad
COMMANDER = """
import sys, time
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.widowx import WIDOWX
rig = Rig(RigConfig(arms=(ArmConfig("trossen", sys.argv[1]),), stale_state_s=1.0))
rig.start()
rig.wait_for(rig.command([WIDOWX.tool_down_joint_rad], [0.02]))
print(rig.pid, flush=True)
while True:
    rig.command([WIDOWX.tool_down_joint_rad], [0.02])
    time.sleep(0.02)
"""


@pytest.fixture
def config(controller, patient):
    return patient((ArmConfig("trossen", controller.host),))


@pytest.fixture
def commander(controller):
    """A process that commands an arm, and the process of its rig."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMANDER, controller.host], stdout=subprocess.PIPE, text=True
    )
    yield process, int(process.stdout.readline())
    process.kill()
    process.communicate()


def activate(rig):
    rig.wait_for(rig.command([HOME], [0.02]))


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_arm_is_left_idle_when_the_commanding_process_dies(
    commander, controller, eventually, kill
):
    process, rig_pid = commander
    assert controller.modes() == {"POSITION"}
    process.send_signal(kill)
    eventually(lambda: controller.modes() == {"IDLE"})
    eventually(lambda: not psutil.pid_exists(rig_pid))


def test_sigterm_leaves_the_arm_idle_and_ends_the_rig_well(config, controller, eventually):
    with Rig(config) as rig:
        activate(rig)
        process = psutil.Process(rig.pid)
        process.terminate()
        eventually(lambda: controller.modes() == {"IDLE"})
        with pytest.raises(RobotError, match="ended with code 0"):
            eventually(lambda: rig.read() and False)


def test_a_killed_rig_is_told_and_can_be_started_again(config, controller, eventually):
    rig = Rig(config)
    rig.start()
    activate(rig)
    os.kill(rig.pid, signal.SIGKILL)
    with pytest.raises(RobotError, match=r"ended with signal 9.*look at them"):
        eventually(lambda: rig.command([HOME], [0.02]) and False)
    assert controller.modes() == {"POSITION"}  # the controller goes on holding
    rig.close()
    assert rig.start().mode is RigMode.IDLE
    assert controller.modes() == {"IDLE"}
    activate(rig)
    rig.close()
    rig.close()
    assert controller.modes() == {"IDLE"}
    with pytest.raises(RobotError, match="not running"):
        rig.read()


def test_a_rig_that_hangs_is_told(config, eventually):
    with Rig(config) as rig:
        os.kill(rig.pid, signal.SIGSTOP)
        with pytest.raises(RobotError, match="has done nothing for"):
            eventually(lambda: rig.read() and False)
        os.kill(rig.pid, signal.SIGCONT)


def test_signals_stop_and_recover_as_the_verbs_send_them(config, controller, eventually):
    with Rig(config) as rig:
        activate(rig)
        os.kill(rig.pid, signal.SIGUSR1)
        eventually(lambda: rig.read().fault is Fault.STOPPED)
        eventually(lambda: controller.modes() == {"IDLE"})
        os.kill(rig.pid, signal.SIGUSR2)
        eventually(lambda: rig.read().mode is RigMode.IDLE)


def test_a_killed_controller_is_a_fault(new_controller, patient, eventually):
    controller = new_controller()
    with Rig(patient((ArmConfig("trossen", controller.host),))) as rig:
        activate(rig)
        controller.close()
        state = eventually(lambda: (state := rig.read()).mode is RigMode.FAULT and state)
        assert state.fault in (Fault.CONTROLLER, Fault.STALE_STATE)
        with pytest.raises(RobotError, match="did not recover"):
            rig.recover()


def test_a_pair_of_simulated_arms_needs_no_controller(eventually):
    arms = (
        ArmConfig("simulated-widowx", name="left", pos_m=(0.0, 0.25, 0.0)),
        ArmConfig("simulated-widowx", name="right", pos_m=(0.0, -0.25, 0.0)),
    )
    with Rig(RigConfig(arms=arms, stale_command_s=1.0)) as rig:
        seq = rig.command([HOME, HOME + 0.05], [0.02, 0.04], duration_s=0.1)
        eventually(lambda: np.allclose(rig.read().arms[1].sent_joint_rad, HOME + 0.05))
        state = rig.read()
        assert state.command_seq == seq and state.arms[1].clamps == Clamp.NONE
        np.testing.assert_allclose(state.arms[0].joint_rad, HOME, atol=0.02)


def test_a_commander_held_up_in_the_middle_of_a_command_makes_the_arm_hold(eventually):
    with Rig(RigConfig(arms=(ArmConfig("simulated-widowx"),))) as rig:
        activate(rig)
        rig._command._count += np.uint64(1)  # as it is while a command is written
        eventually(lambda: rig.read().mode is RigMode.HOLD)
        rig.stop()
        eventually(lambda: rig.read().fault is Fault.STOPPED)
        rig._command._count += np.uint64(1)
        assert rig.recover().mode is RigMode.IDLE
        activate(rig)


def test_a_slow_move_goes_on_after_its_commander_was_held_up():
    with Rig(RigConfig(arms=(ArmConfig("simulated-widowx"),))) as rig:
        held_up = iter([0.6])
        state = rig.move_to([HOME + 0.2], [0.02], on_wait=lambda: time.sleep(next(held_up, 0.0)))
        np.testing.assert_allclose(state.arms[0].joint_rad, HOME + 0.2, atol=0.05)
        with pytest.raises(RobotError, match="interrupted by another command"):
            rig.move_to([HOME], [0.02], on_wait=rig.hold)
