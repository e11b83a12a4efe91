import os
import subprocess
import sys

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"


@pytest.fixture(scope="module")
def episode():
    """Observations of an expert's episode, first to last."""
    env = make_env(ENV_ID)
    expert = make_expert(env)
    observations, over = [env.reset(seed=3)[0]], False
    while not over:
        observation, _, over, _, _ = env.step(expert(observations[-1]))
        observations.append(observation)
    env.close()
    return observations


def red_pixels(image):
    """Rows and columns (N, 2) of the pixels that only the cube can have."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return np.argwhere((red > 90) & (red > 2 * green) & (red > 2 * blue))


def test_gymnasium_accepts_the_task_with_cameras(recwarn):
    env = make_env(ENV_ID, render_mode="rgb_array").unwrapped
    check_env(env)
    env.close()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_cameras_see_arm_table_and_cube(episode, camera):
    image = episode[0]["image"][camera]
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.uint8
    assert 30 < len(red_pixels(image)) < 0.2 * 128 * 128
    brightness = image.mean(axis=-1)
    assert (brightness < 70).mean() > 0.03  # the arm is black
    assert (brightness > 140).mean() > 0.2  # table and sky are light


def test_the_front_camera_sees_the_cube_rise(episode):
    rows = [red_pixels(step["image"]["front"])[:, 0].mean() for step in (episode[0], episode[-1])]
    assert rows[1] < rows[0] - 15


def test_the_wrist_camera_sees_the_cube_between_the_fingers(episode):
    held = red_pixels(episode[-1]["image"]["wrist"])
    assert len(held) > 3 * len(red_pixels(episode[0]["image"]["wrist"]))
    assert abs(held[:, 1].mean() - 64) < 10


def test_a_cube_anywhere_in_the_widest_area_is_in_the_front_picture():
    env = make_env(ENV_ID, cameras=("front",), spawn_area_m=(0.08, 0.15))
    seen = [len(red_pixels(env.reset(seed=seed)[0]["image"]["front"])) for seed in range(30)]
    env.close()
    assert min(seen) > 20


def test_pictures_repeat_with_the_seed():
    images = []
    for _ in range(2):
        env = make_env(ENV_ID, cameras=("wrist",), image_size=64)
        images.append(env.reset(seed=5)[0]["image"]["wrist"])
        env.close()
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize(
    ("cameras", "size", "shape"),
    [(("wrist",), 64, (64, 64, 3)), (("front", "wrist"), [48, 80], (48, 80, 3))],
)
def test_spaces_follow_cameras_and_size(cameras, size, shape):
    env = make_env(ENV_ID, cameras=cameras, image_size=size)
    spaces = env.observation_space["image"].spaces
    assert {name: space.shape for name, space in spaces.items()} == dict.fromkeys(cameras, shape)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert "cube_pos" not in observation["state"]
    env.close()


def test_cameras_do_not_change_the_physics(episode):
    env = make_env(ENV_ID, cameras=(), object_state=False)
    expert = make_expert(env)
    observation, _ = env.reset(seed=3)
    for expected in episode[1:]:
        observation = env.step(expert(observation))[0]
        for name, value in expected["state"].items():
            np.testing.assert_array_equal(observation["state"][name], value)


def test_render_gives_the_front_view_also_without_cameras():
    env = make_env(ENV_ID, cameras=(), render_mode="rgb_array", render_size=96)
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    assert len(red_pixels(picture)) > 10
    env.close()


@pytest.mark.parametrize("backend", ["off", "no-such-backend"])
def test_without_opengl_state_works_and_cameras_say_what_to_do(backend):
    code = """
from serlds.datasets.errors import SerldsError
from serlds.envs.tasks import make_env
env = make_env("serlds/WidowXPickCube-v0", cameras=())
env.reset(seed=0)
env.step(env.action_space.sample())
env.close()
print("state works")
try:
    make_env("serlds/WidowXPickCube-v0").reset(seed=0)
except SerldsError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MUJOCO_GL": backend},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("state works\npictures cannot be rendered")
    assert f"MUJOCO_GL={backend!r}" in run.stdout
    assert "libegl1 libgl1-mesa-dri" in run.stdout
    assert "cameras=()" in run.stdout
