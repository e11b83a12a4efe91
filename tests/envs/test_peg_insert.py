import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.peg_insert import BLOCK_HEIGHT_M, DEPTH_M, PEG_HALF_M
from serlds.envs.tasks import make_env
from serlds.hardware import rotations
from serlds.hardware.headless import mujoco

ENV_IDS = ["serlds/WidowXPegInsert-v0", "serlds/FrankaPegInsert-v0"]
HOLD = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
LET_GO = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)

each_arm = pytest.mark.parametrize("env_id", ENV_IDS)


def make(env_id, **env_args):
    return make_env(env_id, **{"cameras": (), **env_args})


@each_arm
def test_the_peg_starts_in_the_gripper_and_stays_there(env_id):
    env = make(env_id)
    for seed in range(10):
        env.reset(seed=seed)
        before = env.unwrapped.truth()
        for _ in range(20):
            env.step(HOLD)
        after = env.unwrapped.truth()
        assert before.is_held and after.is_held
        np.testing.assert_allclose(
            after.tip_m - after.tool.pos_m, before.tip_m - before.tool.pos_m, atol=0.001
        )


def test_the_grasp_differs_from_episode_to_episode():
    env = make(ENV_IDS[0])
    grasps = []
    for seed in range(40):
        env.reset(seed=seed)
        truth = env.unwrapped.truth()
        back = rotations.conjugate(truth.tool.quat_wxyz)
        tip_in_tool = rotations.rotate(back, truth.tip_m - truth.tool.pos_m)
        lean = rotations.rotvec_of_quat(rotations.multiply(back, truth.peg_quat_wxyz))
        grasps.append([*tip_in_tool, lean[1]])
    along, opening, across, tilt = np.ptp(grasps, axis=0)
    assert 0.008 < along < 0.013
    assert opening < 0.001  # the fingers hold it in the middle
    assert 0.005 < across < 0.016
    assert 0.08 < tilt < 0.13


@each_arm
def test_an_open_gripper_drops_the_peg_for_good(env_id):
    env = make(env_id)
    env.reset(seed=1)
    for _ in range(15):
        _, reward, terminated, _, info = env.step(LET_GO)
        assert (reward, terminated, info["success"]) == (0.0, False, False)
    truth = env.unwrapped.truth()
    assert not truth.is_held
    assert truth.tip_m[2] < BLOCK_HEIGHT_M


def test_a_peg_beside_the_block_is_not_in_the_hole():
    env = make(ENV_IDS[0])
    env.reset(seed=0)
    task = env.unwrapped
    peg = task.data.joint("peg").qpos
    mouth_m = task.truth().mouth_m
    for aside_m, inserted in ((0.0, True), (0.012, False), (0.1, False)):
        peg[:3] = mouth_m + np.array([0.0, aside_m, PEG_HALF_M[0] - DEPTH_M - 0.002])
        peg[3:] = rotations.quat_of_rotvec(np.array([0.0, np.pi / 2, 0.0]))
        task.measure()
        assert task.is_success() == inserted
        assert (task.truth().depth_m > 0.0) == inserted


def test_pressing_beside_the_hole_neither_breaks_through_nor_flies_off():
    env = make(ENV_IDS[0], spawn_area_m=(0.0, 0.0), yaw_range_rad=0.0)
    env.reset(seed=0)
    task = env.unwrapped
    down = np.array([0, 0, -1, 0, 0, 0, -1], np.float32)
    deepest = 0.0
    for _ in range(40):
        env.step(down)
        block = task.model.body("block").id
        pairs = task.model.geom_bodyid[task.data.contact.geom]
        on_block = (pairs == block).any(axis=1)
        deepest = min(deepest, task.data.contact.dist[on_block].min(initial=0.0))
    assert not task.is_success()
    assert -0.003 < deepest < 0.0
    assert np.abs(task.data.qvel).max() < 1.0


@pytest.mark.parametrize("clearance_m", [0.0008, 0.0015, 0.006])
def test_the_hole_leaves_the_clearance_on_each_side(clearance_m):
    env = make(ENV_IDS[0], clearance_m=clearance_m, yaw_range_rad=0.0)
    env.reset(seed=0)
    task = env.unwrapped
    peg = task.data.joint("peg").qpos
    for axis in (0, 1):
        for side_m, touches in ((clearance_m - 1e-4, False), (clearance_m + 1e-4, True)):
            peg[:3] = task.truth().mouth_m
            peg[axis] += side_m
            peg[3:] = rotations.quat_of_rotvec(np.array([0.0, np.pi / 2, 0.0]))
            mujoco.mj_forward(task.model, task.data)
            pairs = task.model.geom_bodyid[task.data.contact.geom]
            assert (pairs == task.model.body("block").id).any() == touches


@pytest.mark.parametrize(
    ("env_args", "told"),
    [
        ({"clearance_m": 0.0}, "from 0.0005 to 0.01 m"),
        ({"spawn_area_m": (0.2, 0.1)}, "spawn_area_m[0]=0.2"),
        ({"yaw_range_rad": 1.0}, "from 0.0 to"),
        ({"max_steps": 0}, "from 1 to"),
        ({"cameras": ("top",)}, "'front', 'wrist'"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_allowed(env_args, told):
    with pytest.raises(UsageError) as refusal:
        make(ENV_IDS[0], **env_args)
    assert told in str(refusal.value)
