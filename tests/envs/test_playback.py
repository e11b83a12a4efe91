"""Episodes done again, simulated and through the vendor's driver."""

import re

import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.playback import playback
from serlds.envs.recording import record_episodes

PICK = "serlds/WidowXPickCube-v0"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    dataset = tmp_path_factory.mktemp("data") / "sim"
    record_episodes(PICK, {"cameras": []}, dataset, by="expert", episodes=2, expert_noise=0.3)
    return dataset


def test_a_simulated_episode_is_exactly_what_it_was(simulated):
    result = playback(simulated, 1, speed=1.0)
    assert result.worst_m < 1e-5
    assert result.success
    assert re.match(r"\d+ actions; tools 0.0 mm .*; the task was achieved", str(result))


def test_slower_it_goes_the_same_way(simulated):
    result = playback(simulated, 0, speed=0.5, changes={"max_steps": 200})
    assert 0 < result.mean_m < 0.03


def test_a_robot_follows_its_own_recording(tmp_path):
    robot = {
        "addresses": ["127.0.50.20"], "simulate": True, "success": "lifted", "reset_s": 0.0
    }  # fmt: skip
    given = {"cameras": [], "backend": "robot", "robot": robot, "max_steps": 100}
    record_episodes(PICK, given, tmp_path / "robot", by="expert", episodes=1)
    result = playback(tmp_path / "robot", 0, speed=0.5)
    assert 0 < result.mean_m < 0.02 and result.worst_m < 0.06


def test_a_robot_does_what_was_simulated(simulated):
    robot = {"addresses": ["127.0.50.21"], "simulate": True, "reset_s": 0.0}
    changes = {"backend": "robot", "robot": robot}
    assert playback(simulated, 0, speed=1.0, changes=changes).mean_m < 0.05


@pytest.mark.parametrize(
    ("ordinal", "speed", "message"),
    [(2, 1.0, "has no episode 2; it has 0 to 1"), (0, 1.5, "at most 1"), (0, 0.0, "above 0")],
)
def test_what_cannot_be_played_is_refused(simulated, ordinal, speed, message):
    with pytest.raises(UsageError, match=message):
        playback(simulated, ordinal, speed)
