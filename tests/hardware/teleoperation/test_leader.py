"""Leader arms: the vendor's own driver on controllers whose simulated arms a hand moves."""

import contextlib
import os
import pty
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.takeover import make_driver
from serlds.envs.tasks import make_env
from serlds.envs.teleop_recording import record_teleoperation
from serlds.hardware.errors import RobotError
from serlds.hardware.teleoperation.device import open_device
from serlds.hardware.teleoperation.keyboard import TERMINAL_VARIABLE

PICK = "serlds/WidowXPickCube-v0"
HOME = np.array([0.0, 1.25, 0.95, -1.27, 0.0, 0.0, 0.02])


class Hand:
    """A hand on a leader arm."""

    def __init__(self, controller):
        self.controller = controller
        self.host = controller.host
        self._lock = threading.Lock()

    def put(self, **joints):
        """At home but for some joints; `handle` is the seventh."""
        there = HOME.copy()
        for name, value in joints.items():
            there[6 if name == "handle" else int(name[-1])] = value
        self.tell(hand=there.tolist())

    def joints(self):
        return np.array(self.tell(report=True)["joints"])

    def modes(self):
        return set(self.tell(report=True)["modes"])

    def tell(self, **settings):
        with self._lock:
            return self.controller.tell(**settings)


@pytest.fixture(scope="module")
def hands(new_controller):
    return [Hand(new_controller()) for _ in range(2)]


@pytest.fixture
def hand(hands):
    hands[0].tell(freeze=False)
    hands[0].put()
    return hands[0]


@pytest.fixture
def leader(hand):
    with contextlib.closing(open_device(f"leader:{hand.host}")) as device:
        yield device


class Screen:
    """Does something half a second after the recording has begun."""

    def __init__(self, *acts):
        self.acts = acts
        self.seen = []

    def state(self, name, text):
        self.seen.append(name)
        if name == "RECORDING":
            threading.Thread(target=self._act, daemon=True).start()

    def _act(self):
        for act in self.acts:
            time.sleep(0.5)
            act()

    def progress(self, text):
        self.seen.append(text)

    def note(self, text):
        self.seen.append(text)


def leave(hand, turn_rad, eventually):
    """The hand moves the arm, which only a device frees, and leaves it there."""
    with contextlib.closing(open_device(f"leader:{hand.host}")):
        hand.put(joint_0=turn_rad)
        eventually(lambda: abs(hand.joints()[0] - turn_rad) < 0.02)


def test_a_leader_can_be_moved_and_tells_where_it_is(leader, hand, eventually):
    assert hand.modes() == {"EXTERNAL_EFFORT"}
    before = leader.poll()
    assert before.age_s < 0.2 and not before.engaged and not before.motion.any()
    hand.put(joint_0=0.4)
    eventually(lambda: abs(hand.joints()[0] - 0.4) < 0.02)
    time.sleep(0.1)
    after = leader.poll()
    assert after.pose[5] - before.pose[5] == pytest.approx(0.4, abs=0.03)  # its yaw
    assert after.pose[2] == pytest.approx(before.pose[2], abs=0.01)
    assert after.pose[1] - before.pose[1] > 0.05
    hand.put(handle=0.0)
    eventually(lambda: leader.poll().gripper.tolist() == [-1])
    hand.put(handle=0.022)  # between: as before
    time.sleep(0.3)
    assert leader.poll().gripper.tolist() == [-1]
    hand.put(handle=0.044)
    eventually(lambda: leader.poll().gripper.tolist() == [1])
    leader.close()
    assert hand.modes() == {"IDLE"}


def test_a_leader_that_falls_silent_is_noticed(leader, hand, eventually):
    hand.tell(freeze=True)

    def problem():
        try:
            leader.poll()
        except RobotError as error:
            return str(error)

    assert "nothing came from the controller" in eventually(problem)
    hand.tell(freeze=False)
    eventually(lambda: hand.modes() == {"IDLE"})


def test_recorded_tools_go_as_the_hand_does_from_where_both_are(hand, tmp_path, eventually):
    leave(hand, 0.5, eventually)  # far from where the tool starts
    screen = Screen(
        lambda: hand.put(joint_0=0.25), lambda: hand.put(joint_0=0.25, handle=0.0), lambda: None
    )
    result = record_teleoperation(
        PICK,
        {"cameras": [], "control_hz": 20, "max_steps": 70},
        tmp_path / "led",
        by=f"leader:{hand.host}",
        episodes=1,
        screen=screen,
        decide_s=0.0,
        seed=3,
    )
    assert result.total_episodes == 1 and screen.seen[:2] == ["RESET", "RECORDING"]
    assert hand.modes() == {"IDLE"}
    (episode,) = open_dataset(tmp_path / "led").episodes()
    actions = episode["action"][:-1]
    assert np.abs(actions[:5, :6]).max() < 0.2  # nothing jumps
    assert np.abs(actions).max() <= 1 and np.asarray(episode["intervened"])[:-1].all()
    tool = episode["observation/state/tcp_pos"]
    turn = episode["observation/state/tcp_rotvec"]
    # The hand turned about the base by -0.25 rad, 0.25 to 0.3 m away from it.
    assert turn[-1][2] - turn[0][2] == pytest.approx(-0.25, abs=0.04)
    assert -0.1 < tool[-1][1] - tool[0][1] < -0.03
    assert actions[0, 6] == 1 and actions[-1, 6] == -1


def test_a_robot_follows_the_leaders_of_its_setup(hands, hand, tmp_path, eventually):
    follower = "127.0.51.20"
    leave(hand, -0.4, eventually)
    robot = {
        "addresses": [follower],
        "leaders": [hand.host],
        "simulate": True,
        "reset_s": 0.0,
    }
    screen = Screen(lambda: hand.put(joint_0=-0.2), lambda: None)
    record_teleoperation(
        PICK,
        {"cameras": [], "max_steps": 30, "backend": "robot", "robot": robot},
        tmp_path / "led",
        by="leader",
        episodes=1,
        screen=screen,
        decide_s=0.0,
        seed=3,
    )
    (episode,) = open_dataset(tmp_path / "led").episodes()
    turn = episode["observation/state/tcp_rotvec"]
    assert turn[-1][2] - turn[2][2] == pytest.approx(0.2, abs=0.06)
    assert np.ptp(episode["robot/sent_joint_rad"][:-1, 0]) > 0.1
    assert hand.modes() == {"IDLE"}


def test_who_presses_t_takes_over_from_a_policy_and_lets_go(hand, monkeypatch, eventually):
    keys, terminal = pty.openpty()
    monkeypatch.setenv(TERMINAL_VARIABLE, os.ttyname(terminal))
    with (
        contextlib.closing(make_env(PICK, cameras=[], control_hz=20)) as env,
        contextlib.closing(make_driver(f"leader:{hand.host}", env)) as driver,
    ):
        proposed = np.array([0.3, 0, 0, 0, 0, 0, -1], np.float32)
        observation, _ = env.reset(seed=0)
        driver.reset(0)

        def act():
            nonlocal observation
            action = driver(observation, proposed)
            observation = env.step(proposed if action is None else action)[0]
            time.sleep(0.05)
            return action

        def driven():
            actions = []
            eventually(lambda: actions.append(act()) or actions[-1] is not None)
            return actions[-1]

        hand.put(joint_0=0.3)
        eventually(lambda: abs(hand.joints()[0] - 0.3) < 0.02)
        assert act() is None  # a hand that moves does not drive yet
        os.write(keys, b"t")
        action = driven()
        assert np.abs(action[:6]).max() < 0.2 and action[6] == -1  # the gripper as it was
        hand.put(joint_0=0.1)
        eventually(lambda: act()[5] < -0.3)
        hand.put(joint_0=0.1, handle=0.044)
        os.write(keys, b"t")
        eventually(lambda: act() is None)
        hand.put(joint_0=0.3, handle=0.044)  # where the hand goes meanwhile does not count
        eventually(lambda: abs(hand.joints()[0] - 0.3) < 0.02)
        os.write(keys, b"t")
        action = driven()
        assert np.abs(action[:6]).max() < 0.2
    for fd in (keys, terminal):
        os.close(fd)
    assert hand.modes() == {"IDLE"}


def test_leaders_are_left_idle_when_their_process_is_killed(hand, eventually):
    code = (
        "import sys, time\n"
        "from serlds.hardware.teleoperation.device import open_device\n"
        "device = open_device(sys.argv[1])\n"
        "print(device.poll().pose.shape, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"leader:{hand.host}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "(6,)\n"
    assert hand.modes() == {"EXTERNAL_EFFORT"}
    process.kill()
    process.communicate()
    eventually(lambda: hand.modes() == {"IDLE"})


def test_a_pair_of_leaders_for_a_pair_of_arms(hands, eventually):
    for number, one in enumerate(hands):
        one.put(joint_0=0.2 * number)
    with contextlib.closing(open_device(f"leader:{hands[0].host},{hands[1].host}", 2)) as leaders:
        eventually(lambda: abs(leaders.poll().pose[11] - leaders.poll().pose[5] - 0.2) < 0.03)
        assert leaders.poll().gripper.shape == (2,)
        assert leaders.poll().events == ()


@pytest.mark.parametrize(
    ("name", "arms", "message"),
    [
        ("leader", 1, "found 0 addresses; say leader:192.168.1.3, or give `leaders`"),
        ("leader:127.0.51.9", 2, "the task has 2 arms, found 1 addresses"),
        ("keyboard:127.0.51.9", 1, "there is no device 'keyboard:127.0.51.9'"),
    ],
)
def test_leaders_that_cannot_be_are_refused(name, arms, message):
    with pytest.raises(UsageError, match=message):
        open_device(name, arms)


def test_a_leader_that_is_not_there_is_named():
    with pytest.raises(RobotError, match=r"leader arm \(trossen-leader at 127.0.51.98\)"):
        open_device("leader:127.0.51.98")
