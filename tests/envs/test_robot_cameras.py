"""A task on a simulated arm that sees through a camera, which is lost in an episode."""

import contextlib
import itertools
import os
import signal

import av
import numpy as np
import psutil
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env
from serlds.hardware.errors import CameraError

ENV_ID = "serlds/WidowXPickCube-v0"
STEPS = 6


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """A video in place of the camera: green that becomes brighter, 160 x 120."""
    path = tmp_path_factory.mktemp("video") / "scene.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(60):
            image = np.full((120, 160, 3), [0, 4 * index, 0], np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    robot = {
        "addresses": [f"127.0.{150 + int(worker)}.10"],
        "cameras": {"front": f"opencv:{path}"},
        "success": "lifted",
        "reset_s": 0,
        "simulate": True,
    }
    return {
        "backend": "robot",
        "robot": robot,
        "cameras": ("front",),
        "image_size": 64,
        "max_steps": STEPS,
    }


@pytest.fixture
def started():
    """Gives the processes that were started in the test and still run."""
    before = psutil.Process().children()
    return lambda: [child for child in psutil.Process().children() if child not in before]


def capture_process():
    (found,) = [
        child
        for child in psutil.Process().children()
        if "serlds.hardware.cameras.capture" in child.cmdline()
    ]
    return found


class KillsTheCamera:
    """A policy that stays where it is; in its second episode the camera's process dies."""

    def __init__(self):
        self.episode = self.step = 0

    def reset(self, seed=None):
        self.episode, self.step = self.episode + 1, 0

    def __call__(self, observation):
        self.step += 1
        if (self.episode, self.step) == (2, 3):
            os.kill(capture_process().pid, signal.SIGKILL)
        return np.zeros(7, np.float32)


def test_observations_are_new_pictures_in_the_size_of_the_space(arguments):
    with contextlib.closing(make_env(ENV_ID, **arguments)) as env:
        observation, info = env.reset(seed=0)
        seen = [info["cameras"]["front"]]
        assert env.observation_space.contains(observation)
        for _ in range(STEPS):
            observation, _, _, _, info = env.step(np.zeros(7, np.float32))
            front = info["cameras"]["front"]
            image = observation["image"]["front"]
            assert image.shape == (64, 64, 3)
            assert np.abs(image[..., 1].astype(int) - 4 * ((front["seq"] - 1) % 60)).max() <= 6
            seen.append(front)
        for before, after in itertools.pairwise(seen):
            assert after["is_new"] == (after["seq"] > before["seq"])
            assert 0.0 <= after["age_s"] < 0.5
        assert seen[-1]["seq"] > seen[0]["seq"] + STEPS
        assert seen[-1]["dropped"] == seen[-1]["repeated"] == 0
        for one in seen:
            assert one["device_s"] == pytest.approx((one["seq"] - 1) % 60 / 30)
        child = capture_process()
    assert not child.is_running()


def test_a_camera_lost_in_an_episode_leaves_the_finished_ones_intact(arguments, tmp_path, started):
    policy = KillsTheCamera()
    with pytest.raises(CameraError, match=r"'front' .*signal 9; .*open it again"):
        record_episodes(
            ENV_ID, arguments, tmp_path / "cubes", by="policy", policy=policy, episodes=3
        )
    assert policy.episode == 2
    assert not started(), "arms and cameras were left running"
    dataset = open_dataset(tmp_path / "cubes")
    (episode,) = dataset.episodes()
    assert len(episode) == STEPS + 1
    brightness = episode.pixels("observation/image/front")[..., 1].mean((1, 2))
    assert len(np.unique(brightness.round())) > STEPS // 2
    ages = episode["age_s/image/front"]
    assert ages.shape == (STEPS + 1,) and (ages >= 0).all() and len(np.unique(ages)) > 1
    # The dataset takes further episodes, with a camera that is opened anew.
    result = record_episodes(ENV_ID, arguments, tmp_path / "cubes", by="random", episodes=1)
    assert result.total_episodes == 2


def test_a_camera_that_cannot_be_opened_leaves_nothing_running(arguments, started):
    cameras = {**arguments["robot"]["cameras"], "wrist": "opencv:/no/such/file.mp4"}
    arguments = {**arguments, "cameras": ("front", "wrist")}
    robot = {**arguments["robot"], "cameras": cameras}
    with contextlib.closing(make_env(ENV_ID, **{**arguments, "robot": robot})) as env:
        for _ in range(2):
            with pytest.raises(UsageError, match=r"'wrist' .*is no file"):
                env.reset(seed=0)
            assert not started()
