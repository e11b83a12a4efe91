import numpy as np
import pytest

from serlds.envs.bimanual_lift import LIFT_M, MAX_TILT_RAD
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env, make_expert
from serlds.pipelines.validate import validate

ENV_ID = "serlds/BimanualLift-v0"


def make(**env_args):
    return make_env(ENV_ID, **{"cameras": (), **env_args})


def test_the_action_is_both_arms_in_turn():
    env = make()
    assert env.action_space.shape == (14,)
    env.reset(seed=0)
    before = [tool.pos_m for tool in env.unwrapped.truth().tools]
    for _ in range(3):
        env.step(np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 1], np.float32))
    after = [tool.pos_m for tool in env.unwrapped.truth().tools]
    assert after[0][2] > before[0][2] + 0.01 and after[1][2] < before[1][2] - 0.02


def test_each_arm_sees_its_own_handle_in_its_own_tool():
    env = make()
    observation, _ = env.reset(seed=3)
    truth = env.unwrapped.truth()
    for name, tool, handle in zip(("left", "right"), truth.tools, truth.handles_m, strict=True):
        distance = np.linalg.norm(observation["state"][f"{name}_handle_in_tool"])
        assert distance == pytest.approx(np.linalg.norm(handle - tool.pos_m), abs=1e-4)
    assert truth.handles_m[0][1] > 0.1 and truth.handles_m[1][1] < -0.1


def test_one_arm_alone_does_not_succeed():
    env = make(max_steps=40)
    expert = make_expert(env)
    observation, _ = env.reset(seed=0)
    truncated, heights = False, []
    while not truncated:
        action = expert(observation)
        if env.unwrapped.truth().holds[0]:
            action[:7] = (0, 0, 1, 0, 0, 0, -1)  # the left arm pulls, whatever the other does
        action[7:] = (0, 0, 0, 0, 0, 0, 1)
        observation, reward, terminated, truncated, info = env.step(action)
        heights.append(env.unwrapped.truth().tray_height_m)
        assert (reward, terminated, info["success"]) == (0.0, False, False)
    assert max(heights) > 0.3 * LIFT_M


def test_success_is_high_level_and_held_by_both():
    env = make()
    expert = make_expert(env)
    observation, _ = env.reset(seed=1)
    terminated = False
    while not terminated:
        observation, reward, terminated, truncated, _ = env.step(expert(observation))
        assert not truncated
    truth = env.unwrapped.truth()
    assert reward == 1.0 and all(truth.holds) and truth.tray_height_m > LIFT_M
    assert np.linalg.norm(observation["state"]["tray_rotvec"][:2]) < MAX_TILT_RAD


def test_recordings_validate(tmp_path):
    record_episodes(ENV_ID, {"image_size": 32}, tmp_path / "lift", by="expert", episodes=3)
    report = validate(tmp_path / "lift")
    assert report.exit_code == 0, report.to_text()
