"""The whole loop on arms, for real: simulated controllers behind the vendor's own driver.

Episodes are recorded, checked, cloned, learned from with takeovers, evaluated, played back and
given away by the same commands as a person's. `docs/robots.md` has the long form.
"""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from serlds.datasets.reading import open_dataset

TASKS = {
    "one": ("serlds/WidowXPickCube-v0", ["127.0.52.11"], 4),
    "two": ("serlds/BimanualLift-v0", ["127.0.52.12", "127.0.52.13"], 2),
    "franka": ("serlds/FrankaPickCube-v0", ["127.0.52.14"], 4),
}
PATIENCE_S = 300
READ_WITH_TFDS = """
import sys
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
count = 0
for split in builder.info.splits:
    for episode in builder.as_dataset(split=split):
        steps = list(episode["steps"])
        assert steps[0]["is_first"] and steps[-1]["is_last"] and "action" in steps[0]
        count += 1
print(count)
"""


class Loop:
    """The commands, one after the other, in a directory."""

    def __init__(self, directory, arms):
        self.directory = directory
        self.env_id, addresses, self.episodes = TASKS[arms]
        self.arms = len(addresses)
        robot = {"addresses": addresses, "success": "lifted", "reset_s": 0.0}
        robot["simulate"] = arms != "franka"
        task = ["backend=robot", f"robot={json.dumps(robot)}", "max_steps=100"]
        self.env_args = ["--env-args", *task]

    def serlds(self, command, *arguments):
        """Runs a command of serlds; what it printed."""
        process = subprocess.Popen(
            [sys.executable, "-m", "serlds.cli", *command.split(), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
        )
        try:
            told, errors = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            told, errors = self._ended_by_force(process)
        assert process.returncode == 0, told[-3000:] + errors[-3000:]
        return told

    def _ended_by_force(self, process):
        """Ends a command that hangs; what it printed, and where the threads of its run are."""
        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        for each in processes:
            if "serlds.training" in " ".join(each.cmdline()):
                each.send_signal(signal.SIGQUIT)
        time.sleep(2)
        for each in processes:
            each.kill()
        told, errors = process.communicate()
        for log in sorted(self.directory.glob("runs/*/logs/*.log")):
            errors += f"\n{log}:\n{log.read_text()[-6000:]}"
        pytest.fail(f"still running after {PATIENCE_S} s\n{told}\n{errors}")


@pytest.fixture(scope="module", params=TASKS)
def loop(request, tmp_path_factory):
    """Recorded, validated and cloned."""
    if request.param == "franka":
        request.getfixturevalue("new_franka")(*TASKS["franka"][1])
    loop = Loop(tmp_path_factory.mktemp(request.param), request.param)
    loop.serlds(
        f"record {loop.env_id} data/robot --by expert --expert-noise 0.2 "
        f"--episodes {loop.episodes} --cameras",
        *loop.env_args,
    )
    loop.serlds("validate data/robot")
    loop.serlds(
        "train bc --preset quickstart --demos data/robot --out runs/bc "
        "--agent.network.hidden-dims 64 64 --schedule.offline-updates 60"
    )
    return loop


def test_recordings_are_whole_and_successful(loop):
    episodes = list(open_dataset(loop.directory / "data/robot").episodes())
    assert [episode.success for episode in episodes] == [True] * loop.episodes
    for episode in episodes:
        assert np.isfinite(episode["robot/sent_joint_rad"][:-1]).all()


def test_a_cloned_policy_acts_on_the_arms(loop):
    told = loop.serlds("eval runs/bc --episodes 2")
    assert re.search(r"success [\d.]+% \(\d of 2 episodes", told)


def test_an_episode_is_played_back(loop):
    told = loop.serlds("playback data/robot 0 --speed 1")
    found = re.search(r"(\d+) actions; tools ([\d.]+) mm from the recorded places", told)
    episode = open_dataset(loop.directory / "data/robot").episode(0)
    assert int(found[1]) == episode.num_transitions
    assert float(found[2]) < 30


def test_a_recording_is_exported_like_any_other(loop):
    actions = "as_is" if loop.arms == 2 else "flat"
    loop.serlds(f"export rtx data/robot rtx --actions {actions}")
    command = [sys.executable, "-c", READ_WITH_TFDS, str(loop.directory / "rtx/1.0.0")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == loop.episodes


def test_a_policy_learns_with_takeovers_on_the_arms(loop):
    loop.serlds(
        "train rlpd --preset quickstart --demos data/robot --out runs/rlpd --intervene expert "
        "--agent.bc-pretrain-updates 50 --schedule.env-steps 60 "
        "--schedule.evaluation-interval-steps 0"
    )
    loop.serlds("validate runs/rlpd/episodes")
    lines = (loop.directory / "runs/rlpd/metrics-actor.jsonl").read_text().splitlines()
    shares = [json.loads(line)["train/intervened_share"] for line in lines]
    assert 0 < np.mean(shares) < 1
    driven = [
        episode["intervened"][:-1].mean()
        for episode in open_dataset(loop.directory / "runs/rlpd/episodes").episodes()
    ]
    np.testing.assert_allclose(driven, shares, atol=1e-6)
