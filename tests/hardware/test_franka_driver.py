"""The Franka driver in a rig against franky-sim: `make franka-test`."""

import signal
import time

import numpy as np
import pytest

from serlds.hardware.errors import RobotError, RobotFaultError
from serlds.hardware.franka import FRANKA
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig
from serlds.hardware.rig_state import Clamp, Fault, RigMode

HOME = FRANKA.tool_down_joint_rad


@pytest.fixture(scope="module")
def robot(new_franka):
    return new_franka("127.0.1.20")


@pytest.fixture(scope="module")
def running_rig(robot, patient):
    with Rig(patient((ArmConfig("franka", robot.host),))) as rig:
        yield rig


@pytest.fixture
def rig(running_rig):
    running_rig.recover()
    running_rig.home()
    return running_rig


def turned(rad):
    return HOME + rad * np.eye(7)[0]


def follow(rig, targets, gripper_m=0.02, period_s=0.05):
    for target in targets:
        rig.wait_for(rig.command([target], [gripper_m], duration_s=period_s))
        time.sleep(period_s)
    return rig.read()


def test_joint_targets_are_followed(rig):
    (arm,) = follow(rig, [turned(0.01 * step) for step in range(30)]).arms
    assert arm.clamps == Clamp.NONE
    np.testing.assert_allclose(arm.sent_joint_rad, turned(0.29), atol=0.02)
    np.testing.assert_allclose(arm.joint_rad, turned(0.29), atol=0.08)
    assert np.isfinite(arm.effort_nm).all()
    assert 0.0 < time.monotonic() - arm.received_s < 1.0


def test_the_hand_opens_and_closes(rig, eventually):
    def gripper_m(wanted_m):
        return abs(follow(rig, [HOME], gripper_m=wanted_m).arms[0].gripper_m - wanted_m) < 0.003

    for wanted_m in (0.0, 0.035, 0.01):
        eventually(lambda wanted_m=wanted_m: gripper_m(wanted_m))


def test_bad_targets_are_refused_or_clipped(rig):
    state = rig.wait_for(rig.command([turned(np.nan)], [0.02]))
    assert state.arms[0].clamps == Clamp.NOT_FINITE
    state = rig.wait_for(rig.command([turned(2.5)], [0.02]))
    assert state.arms[0].clamps == Clamp.JUMP
    follow(rig, [turned(0.1)])
    state = follow(rig, [turned(9.0)])
    assert state.arms[0].clamps & Clamp.JOINT_LIMIT and state.mode is RigMode.ACTIVE


def test_a_second_rig_is_turned_away_and_the_first_goes_on(rig):
    with pytest.raises(RobotError, match="does another program use the robot"):
        Rig(rig.config).start()
    assert follow(rig, [turned(0.05)]).mode is RigMode.ACTIVE


@pytest.mark.parametrize("active", [True, False])
def test_a_frozen_robot_is_a_fault_until_a_person_recovers(rig, robot, eventually, active):
    if active:
        follow(rig, [turned(0.1)])
    robot.send(signal.SIGSTOP)
    state = eventually(lambda: (state := rig.read()).mode is RigMode.FAULT and state)
    assert state.fault in (Fault.STALE_STATE, Fault.CONTROLLER)
    with pytest.raises(RobotFaultError, match="recover"):
        rig.command([HOME], [0.02])
    robot.send(signal.SIGCONT)
    assert rig.recover().mode is RigMode.IDLE
    assert follow(rig, [rig.read().arms[0].joint_rad]).mode is RigMode.ACTIVE


def test_a_software_stop_brings_the_arm_to_rest(rig, eventually):
    follow(rig, [turned(0.02 * step) for step in range(10)])
    rig.stop()
    eventually(lambda: rig.read().fault is Fault.STOPPED)
    eventually(lambda: np.abs(rig.read().arms[0].joint_rad_s).max() < 0.02)


def test_a_wrong_address_is_said(patient):
    pytest.importorskip("franky")
    with pytest.raises(RobotError, match="the address right"):
        Rig(patient((ArmConfig("franka", "127.0.1.99"),))).start()
