"""What recording costs: EnvLogger and the store against the same loop without them.

    python benchmarks/recording.py

Observations (two 128x128 cameras) are captured once from the simulated task and replayed, so that
the rest of the loop costs next to nothing and the difference is the recording. An episode's last
step includes making it durable on the disk. Exit code 1 when a bound is missed.
"""

import copy
import sys
import tempfile
import time
from pathlib import Path

import dm_env
import numpy as np

from serlds.datasets.logger import make_logger
from serlds.datasets.schema import Schema
from serlds.datasets.store import EpisodeStore
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"
STEPS = 100
EPISODES = 20
STEP_BOUND_MS = 2.0
END_BOUND_MS = 25.0


class Replay(dm_env.Environment):
    """Episodes of STEPS actions over captured observations."""

    def __init__(self, captured: GymAsDmEnv, observations: list[dict]):
        self._captured = captured
        self._observations = observations
        self._step = 0

    def reset(self) -> dm_env.TimeStep:
        self._step = 0
        return dm_env.restart(self._observe())

    def step(self, action: np.ndarray) -> dm_env.TimeStep:
        self._step += 1
        if self._step == STEPS:
            return dm_env.termination(np.float32(1), self._observe())
        return dm_env.transition(np.float32(0), self._observe())

    def observation_spec(self):
        return self._captured.observation_spec()

    def action_spec(self):
        return self._captured.action_spec()

    def _observe(self) -> dict:
        return self._observations[self._step % len(self._observations)]


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    gym_env = make_env(ENV_ID, image_size=128)
    captured = GymAsDmEnv(gym_env)
    observations: list[dict] = []

    def capture(timestep: dm_env.TimeStep, _: np.ndarray | None) -> None:
        observations.append(copy.deepcopy(timestep.observation))

    run_episode(captured, make_expert(gym_env), seed=0, on_step=capture)
    schema = Schema.from_spaces(
        gym_env.observation_space, gym_env.action_space, gym_env.unwrapped.field_docs
    )
    bare, recorded = [], []
    with (
        tempfile.TemporaryDirectory() as directory,
        EpisodeStore.open(Path(directory) / "benchmark", schema) as store,
    ):
        loops = Replay(captured, observations), _logger(Replay(captured, observations), store)
        for _ in range(EPISODES):
            # In turns, so that a busy machine slows both.
            for loop, times in zip(loops, (bare, recorded), strict=True):
                times.append(_time_steps(loop))
        megabytes = sum(path.stat().st_size for path in store.directory.glob("*tfrecord*")) / 1e6
    print(f"{EPISODES} episodes of {STEPS} steps, {megabytes / EPISODES:.2f} MB each")
    print(f"{'ms':31s} median     mean      p95")
    # The first episode pays for imports; it is not counted.
    bare_ms, recorded_ms = 1e3 * np.array(bare[1:]), 1e3 * np.array(recorded[1:])
    step = _report("step", bare_ms[:, :-1], recorded_ms[:, :-1], STEP_BOUND_MS)
    end = _report("episode end", bare_ms[:, -1], recorded_ms[:, -1], END_BOUND_MS)
    return 0 if step and end else 1


def _logger(environment: Replay, store: EpisodeStore) -> dm_env.Environment:
    def step_fields(timestep, action, _):
        return {"intervened": False, "language_instruction": "pick up the cube"}

    def metadata(timestep, _):
        return {
            "task": "benchmark",
            "robot": "widowx",
            "collector": "scripted",
            "success": True,
            "seed": 0,
            "control_hz": 10.0,
        }

    return make_logger(environment, store, step_fields, metadata)


def _time_steps(environment: dm_env.Environment) -> list[float]:
    environment.reset()
    action, times = np.zeros(7, np.float32), []
    for _ in range(STEPS):
        begin = time.perf_counter()
        environment.step(action)
        times.append(time.perf_counter() - begin)
    return times


def _report(what: str, bare_ms: np.ndarray, recorded_ms: np.ndarray, bound_ms: float) -> bool:
    """Prints both and whether the difference of the medians keeps to the bound."""
    for name, times_ms in (("without recording", bare_ms), ("recorded", recorded_ms)):
        median, p95 = np.median(times_ms), np.quantile(times_ms, 0.95)
        print(f"{what + ' ' + name:30s} {median:7.3f} {times_ms.mean():8.3f} {p95:8.3f}")
    cost_ms = float(np.median(recorded_ms) - np.median(bare_ms))
    print(f"{what + ' cost':30s} {cost_ms:7.3f}   bound: {bound_ms} ms or less")
    return cost_ms <= bound_ms


if __name__ == "__main__":
    sys.exit(main())
