"""State-only environments against bare `mj_step` of the same model, controls and substeps.

    python benchmarks/env_speed.py [TASK ...]

Exit code 1 when an environment makes under half of the bare steps per second, or when an image of
128x128 pixels costs over 5 ms. Times are CPU times of this process, the best of several rounds.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from serlds.datasets.errors import SerldsError
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import Policy, RandomPolicy, run_episode
from serlds.envs.tasks import env_arguments, make_env, make_expert, task_ids
from serlds.hardware.headless import mujoco

BOUND = 0.5
IMAGE_BOUND_MS = 5.0
EPISODES = 40
ROUNDS = 7
IMAGES = 100
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="by default all of them")
    kept = True
    for env_id in parser.parse_args().tasks or task_ids():
        print(env_id)
        ratios = [_compare(env_id, by) for by in ("random", "expert")]
        image_ms = _worst_image_ms(env_id)
        kept &= min(ratios) >= BOUND and image_ms <= IMAGE_BOUND_MS
    return 0 if kept else 1


def _compare(env_id: str, by: str) -> float:
    """Prints and returns the ratio over episodes of random actions (little contact) or of the
    expert (much of it in contact, where physics is slower)."""
    env = make_env(env_id, cameras=(), max_steps=30)
    random = RandomPolicy(env.action_space.shape[0])
    policy = make_expert(env, noise=0.2) if by == "expert" else random
    actions = [_actions(env, policy, seed) for seed in range(EPISODES)]
    replays = [_controls(env, seed, act) for seed, act in enumerate(actions)]
    steps = sum(map(len, actions))

    def environment() -> float:
        return sum(_time_env(env, seed, act) for seed, act in enumerate(actions))

    def bare() -> float:
        time_bare = _bare_timer(env.unwrapped)
        return sum(time_bare(start, controls) for start, controls in replays)

    env_s, bare_s = _best_of(environment, bare)
    print(f"  {by} actions, {steps} steps")
    print(f"    environment, state only {steps / env_s:8.0f} steps/s {1e6 * env_s / steps:6.0f} us")
    print(
        f"    bare mj_step (baseline) {steps / bare_s:8.0f} steps/s {1e6 * bare_s / steps:6.0f} us"
    )
    print(f"    ratio                   {bare_s / env_s:8.2f}         bound: {BOUND} or more")
    return bare_s / env_s


def _actions(env, policy: Policy, seed: int) -> list[np.ndarray]:
    actions: list[np.ndarray | None] = []
    run_episode(GymAsDmEnv(env), policy, seed, lambda _, action: actions.append(action))
    return actions[1:]


def _controls(env, seed: int, actions: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The simulator's state at the start and the control vector of each step."""
    model, data = env.unwrapped.model, env.unwrapped.data
    env.reset(seed=seed)
    start = np.empty(mujoco.mj_stateSize(model, _STATE))
    mujoco.mj_getState(model, data, start, _STATE)
    controls = []
    for action in actions:
        env.step(action)
        controls.append(data.ctrl.copy())
    return start, controls


def _time_env(env, seed: int, actions: list[np.ndarray]) -> float:
    env.reset(seed=seed)
    begin = time.process_time()
    for action in actions:
        env.step(action)
    return time.process_time() - begin


def _bare_timer(task) -> Callable[[np.ndarray, list[np.ndarray]], float]:
    model, substeps = task.model, task.substeps
    data = mujoco.MjData(model)

    def run(start: np.ndarray, controls: list[np.ndarray]) -> float:
        mujoco.mj_setState(model, data, start, _STATE)
        mujoco.mj_forward(model, data)
        begin = time.process_time()
        for control in controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data, substeps)
        return time.process_time() - begin

    return run


def _best_of(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """The least time of each; they take turns, so that a busy machine slows both."""
    times = [(first(), second()) for _ in range(ROUNDS)]
    return min(t for t, _ in times), min(t for _, t in times)


def _worst_image_ms(env_id: str) -> float:
    """Prints what an image of each camera costs; 0 where nothing can be rendered."""
    worst_ms, without = 0.0, make_env(env_id, cameras=())
    for camera in env_arguments(env_id)["cameras"]:
        with_camera = make_env(env_id, cameras=(camera,))
        try:
            slow_s, fast_s = _best_of(_idle_timer(with_camera), _idle_timer(without))
        except SerldsError as error:
            print(f"  image: {error}")
            return 0.0
        image_ms = 1e3 * (slow_s - fast_s) / IMAGES
        print(f"  image 128x128, {camera:14s} {image_ms:6.2f} ms bound: {IMAGE_BOUND_MS} or less")
        worst_ms = max(worst_ms, image_ms)
        with_camera.close()
    return worst_ms


def _idle_timer(env) -> Callable[[], float]:
    def run() -> float:
        env.reset(seed=0)
        idle = np.zeros(env.action_space.shape, np.float32)
        begin = time.process_time()
        for _ in range(IMAGES):
            env.step(idle)
        return time.process_time() - begin

    return run


if __name__ == "__main__":
    sys.exit(main())
