import numpy as np
import pytest

from serlds.envs.tasks import make_env, make_expert
from serlds.hardware import rotations
from serlds.hardware.franka import FRANKA, LINKS


@pytest.mark.parametrize(
    ("joint_rad", "tcp_m", "out_of_gripper", "opens_along"),
    [
        (
            [0, -np.pi / 4, 0, -3 * np.pi / 4, 0, np.pi / 2, np.pi / 4],
            [0.306891, 0.0, 0.486882],
            [0.0, 0.0, -1.0],
            [0.0, 1.0, 0.0],
        ),
        (
            [0.3, -0.5, 0.4, -2.0, -0.6, 1.9, 1.2],
            [0.397389, 0.252166, 0.6269],
            [0.686369, -0.315489, -0.655259],
            [-0.137304, 0.828586, -0.542764],
        ),
        (
            [-1.1, 0.8, -0.7, -1.3, 1.5, 2.7, -0.4],
            [-0.025264, -0.856317, 0.360581],
            [0.15432, -0.833068, -0.531209],
            [0.982729, 0.184991, -0.004623],
        ),
    ],
)
def test_the_tool_is_where_the_model_of_the_mujoco_menagerie_has_it(
    joint_rad, tcp_m, out_of_gripper, opens_along
):
    """Numbers from fr3.xml as franky-sim 1.0.4 ships it, tool 0.1034 m beyond its hand's frame."""
    pos_m, quat = FRANKA.kinematics().forward(np.array(joint_rad))
    np.testing.assert_allclose(pos_m, tcp_m, atol=1e-6)
    for axis, expected in (([1.0, 0, 0], out_of_gripper), ([0, 1.0, 0], opens_along)):
        np.testing.assert_allclose(rotations.rotate(quat, np.array(axis)), expected, atol=1e-6)


def test_links_weigh_what_franka_publishes():
    env = make_env("serlds/FrankaPickCube-v0", cameras=()).unwrapped
    body = env.model.body("arm_base")
    assert env.model.body_subtreemass[body.id] == pytest.approx(15.495 + 0.6544 + 2 * 0.0291, 1e-4)
    # A body's principal moments of inertia are possible ones.
    for moments in env.model.body_inertia[1:-1]:
        assert moments.max() <= moments.sum() - moments.max() + 1e-9


def test_the_arm_holds_still_where_it_is_told():
    env = make_env("serlds/FrankaPickCube-v0", cameras=())
    before = env.reset(seed=0)[0]["state"]["tcp_pos"]
    for _ in range(20):
        after = env.step(np.array([0, 0, 0, 0, 0, 0, 1.0]))[0]["state"]["tcp_pos"]
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_joints_stay_within_the_published_speeds_and_torques():
    env = make_env("serlds/FrankaPickCube-v0", cameras=(), control_hz=50, max_steps=300)
    task, expert = env.unwrapped, make_expert(env, noise=0.3)
    fastest, strongest = np.zeros(7), np.zeros(7)
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            observation, _, over, truncated, _ = env.step(expert(observation))
            over |= truncated
            fastest = np.maximum(fastest, np.abs(task.data.qvel[:7]))
            strongest = np.maximum(strongest, np.abs(task.data.actuator_force[:7]))
    assert (fastest < [link.max_speed_rad_s for link in LINKS]).all()
    assert (strongest <= [link.max_torque_nm for link in LINKS]).all()


def test_a_picture_has_more_shapes_but_the_same_physics():
    plain, pretty = (FRANKA.spec(visual).compile() for visual in (False, True))
    assert pretty.ngeom > plain.ngeom
    np.testing.assert_array_equal(pretty.body_mass, plain.body_mass)
    assert (plain.geom_conaffinity == 1).all()
    assert (pretty.geom_conaffinity == 1).sum() == plain.ngeom
