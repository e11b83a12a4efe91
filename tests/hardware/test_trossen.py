"""The vendor's own driver in a rig against a simulated controller."""

import time

import numpy as np
import pytest

from serlds.hardware.drivers.trossen import TrossenDriver
from serlds.hardware.errors import RobotError, RobotFaultError
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.rig_state import Clamp, Fault, RigMode
from serlds.hardware.robots import ROBOTS
from serlds.hardware.widowx import WIDOWX

HOME = WIDOWX.tool_down_joint_rad
LIMITS = ROBOTS["trossen"].limits


def turned(rad, joint=0):
    return HOME + rad * np.eye(6)[joint]


def follow(rig, targets, gripper_m=0.02, period_s=0.05):
    """Commands targets one after another as a task does; the state after the last."""
    for target in targets:
        rig.wait_for(rig.command([target], [gripper_m], duration_s=period_s))
        time.sleep(period_s)
    return rig.read()


def test_commands_are_followed_and_told_of(rig):
    state = follow(rig, [turned(0.01 * step) for step in range(25)], gripper_m=0.03)
    (arm,) = state.arms
    assert state.mode is RigMode.ACTIVE
    np.testing.assert_allclose(arm.requested_joint_rad, turned(0.24))
    np.testing.assert_allclose(arm.sent_joint_rad, turned(0.24), atol=0.02)
    np.testing.assert_allclose(arm.joint_rad, turned(0.24), atol=0.06)
    assert arm.gripper_m == pytest.approx(0.03, abs=0.004)
    assert arm.clamps == Clamp.NONE


def test_the_arm_holds_when_commands_stop_and_goes_on_with_the_next(rig, eventually):
    follow(rig, [turned(0.1)])
    eventually(lambda: rig.read().mode is RigMode.HOLD)
    assert follow(rig, [turned(0.12)]).mode is RigMode.ACTIVE
    rig.hold()
    eventually(lambda: rig.read().mode is RigMode.HOLD)


def test_nan_is_refused_and_moves_nothing(rig):
    before = rig.read().arms[0].sent_joint_rad
    state = rig.wait_for(rig.command([turned(np.nan)], [0.02]))
    assert state.mode is RigMode.HOLD and state.arms[0].clamps == Clamp.NOT_FINITE
    assert np.isnan(state.arms[0].requested_joint_rad[0])
    np.testing.assert_allclose(state.arms[0].sent_joint_rad, before, atol=2e-3)


def test_a_first_target_far_away_is_refused(rig):
    state = rig.wait_for(rig.command([turned(2.5)], [0.02]))
    assert state.mode is RigMode.HOLD and state.arms[0].clamps == Clamp.JUMP
    np.testing.assert_allclose(state.arms[0].sent_joint_rad, HOME, atol=2e-3)


def test_a_jump_of_a_moving_arm_is_limited_in_speed(rig):
    before = follow(rig, [turned(0.01)])
    after = follow(rig, [turned(2.5)], period_s=0.2)
    assert after.arms[0].clamps & (Clamp.SPEED | Clamp.WORKSPACE)
    passed_s = (after.loops - before.loops) / rig.config.rate_hz
    moved_rad = after.arms[0].sent_joint_rad - before.arms[0].sent_joint_rad
    assert (np.abs(moved_rad) <= passed_s * np.array(LIMITS.speed_rad_s) + 1e-6).all()
    assert np.abs(moved_rad).max() > 0.05


def test_targets_out_of_range_are_clipped_before_the_controller_sees_them(rig, controller):
    follow(rig, [turned(0.1, joint=3)])
    state = follow(rig, [turned(-3.0, joint=3)] * 8, gripper_m=0.3)
    assert state.arms[0].clamps & Clamp.JOINT_LIMIT
    assert state.arms[0].clamps & Clamp.GRIPPER_LIMIT
    assert state.mode is RigMode.ACTIVE
    assert state.arms[0].sent_joint_rad[3] >= LIMITS.joint_lower_rad[3]


def test_the_tool_stays_in_the_workspace(rig):
    kinematics = WIDOWX.kinematics()
    below = kinematics.solve(HOME, np.array([0.25, 0.0, -0.1]), kinematics.forward(HOME)[1], 50)
    state = follow(rig, [HOME, below, below, below, below, below], period_s=0.2)
    assert state.arms[0].clamps & Clamp.WORKSPACE
    height_m = kinematics.forward(state.arms[0].sent_joint_rad)[0][2]
    assert height_m == pytest.approx(LIMITS.box_lower_m[2], abs=0.004)


def test_a_frozen_controller_is_a_fault_until_a_person_recovers(rig, controller, eventually):
    follow(rig, [turned(0.1)])
    controller.tell(freeze=True)
    state = eventually(lambda: (state := rig.read()).mode is RigMode.FAULT and state)
    assert state.fault is Fault.STALE_STATE and "power and cable" in state.fault_text
    with pytest.raises(RobotFaultError, match=r"STALE_STATE.*recover"):
        rig.command([HOME], [0.02])
    controller.tell(freeze=False)
    time.sleep(0.3)
    assert rig.read().mode is RigMode.FAULT
    assert rig.recover().mode is RigMode.IDLE
    assert rig.home().mode is RigMode.HOLD


def test_a_fault_of_the_controller_is_told_and_cleared(rig, controller, eventually):
    follow(rig, [turned(0.1)])
    controller.tell(fault="JOINT_LIMIT_EXCEEDED")
    state = eventually(lambda: (state := rig.read()).mode is RigMode.FAULT and state)
    assert state.fault is Fault.CONTROLLER and controller.host in state.fault_text
    assert controller.modes() == {"IDLE"}
    assert rig.recover().mode is RigMode.IDLE
    assert follow(rig, [turned(0.1)]).mode is RigMode.ACTIVE


def test_a_software_stop_idles_the_arm_and_stays(rig, controller, eventually):
    follow(rig, [turned(0.1)])
    rig.stop()
    eventually(lambda: controller.modes() == {"IDLE"})
    eventually(lambda: rig.read().fault is Fault.STOPPED)
    with pytest.raises(RobotFaultError, match="STOPPED"):
        rig.home()


def test_a_bad_wire_is_no_fault(rig, controller):
    controller.tell(loss=0.3, delay_s=0.004)
    state = follow(rig, [turned(0.01 * step) for step in range(20)])
    assert state.mode is RigMode.ACTIVE
    np.testing.assert_allclose(state.arms[0].joint_rad, turned(0.19), atol=0.06)


def test_home_is_slow_and_can_be_interrupted(rig, eventually):
    follow(rig, [turned(0.02 * step) for step in range(30)])
    begin_s = time.monotonic()
    rig.home()
    assert time.monotonic() - begin_s > 0.9 * 0.5 / rig.config.home_speed_rad_s
    follow(rig, [turned(0.02 * step) for step in range(30)])
    with pytest.raises(RobotError, match="did not arrive"):
        rig.home(timeout_s=0.2)
    eventually(lambda: rig.read().mode is RigMode.HOLD)
    assert rig.read().arms[0].sent_joint_rad[0] > 0.3


def test_a_second_rig_is_turned_away_and_the_first_goes_on(rig):
    with pytest.raises(RobotError, match="no other program using the arm"):
        Rig(rig.config).start()
    assert follow(rig, [turned(0.05)]).mode is RigMode.ACTIVE


def test_a_wrong_address_is_said_within_seconds():
    begin_s = time.monotonic()
    with pytest.raises(RobotError, match=r"trossen at 127\.0\.99\.99.*the address right"):
        Rig(RigConfig(arms=(ArmConfig("trossen", "127.0.99.99"),))).start()
    assert time.monotonic() - begin_s < 20


def test_a_fault_of_one_arm_holds_the_other(new_controller, patient, eventually):
    left, right = new_controller(), new_controller()
    arms = (
        ArmConfig("trossen", left.host, name="left", pos_m=(0.0, 0.25, 0.0)),
        ArmConfig("trossen", right.host, name="right", pos_m=(0.0, -0.25, 0.0)),
    )
    with Rig(patient(arms)) as rig:
        rig.home()
        for step in range(10):
            rig.wait_for(rig.command([turned(0.02 * step)] * 2, [0.02] * 2, duration_s=0.05))
            time.sleep(0.05)
        left.tell(freeze=True)
        state = eventually(lambda: (state := rig.read()).mode is RigMode.FAULT and state)
        assert "left arm" in state.fault_text
        assert right.modes() == {"POSITION"}
        still = rig.read().arms[1].joint_rad
        time.sleep(0.3)
        np.testing.assert_allclose(rig.read().arms[1].joint_rad, still, atol=0.05)
        left.tell(freeze=False)
        assert rig.recover().mode is RigMode.IDLE
        assert right.modes() == {"IDLE"}


def test_the_driver_alone_tells_versions_and_limits(new_controller):
    controller = new_controller()
    driver = TrossenDriver(WIDOWX, controller.host)
    info = driver.connect()
    assert info.controller_version.split(".")[:2] == info.driver_version.split(".")[:2]
    assert (np.array(LIMITS.joint_lower_rad) >= info.joint_lower_rad - 1e-6).all()
    assert (np.array(LIMITS.joint_upper_rad) <= info.joint_upper_rad).all()
    assert (np.array(LIMITS.speed_rad_s) <= info.speed_rad_s).all()
    driver.close()
    driver.close()
    with pytest.raises(RobotError, match="not connected"):
        driver.read()
