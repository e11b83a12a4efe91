import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.envs.scene import table_spec
from serlds.hardware import rotations
from serlds.hardware.arm import TOOL_DOWN_QUAT_WXYZ, Mount
from serlds.hardware.franka import FRANKA
from serlds.hardware.headless import mujoco
from serlds.hardware.widowx import WIDOWX

ARMS = [WIDOWX, FRANKA]
each_arm = pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.robot)
# From the middle of the work area.
forward, sideways, heights = st.floats(-0.08, 0.03), st.floats(-0.12, 0.12), st.floats(0.01, 0.12)
yaws, tilts = st.floats(-0.8, 0.8), st.floats(-0.05, 0.05)


def tool_quat(yaw, roll=0.0, pitch=0.0):
    turn = rotations.multiply(
        rotations.quat_of_yaw(yaw), rotations.quat_of_rotvec(np.array([roll, pitch, 0.0]))
    )
    return rotations.multiply(turn, TOOL_DOWN_QUAT_WXYZ)


def place(arm, x, y, z):
    return np.array([arm.work_centre_m[0] + x, arm.work_centre_m[1] + y, z])


def errors(kinematics, joint_rad, pos_m, quat_wxyz):
    """Distance in m and angle in rad between a pose and the pose of joint positions."""
    reached_m, reached_quat = kinematics.forward(joint_rad)
    turn = rotations.multiply(quat_wxyz, rotations.conjugate(reached_quat))
    return np.linalg.norm(pos_m - reached_m), np.linalg.norm(rotations.rotvec_of_quat(turn))


@each_arm
@settings(deadline=None)
@given(x=forward, y=sideways, z=heights, yaw=yaws, roll=tilts, pitch=tilts)
def test_solve_reaches_any_pose_of_the_work_area(arm, x, y, z, yaw, roll, pitch):
    kinematics, pos_m, quat = arm.kinematics(), place(arm, x, y, z), tool_quat(yaw, roll, pitch)
    joint_rad = kinematics.solve(arm.tool_down_joint_rad, pos_m, quat, iterations=60)
    distance_m, angle_rad = errors(kinematics, joint_rad, pos_m, quat)
    assert distance_m < 1e-4
    assert angle_rad < 1e-3


@each_arm
@settings(deadline=None)
@given(x=forward, y=sideways, z=heights, yaw=yaws, step=st.tuples(*[st.floats(-1, 1)] * 4))
def test_two_iterations_follow_the_largest_step_of_an_action(arm, x, y, z, yaw, step):
    kinematics, start_m, quat = arm.kinematics(), place(arm, x, y, z), tool_quat(yaw)
    start = kinematics.solve(arm.tool_down_joint_rad, start_m, quat, iterations=60)
    lower, upper = place(arm, -0.08, -0.12, 0.01), place(arm, 0.03, 0.12, 0.12)
    goal_m = np.clip(start_m + 0.03 * np.array(step[:3]), lower, upper)
    goal_quat = tool_quat(yaw + 0.1 * step[3])
    joint_rad = kinematics.solve(start, goal_m, goal_quat, iterations=2)
    distance_m, angle_rad = errors(kinematics, joint_rad, goal_m, goal_quat)
    assert distance_m < 2e-3
    assert angle_rad < 2e-2


@each_arm
@settings(deadline=None)
@given(pos=st.tuples(*[st.floats(-1, 1)] * 3), yaw=yaws)
def test_solve_respects_joint_limits_even_out_of_reach(arm, pos, yaw):
    kinematics = arm.kinematics()
    joint_rad = kinematics.solve(
        arm.tool_down_joint_rad, np.array(pos), tool_quat(yaw), iterations=30
    )
    assert np.isfinite(joint_rad).all()
    assert (joint_rad >= kinematics.lower_rad).all()
    assert (joint_rad <= kinematics.upper_rad).all()


@each_arm
def test_solve_leaves_its_start_alone(arm):
    start = arm.tool_down_joint_rad.copy()
    arm.kinematics().solve(start, place(arm, 0.0, 0.1, 0.05), tool_quat(0.3), iterations=3)
    np.testing.assert_array_equal(start, arm.tool_down_joint_rad)


@each_arm
def test_kinematics_agree_with_the_simulated_arm(arm):
    model = table_spec((Mount(arm),), arm.workbench, visual=False).compile()
    data = mujoco.MjData(model)
    joint_rad = arm.tool_down_joint_rad + 0.2 * np.sin(np.arange(len(arm.joints)))
    for name, position in zip(arm.joints, joint_rad, strict=True):
        data.joint(f"arm_{name}").qpos = position
    mujoco.mj_forward(model, data)
    pos_m, quat = arm.kinematics().forward(joint_rad)
    np.testing.assert_allclose(pos_m, data.site("arm_tcp").xpos, atol=1e-9)
    axis = rotations.rotate(quat, np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(axis, data.site("arm_tcp").xmat[::3], atol=1e-9)


def test_a_redundant_arm_ends_in_one_posture_whatever_the_way_there():
    kinematics, pos_m, quat = FRANKA.kinematics(), place(FRANKA, 0.02, 0.1, 0.1), tool_quat(0.4)
    ends = []
    for elbow_rad in (-0.5, 0.0, 0.5):
        start = FRANKA.tool_down_joint_rad.copy()
        start[[0, 2]] += elbow_rad, -elbow_rad
        ends.append(kinematics.solve(start, pos_m, quat, iterations=200))
    np.testing.assert_allclose(ends, [ends[0]] * 3, atol=1e-3)
    assert max(errors(kinematics, ends[0], pos_m, quat)) < 1e-4
