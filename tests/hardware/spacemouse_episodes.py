"""Records the episodes of a person at a SpaceMouse: `spacemouse_episodes.py ROBOT DATASET COUNT`.

ROBOT is the arms' setup as JSON.
"""

import contextlib
import json
import sys

from serlds.datasets.errors import SerldsError
from serlds.envs.recording import open_store, recording
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env
from serlds.envs.teleoperation import DeviceDriver, TeleopPolicy


def main(robot, dataset, count):
    task = {"backend": "robot", "robot": json.loads(robot), "cameras": [], "max_steps": 25}
    with contextlib.ExitStack() as opened:
        env = opened.enter_context(contextlib.closing(make_env("serlds/WidowXPickCube-v0", **task)))
        driver = opened.enter_context(contextlib.closing(DeviceDriver("spacemouse", env)))
        store = opened.enter_context(open_store(env, dataset))
        logger = opened.enter_context(recording(env, store, lambda: "teleop"))
        policy = TeleopPolicy(driver, 1)
        for seed in range(int(count)):

            def on_step(timestep, action, seed=seed):
                if action is None:
                    print(f"episode {seed}", flush=True)

            run_episode(logger, policy, seed, on_step)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except SerldsError as error:
        sys.exit(f"error: {error}")
