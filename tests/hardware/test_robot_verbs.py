"""The verbs for a person at a robot, against simulated controllers."""

import re
from importlib.metadata import version

import numpy as np
import pytest

from serlds.cli import main
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig
from serlds.hardware.rig_state import Fault, RigMode
from serlds.hardware.running_rigs import running_rigs
from serlds.hardware.widowx import WIDOWX


@pytest.fixture
def serlds(capfd):
    """Runs a command line; its exit code and all that it printed, on one line."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["robot", *arguments])
        out, err = capfd.readouterr()
        return stop.value.code, " ".join((out + err).split())

    return run


def test_check_of_a_healthy_arm_shows_versions_and_joints(serlds, controller):
    _, text = serlds("check", "--robot", "trossen", "--ip", controller.host)
    # A busy machine may well be told that its loop is uneven.
    for what in ("network", "versions", "posture", "limits"):
        assert re.search(rf"{what} ok", text), text
    assert re.search(r"controller 1\.\d+\.\d+, driver 1\.\d+\.\d+", text)
    assert "joint_3 -1.270" in text
    assert controller.modes() == {"IDLE"}


def test_check_tells_that_firmware_and_driver_do_not_fit(serlds, controller):
    controller.tell(driver_version="1.9")
    code, text = serlds("check", "--ip", controller.host)
    controller.tell(driver_version="1.11")
    assert code == 1 and "must match" in text
    assert f"trossen-arm {version('trossen-arm')} is installed" in text
    assert "update the firmware" in text


def test_check_of_an_address_where_nothing_is_says_what_to_do(serlds):
    code, text = serlds("check", "--ip", "127.0.99.98")
    assert code == 1
    assert "network wrong" in text and "check the cable" in text and "192.168.1.2" in text


def test_check_tells_a_fault_and_recover_clears_it(serlds, controller):
    controller.tell(fault="JOINT_OVERHEATED")
    code, text = serlds("check", "--ip", controller.host)
    assert code == 1 and "connection wrong" in text
    assert f"serlds robot recover --ip {controller.host}" in text
    code, text = serlds("recover", "--ip", controller.host)
    assert code == 0 and "has no error" in text
    _, text = serlds("check", "--ip", controller.host)
    assert "posture ok" in text


def test_home_moves_a_simulated_arm_and_leaves_it(serlds):
    code, text = serlds("home", "--robot", "franka", "--sim")
    assert code == 0
    joints = [float(number) for number in re.findall(r"-?\d+\.\d+", text)]
    assert len(joints) == 7


def test_home_moves_a_trossen_arm_with_a_simulated_controller(serlds, controller):
    host = controller.host.rpartition(".")[0] + ".200"
    code, text = serlds("home", "--robot", "trossen", "--sim", "--ip", host)
    assert code == 0
    joints = [float(number) for number in re.findall(r"-?\d+\.\d+", text)]
    np.testing.assert_allclose(joints[-6:], WIDOWX.tool_down_joint_rad, atol=0.05)


def test_two_simulated_controllers_cannot_share_an_address(serlds, controller):
    code, text = serlds("home", "--sim", "--ip", controller.host)
    assert code == 1 and "Address already in use" in text


def test_stop_and_recover_reach_a_running_rig(serlds, controller, patient, eventually):
    with Rig(patient((ArmConfig("trossen", controller.host),))) as rig:
        rig.wait_for(rig.command([WIDOWX.tool_down_joint_rad], [0.02]))
        # Without --ip these verbs reach all rigs, also those of tests that run at the same time.
        assert rig.pid in [other.pid for other in running_rigs()]
        code, text = serlds("stop", "--ip", controller.host)
        assert code == 0 and f"process {rig.pid}" in text and controller.host in text
        eventually(lambda: rig.read().fault is Fault.STOPPED)
        code, text = serlds("recover", "--ip", controller.host)
        assert code == 0 and f"process {rig.pid}" in text
        eventually(lambda: rig.read().mode is RigMode.IDLE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "there is no address; add --ip"),
        (["home", "--robot", "panda", "--ip", "127.0.0.1"], "there is no robot 'panda'"),
        (["check", "--robot", "simulated-widowx", "--sim"], "leave --sim away"),
    ],
)
def test_wrong_usage_says_what_is_right(serlds, arguments, message):
    code, text = serlds(*arguments)
    assert code == 2 and message in text


def test_check_looks_at_cameras(serlds, tmp_path):
    import av

    path = tmp_path / "scene.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(30):
            image = np.full((48, 64, 3), 8 * index, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    cameras = (f"front=opencv:{path}", "wrist=opencv:/no/such/file.mp4")
    code, text = serlds("check", "--robot", "franka", "--sim", "--cameras", *cameras)
    assert code == 1
    assert re.search(r"camera front ok 64 x 48, \d+\.\d pictures a second", text), text
    assert re.search(r"camera wrist wrong .*is no file", text), text
    code, text = serlds("check", "--robot", "franka", "--sim", "--cameras", "opencv:0")
    assert code == 2 and "expected NAME=SOURCE" in text
