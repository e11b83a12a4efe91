"""The state machine of a rig, with simulated arms that can fail and a clock that is set."""

import numpy as np
import pytest

from serlds.hardware.arm_line import ArmLine
from serlds.hardware.drivers.simulated import SimulatedDriver
from serlds.hardware.errors import RobotError
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.rig_loop import RigLoop
from serlds.hardware.rig_slots import Request, command_dtype
from serlds.hardware.rig_state import Clamp, Fault, RigMode
from serlds.hardware.widowx import WIDOWX

PERIOD_S = 0.01
HOME = WIDOWX.tool_down_joint_rad
BASES = ((0.0, 0.25, 0.0), (0.0, -0.25, 0.0))


class FailingDriver(SimulatedDriver):
    """An arm that follows at once and can fail in each way a driver can."""

    def __init__(self):
        super().__init__(WIDOWX, "")
        self.error, self.silent, self.seq, self.sent, self.idle = None, False, 0, None, True
        self.is_free = False

    def read(self):
        self._fail()
        self.seq += not self.silent
        state = super().read()._replace(seq=self.seq)
        if self.sent is None:
            return state
        return state._replace(joint_rad=self.sent[0], gripper_m=self.sent[1])

    def activate(self):
        self._fail()
        self.idle = self.is_free = False

    def free(self):
        self._fail()
        self.is_free = True

    def command(self, joint_rad, gripper_m, period_s):
        self._fail()
        assert not self.idle
        self.sent = (joint_rad, gripper_m)

    def stop(self):
        self.idle, self.is_free = True, False

    def recover(self):
        self._fail()
        self.idle = True

    def _fail(self):
        if self.error:
            raise RobotError(self.error)


class Bench:
    """A rig of failing arms whose time passes in rounds."""

    def __init__(self, arms=1):
        sides = (("left", BASES[0]), ("right", BASES[1])) if arms == 2 else (("", (0.0, 0.0, 0.0)),)
        self.config = RigConfig(
            arms=tuple(ArmConfig("simulated-widowx", name=name, pos_m=pos) for name, pos in sides)
        )
        self.drivers = [FailingDriver() for _ in self.config.arms]
        lines = [
            ArmLine(arm, driver, PERIOD_S)
            for arm, driver in zip(self.config.arms, self.drivers, strict=True)
        ]
        self.loop = RigLoop(self.config, lines)
        self.command = np.zeros(1, command_dtype(self.config))
        self.now_s = 100.0
        self.state = self.loop.connect()

    def ask(self, joint_rad=HOME, gripper_m=0.02, request=Request.FOLLOW, duration_s=0.0):
        self.command["seq"] += 1
        self.command["request"] = request
        self.command["sent_s"] = self.now_s
        self.command["duration_s"] = duration_s
        self.command["joint_rad"] = joint_rad
        self.command["gripper_m"] = gripper_m

    def rounds(self, count=1, period_s=PERIOD_S):
        for _ in range(count):
            self.now_s += period_s
            self.state = self.loop.round(self.now_s, self.command[0])
        return self.state

    def seconds_until(self, mode):
        begin_s = self.now_s
        while self.rounds().mode is not mode:
            assert self.now_s < begin_s + 10.0, f"{self.state.mode!r}, never {mode!r}"
        return self.now_s - begin_s


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def pair():
    return Bench(arms=2)


def test_it_connects_to_idle_and_the_first_command_makes_it_active(bench):
    assert bench.state.mode is RigMode.IDLE and bench.drivers[0].idle
    assert bench.rounds(3).mode is RigMode.IDLE
    bench.ask()
    assert bench.rounds().mode is RigMode.ACTIVE and not bench.drivers[0].idle


def test_an_arm_that_cannot_be_reached_is_named(bench):
    bench.drivers[0].connect = lambda: (_ for _ in ()).throw(RobotError("no route"))
    state = bench.loop.connect()
    assert state.mode is RigMode.DISCONNECTED and state.fault is Fault.CONNECTION
    assert "simulated-widowx" in state.fault_text and "no route" in state.fault_text


def test_it_holds_when_no_command_comes_in_time(bench):
    bench.ask()
    bench.rounds()
    assert bench.seconds_until(RigMode.HOLD) == pytest.approx(0.25, abs=2.5 * PERIOD_S)
    bench.ask()
    assert bench.rounds().mode is RigMode.ACTIVE


def test_refused_commands_do_not_keep_it_active(bench):
    bench.ask()
    bench.rounds()
    for _ in range(30):
        bench.ask(HOME * np.nan)
        bench.rounds()
    assert bench.state.mode is RigMode.HOLD
    assert bench.state.arms[0].clamps == Clamp.NOT_FINITE


def test_a_silent_controller_is_a_fault_in_every_mode(bench):
    bench.drivers[0].silent = True
    assert bench.seconds_until(RigMode.FAULT) == pytest.approx(0.16, abs=1.5 * PERIOD_S)
    assert bench.state.fault is Fault.STALE_STATE
    bench.drivers[0].silent = False
    assert bench.rounds(100).mode is RigMode.FAULT
    bench.loop.recover()
    assert bench.rounds().mode is RigMode.IDLE


def test_a_controller_that_speaks_again_is_stopped_then(bench):
    bench.ask()
    bench.rounds()
    bench.drivers[0].silent = True
    bench.seconds_until(RigMode.FAULT)
    bench.drivers[0].idle = False  # what it was told while it was silent did not arrive
    bench.rounds(5)
    bench.drivers[0].silent = False
    bench.rounds()
    assert bench.state.mode is RigMode.FAULT and bench.drivers[0].idle


def test_a_loop_that_was_held_up_does_not_blame_the_controller(bench):
    bench.drivers[0].silent = True
    assert bench.rounds(2, period_s=5.0).mode is RigMode.IDLE
    assert bench.state.late == 1


def test_an_error_of_the_driver_is_a_fault_and_stops_that_arm_alone(pair):
    pair.ask()
    pair.rounds(10)
    pair.drivers[0].error = "overheated"
    state = pair.rounds()
    assert state.mode is RigMode.FAULT and state.fault is Fault.CONTROLLER
    assert "left arm" in state.fault_text and "overheated" in state.fault_text
    assert pair.drivers[0].idle and not pair.drivers[1].idle
    sent = pair.drivers[1].sent
    pair.ask(HOME + 0.1)
    pair.rounds(50)
    assert pair.drivers[1].sent is sent


def test_recovery_needs_every_arm_and_then_idles_all(pair):
    pair.ask()
    pair.rounds(10)
    pair.drivers[1].error = "overheated"
    pair.rounds()
    pair.loop.recover()
    assert pair.rounds().mode is RigMode.FAULT
    assert "right arm" in pair.state.fault_text and "did not recover" in pair.state.fault_text
    pair.drivers[1].error = None
    pair.loop.recover()
    assert pair.rounds().mode is RigMode.IDLE and pair.drivers[0].idle and pair.drivers[1].idle


def test_a_stop_idles_all_arms_in_any_mode_and_old_commands_do_not_come_back(pair):
    pair.ask()
    pair.rounds()
    pair.loop.stop()
    pair.ask(HOME + 0.1)
    state = pair.rounds()
    assert state.fault is Fault.STOPPED and all(driver.idle for driver in pair.drivers)
    pair.loop.recover()
    assert pair.rounds(20).mode is RigMode.IDLE
    pair.loop.stop()
    assert pair.rounds().mode is RigMode.FAULT


def test_recover_without_a_fault_does_nothing(bench):
    bench.ask()
    bench.rounds()
    bench.loop.recover()
    assert bench.rounds().mode is RigMode.ACTIVE


def test_commands_with_a_duration_go_there_evenly(bench):
    bench.ask(HOME + 0.1, duration_s=0.2)
    middle = bench.rounds(10).arms[0].sent_joint_rad
    np.testing.assert_allclose(middle, HOME + 0.05, atol=0.012)
    bench.ask(HOME + 0.1, duration_s=0.1)
    np.testing.assert_allclose(bench.rounds(12).arms[0].sent_joint_rad, HOME + 0.1, atol=0.005)
    assert bench.state.arms[0].clamps == Clamp.NONE


def test_a_slow_move_lasts_while_it_is_renewed_and_says_when_it_arrived(bench):
    target = HOME + np.array([0.8, 0, 0, 0, 0, 0])
    bench.ask(target, request=Request.MOVE)
    for _ in range(150):
        assert bench.rounds().mode is RigMode.ACTIVE
        bench.command["sent_s"] = bench.now_s
    while bench.state.mode is RigMode.ACTIVE:
        bench.command["sent_s"] = bench.now_s
        bench.rounds()
    assert bench.state.mode is RigMode.HOLD and bench.state.arrived_seq == 1
    np.testing.assert_allclose(bench.state.arms[0].sent_joint_rad, target, atol=2e-3)

    bench.ask(HOME, request=Request.MOVE)
    assert bench.seconds_until(RigMode.HOLD) < 0.3
    bench.command["sent_s"] = bench.now_s
    assert bench.rounds(20).mode is RigMode.HOLD and bench.state.arrived_seq == 1


def test_arms_that_would_meet_are_kept_apart(pair):
    towards = [HOME + np.array([turn, 0, 0, 0, 0, 0]) for turn in (-1.2, 1.2)]
    for _ in range(200):
        pair.ask(towards if pair.state.mode is RigMode.ACTIVE else HOME)
        pair.rounds()
    assert all(arm.clamps & Clamp.ARMS_APART for arm in pair.state.arms)
    kinematics = WIDOWX.kinematics()
    left, right = (
        kinematics.forward(arm.sent_joint_rad)[0] + base
        for arm, base in zip(pair.state.arms, BASES, strict=True)
    )
    assert np.linalg.norm(left - right) >= pair.config.min_distance_m - 1e-6


def test_a_free_arm_needs_no_commands_and_is_watched_as_ever(bench):
    bench.ask()
    bench.rounds()
    bench.ask(request=Request.FREE)
    assert bench.rounds(100).mode is RigMode.FREE and bench.drivers[0].is_free
    assert np.isnan(bench.state.arms[0].sent_joint_rad).all()
    bench.ask()
    assert bench.rounds().mode is RigMode.ACTIVE and not bench.drivers[0].is_free
    bench.ask(request=Request.FREE)
    bench.rounds()
    bench.drivers[0].silent = True
    assert bench.seconds_until(RigMode.FAULT) < 0.2
    assert bench.state.fault is Fault.STALE_STATE and not bench.drivers[0].is_free


def test_an_arm_that_cannot_be_free_says_so(bench):
    bench.drivers[0].free = lambda: (_ for _ in ()).throw(RobotError("not this one"))
    bench.ask(request=Request.FREE)
    assert bench.rounds().mode is RigMode.FAULT
    assert "not this one" in bench.state.fault_text
