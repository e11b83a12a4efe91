"""What logging to RLDS and sending to replay cost an actor.

Environment and policy in one loop, from the state and from two cameras of 64 x 64, without and with
the RLDS log and the stream to a replay server in another process. CPU time of the acting process
and wall time, best of the repeats. Exit code 1 when either misses the bound. Run it on an otherwise
idle machine.

    python benchmarks/actor_overhead.py
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as `serlds` does, before NumPy loads

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.recording import open_store, record_episodes, recording
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env
from serlds.training.acting import ReadOnce, TransitionStreamer
from serlds.training.child_process import ChildProcess
from serlds.training.policy import unpack_policy
from serlds.training.presets import preset
from serlds.training.replay_client import wait_for_address
from serlds.training.replay_server import choose_port
from serlds.training.replay_tables import ONLINE
from serlds.training.replay_writer import TransitionStream
from serlds.training.run_directory import RunDirectory
from serlds.training.run_policy import ObservationReader
from serlds.training.stopping import StopRequest
from serlds.training.supervisor import create

BOUND = 0.8
ENV_ID = "serlds/WidowXPickCube-v0"
CASES = {
    "state": ("quickstart", {"cameras": []}),
    "pixels": ("pixels", {"cameras": ["front", "wrist"], "image_size": 64}),
}


class Acting:
    """The policy of a fresh run, which samples its actions."""

    def __init__(self, directory: RunDirectory) -> None:
        """Random weights: they cost the same."""
        record = directory.read_record()
        rng = np.random.default_rng(0)
        packed = rng.normal(scale=0.05, size=record.policy_spec.size).astype(np.float32)
        self._policy = unpack_policy(record.policy_spec, packed)
        self.read = ReadOnce(ObservationReader(record.task))
        self._rng = rng

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def __call__(self, observation: dict) -> np.ndarray:
        """Samples an action."""
        seen = self.read(observation)
        return self._policy.sample(seen.state, self._rng, seen.images)


def measure(
    loops: list[Callable[[int], None]], episodes: int, repeats: int
) -> list[tuple[float, float]]:
    """CPU and wall seconds of so many episodes in each loop, by turns; the best of the repeats."""
    best = [(np.inf, np.inf)] * len(loops)
    for _ in range(repeats):
        for index, act in enumerate(loops):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for seed in range(episodes):
                act(seed)
            spent = time.process_time() - cpu_s, time.perf_counter() - wall_s
            best[index] = min(best[index][0], spent[0]), min(best[index][1], spent[1])
    return best


def compare(name: str, place: Path, episodes: int, repeats: int) -> bool:
    """Prints the figures of one case; whether the bound holds."""
    import reverb

    from serlds.training.config import RunConfig

    preset_name, env_args = CASES[name]
    settings = preset("rlpd", preset_name)
    demos = place / f"demos_{name}"
    record_episodes(ENV_ID, env_args, demos, by="expert", episodes=2)
    config = RunConfig(
        algorithm="rlpd",
        agent=settings.agent,
        env_id=ENV_ID,
        env_args=env_args,
        demos=(str(demos / "1.0.0"),),
        schedule=settings.schedule,
        replay=settings.replay,
    )
    directory = create(config, place / f"run-{name}", allow_unvalidated=True)
    acting = Acting(directory)
    arguments = [str(directory.path), "--port", str(choose_port())]
    log = directory.log("replay")
    server = ChildProcess("server", "serlds.training.replay_server", arguments, log, {})
    try:
        client = reverb.Client(wait_for_address(directory, StopRequest()))
        layout = directory.read_session().replay.layout
        stream = TransitionStream(client, ONLINE, layout)
        streamer = TransitionStreamer(stream, layout, acting.read)
        with contextlib.closing(make_env(ENV_ID, **env_args)) as env:
            alone = GymAsDmEnv(env)
            with (
                open_store(env, place / f"log_{name}") as store,
                recording(env, store, lambda: "policy") as logger,
            ):

                def bare(seed: int) -> None:
                    run_episode(alone, acting, seed)

                def whole(seed: int) -> None:
                    streamer.begin(seed)
                    run_episode(logger, acting, seed, on_step=streamer)

                bare(0), whole(0)
                plain, logged = measure([bare, whole], episodes, repeats)
        stream.close()
    finally:
        server.stop(10.0)
    of_cpu, of_wall = plain[0] / logged[0], plain[1] / logged[1]
    print(f"{name}: {plain[0] / episodes / 50 * 1e3:.2f} ms of CPU a step alone, "
          f"{logged[0] / episodes / 50 * 1e3:.2f} with log and replay")  # fmt: skip
    print(f"{name}: with both, of the speed with neither: {of_cpu:.2f} of CPU time, {of_wall:.2f} "
          f"of wall time (bound {BOUND})")  # fmt: skip
    return min(of_cpu, of_wall) >= BOUND


def main() -> int:
    """Runs both cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        kept = [compare(name, Path(place), options.episodes, options.repeats) for name in CASES]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
