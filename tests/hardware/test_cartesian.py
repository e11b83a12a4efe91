import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.hardware import rotations
from serlds.hardware.arm import TOOL_DOWN_QUAT_WXYZ
from serlds.hardware.cartesian import CartesianController, carried
from serlds.hardware.widowx import WIDOWX

STEP_M, STEP_RAD = 0.03, 0.1
LIMITS = WIDOWX.limits
KINEMATICS = WIDOWX.kinematics()
actions = st.lists(st.tuples(*[st.floats(-1, 1)] * 6).map(np.array), min_size=1, max_size=15)


def controller_at(pos_m=(0.28, 0.0, 0.1), iterations=2):
    controller = CartesianController(
        KINEMATICS, TOOL_DOWN_QUAT_WXYZ, LIMITS, STEP_M, STEP_RAD, iterations
    )
    joint_rad = KINEMATICS.solve(
        WIDOWX.tool_down_joint_rad, np.array(pos_m), TOOL_DOWN_QUAT_WXYZ, 60
    )
    controller.reset(joint_rad)
    return controller, controller.pose_of(*KINEMATICS.forward(joint_rad))


def commanded_pose(controller, joint_rad):
    return controller.pose_of(*KINEMATICS.forward(joint_rad))


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_action_moves_the_command_by_its_scale_in_the_base_frame(axis, sign):
    controller, start = controller_at(iterations=20)
    delta = sign * np.eye(6)[axis]
    moved = commanded_pose(controller, controller.joint_targets(delta, start)) - start
    expected = delta * np.array([STEP_M] * 3 + [STEP_RAD] * 3)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_rotation_is_about_the_base_axes_when_the_tool_is_already_turned():
    controller, pose = controller_at(iterations=20)
    for _ in range(8):
        pose = commanded_pose(controller, controller.joint_targets(np.eye(6)[5], pose))
    tilted = commanded_pose(controller, controller.joint_targets(np.eye(6)[3], pose))
    turn = rotations.multiply(
        rotations.quat_of_rotvec(tilted[3:]),
        rotations.conjugate(rotations.quat_of_rotvec(pose[3:])),
    )
    np.testing.assert_allclose(rotations.rotvec_of_quat(turn), [STEP_RAD, 0, 0], atol=1e-4)


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_pushing_along_an_axis_ends_at_its_limit(axis, sign):
    controller, pose = controller_at()
    for _ in range(30):
        pose = commanded_pose(controller, controller.joint_targets(sign * np.eye(6)[axis], pose))
    upper = (*LIMITS.upper_m, LIMITS.max_tilt_rad, LIMITS.max_tilt_rad, LIMITS.max_yaw_rad)
    lower = (*LIMITS.lower_m, -LIMITS.max_tilt_rad, -LIMITS.max_tilt_rad, -LIMITS.max_yaw_rad)
    tolerance = 5e-3 if axis < 3 else 2e-2
    assert pose[axis] == pytest.approx((upper if sign > 0 else lower)[axis], abs=tolerance)


@settings(deadline=None, max_examples=50)
@given(actions)
def test_no_sequence_of_actions_leads_far_out_of_the_limits(deltas):
    controller, pose = controller_at()
    for delta in deltas:
        # Repeating each action pushes against the limits.
        for _ in range(4):
            pose = commanded_pose(controller, controller.joint_targets(delta, pose))
    slack_m, slack_rad = 0.08, 0.3  # in the corners the arm trades position against rotation
    assert (pose[:3] >= np.array(LIMITS.lower_m) - slack_m).all()
    assert (pose[:3] <= np.array(LIMITS.upper_m) + slack_m).all()
    assert (np.abs(pose[3:5]) <= LIMITS.max_tilt_rad + slack_rad).all()
    assert abs(pose[5]) <= LIMITS.max_yaw_rad + slack_rad


def test_the_command_does_not_run_away_from_a_blocked_arm():
    controller, start = controller_at()
    for _ in range(20):
        joint_rad = controller.joint_targets(np.array([1.0, 0, 0, 0, 0, 1.0]), start)
    lead = commanded_pose(controller, joint_rad) - start
    assert lead[0] == pytest.approx(LIMITS.max_lead_m, abs=2e-3)
    assert lead[5] == pytest.approx(LIMITS.max_lead_rad, abs=2e-2)


def test_reset_forgets_the_last_command():
    controller, start = controller_at()
    home = KINEMATICS.solve(
        WIDOWX.tool_down_joint_rad, start[:3], TOOL_DOWN_QUAT_WXYZ, iterations=60
    )
    controller.reset(home)
    first = controller.joint_targets(np.ones(6), start).copy()
    controller.joint_targets(np.ones(6), start)
    controller.reset(home)
    np.testing.assert_array_equal(controller.joint_targets(np.ones(6), start), first)


poses = st.tuples(*[st.floats(-0.5, 0.5)] * 3, *[st.floats(-1.0, 1.0)] * 3).map(np.array)


def assert_same_pose(found, expected):
    np.testing.assert_allclose(found[:3], expected[:3], atol=1e-9)
    turns = [rotations.quat_of_rotvec(pose[3:]) for pose in (found, expected)]
    assert abs(np.dot(*turns)) == pytest.approx(1.0, abs=1e-9)


@given(poses, poses, poses, poses)
def test_a_pose_is_carried_along_by_a_motion(pose, before, now, later):
    assert_same_pose(carried(before, before, now), now)
    assert_same_pose(carried(pose, before, before), pose)
    step_by_step = carried(carried(pose, before, now), now, later)
    assert_same_pose(step_by_step, carried(pose, before, later))


@settings(deadline=None, max_examples=30)
@given(poses)
def test_the_delta_to_a_pose_takes_the_command_there_or_to_the_limits(pose):
    controller, measured = controller_at()
    wanted = measured + pose
    for _ in range(40):
        delta = controller.delta_to(wanted)
        assert np.abs(delta).max() <= 1.0
        controller.joint_targets(delta, controller.commanded)  # an arm that follows
    tilt, yaw = LIMITS.max_tilt_rad, LIMITS.max_yaw_rad
    expected = np.clip(
        wanted, (*LIMITS.lower_m, -tilt, -tilt, -yaw), (*LIMITS.upper_m, tilt, tilt, yaw)
    )
    np.testing.assert_allclose(controller.commanded, expected, atol=1e-6)
    assert np.abs(controller.delta_to(wanted)).max() < 1e-4  # at a wall it does not push
