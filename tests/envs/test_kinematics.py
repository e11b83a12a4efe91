import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.envs import rotations, widowx
from serlds.envs.headless import mujoco

KINEMATICS = widowx.arm_kinematics()
xs, ys, zs = st.floats(0.20, 0.31), st.floats(-0.12, 0.12), st.floats(0.01, 0.12)
yaws, tilts = st.floats(-0.8, 0.8), st.floats(-0.05, 0.05)


def tool_quat(yaw, roll=0.0, pitch=0.0):
    turn = rotations.multiply(
        rotations.quat_of_yaw(yaw), rotations.quat_of_rotvec(np.array([roll, pitch, 0.0]))
    )
    return rotations.multiply(turn, widowx.TOOL_DOWN_QUAT_WXYZ)


def errors(joint_rad, pos_m, quat_wxyz):
    """Distance in m and angle in rad between a pose and the pose of joint positions."""
    reached_m, reached_quat = KINEMATICS.forward(joint_rad)
    turn = rotations.multiply(quat_wxyz, rotations.conjugate(reached_quat))
    return np.linalg.norm(pos_m - reached_m), np.linalg.norm(rotations.rotvec_of_quat(turn))


@settings(deadline=None)
@given(xs, ys, zs, yaws, tilts, tilts)
def test_solve_reaches_any_pose_of_the_work_area(x, y, z, yaw, roll, pitch):
    pos_m, quat = np.array([x, y, z]), tool_quat(yaw, roll, pitch)
    joint_rad = KINEMATICS.solve(widowx.TOOL_DOWN_JOINT_RAD, pos_m, quat, iterations=60)
    distance_m, angle_rad = errors(joint_rad, pos_m, quat)
    assert distance_m < 1e-4
    assert angle_rad < 1e-3


@settings(deadline=None)
@given(xs, ys, zs, yaws, st.tuples(*[st.floats(-1, 1)] * 4))
def test_two_iterations_follow_the_largest_step_of_an_action(x, y, z, yaw, step):
    start_m, quat = np.array([x, y, z]), tool_quat(yaw)
    start = KINEMATICS.solve(widowx.TOOL_DOWN_JOINT_RAD, start_m, quat, iterations=60)
    goal_m = np.clip(start_m + 0.03 * np.array(step[:3]), [0.2, -0.12, 0.01], [0.31, 0.12, 0.12])
    goal_quat = tool_quat(yaw + 0.1 * step[3])
    distance_m, angle_rad = errors(
        KINEMATICS.solve(start, goal_m, goal_quat, iterations=2), goal_m, goal_quat
    )
    assert distance_m < 2e-3
    assert angle_rad < 2e-2


@settings(deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 3), yaws)
def test_solve_respects_joint_limits_even_out_of_reach(pos, yaw):
    joint_rad = KINEMATICS.solve(
        widowx.TOOL_DOWN_JOINT_RAD, np.array(pos), tool_quat(yaw), iterations=30
    )
    assert np.isfinite(joint_rad).all()
    assert (joint_rad >= KINEMATICS.lower_rad).all()
    assert (joint_rad <= KINEMATICS.upper_rad).all()


def test_solve_leaves_its_start_alone():
    start = widowx.TOOL_DOWN_JOINT_RAD.copy()
    KINEMATICS.solve(start, np.array([0.3, 0.1, 0.05]), tool_quat(0.3), iterations=3)
    np.testing.assert_array_equal(start, widowx.TOOL_DOWN_JOINT_RAD)


def test_kinematics_agree_with_the_simulated_arm():
    model = widowx.table_spec(visual=False).compile()
    assert model.joint("joint_0").qposadr[0] == 0
    data = mujoco.MjData(model)
    joint_rad = np.array([0.4, 1.3, 1.1, -0.7, 0.2, -0.9])
    data.qpos[:6] = joint_rad
    mujoco.mj_forward(model, data)
    pos_m, quat = KINEMATICS.forward(joint_rad)
    np.testing.assert_allclose(pos_m, data.site(widowx.TCP_SITE).xpos, atol=1e-9)
    axis = rotations.rotate(quat, np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(axis, data.site(widowx.TCP_SITE).xmat[::3], atol=1e-9)
