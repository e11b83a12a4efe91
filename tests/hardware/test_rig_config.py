import dataclasses
import sys

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.robots import ROBOTS

LIMITS = ROBOTS["trossen"].limits
SIMULATED = ArmConfig("simulated-widowx")


def test_a_config_reaches_the_rigs_process_as_it_is():
    tight = dataclasses.replace(LIMITS, speed_rad_s=(0.5,) * 6)
    config = RigConfig(
        arms=(
            ArmConfig("trossen", "192.168.1.2", name="left", pos_m=(0.0, 0.25, 0.0)),
            ArmConfig("simulated-widowx", name="right", yaw_rad=0.1, limits=tight),
        ),
        rate_hz=200.0,
    )
    assert RigConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS)
def test_the_home_of_each_robot_is_inside_its_limits(robot):
    home, limits = robot.arm.tool_down_joint_rad, robot.limits
    assert (home > limits.joint_lower_rad).all() and (home < limits.joint_upper_rad).all()
    tool_m, _ = robot.arm.kinematics().forward(home)
    assert (tool_m > limits.box_lower_m).all() and (tool_m < limits.box_upper_m).all()
    assert (np.array(robot.arm.limits.lower_m) >= limits.box_lower_m).all()
    assert (np.array(robot.arm.limits.upper_m) <= limits.box_upper_m).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArmConfig("panda", "10.0.0.1"), "no robot 'panda'.*trossen, .*franka"),
        (lambda: ArmConfig("trossen"), r"no address.*192\.168\.1\.2"),
        (lambda: ArmConfig("franka", "10.0.0.1", limits=LIMITS), "has 7 joints.*6"),
        (lambda: RigConfig(arms=()), "1 to 2 arms, found 0"),
        (lambda: RigConfig(arms=(SIMULATED, SIMULATED)), "names of their own"),
        (lambda: RigConfig(arms=(SIMULATED,), rate_hz=5000.0), "20 to 500 Hz"),
        (lambda: dataclasses.replace(LIMITS, speed_rad_s=(1.0,)), "speed_rad_s has 1 numbers"),
        (lambda: dataclasses.replace(LIMITS, box_upper_m=(0.0, 1.0, 1.0)), r"box_lower_m\[0\]"),
        (lambda: dataclasses.replace(LIMITS, gripper_speed_m_s=0.0), "gripper_speed_m_s is 0.0"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_a_vendors_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "franky", None)
    monkeypatch.delitem(sys.modules, "serlds.hardware.drivers.franka", raising=False)
    with pytest.raises(UsageError, match=r"needs the package franky.*serlds\[franka\]"):
        ROBOTS["franka"].driver("10.0.0.1")


def test_commands_of_a_wrong_shape_are_refused_at_once():
    home = ROBOTS["trossen"].arm.tool_down_joint_rad
    with Rig(RigConfig(arms=(SIMULATED,))) as rig:
        with pytest.raises(UsageError, match=r"shapes \[\(6,\)\].*found \[\(7,\)\]"):
            rig.command([np.zeros(7)], [0.02])
        with pytest.raises(UsageError, match=r"1 gripper positions.* and 2"):
            rig.command([home], [0.02, 0.02])
        with pytest.raises(UsageError, match="duration_s is nan"):
            rig.command([home], [0.02], duration_s=float("nan"))
        with pytest.raises(UsageError, match="started already"):
            rig.start()
        assert rig.read().command_seq == 0
