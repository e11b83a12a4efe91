"""How evenly does a task on an arm run, with cameras and a policy, and what does recording cost?

The arm is a simulated controller that the vendor's driver talks to, the two cameras are videos,
each captured by a process of its own; pictures are 128 x 128. At each rate, in the same run:

- a plain loop over the vendor's driver: it writes a target, reads the state, and sleeps;
- the task, with a small convolutional policy;
- the same, recorded.

Of each: how far periods are from what they should be, and how many are missed: longer than they
should be by more than half. A simulated controller needs most of a core, and late periods depend
on what else the machine does: nothing is asked of the figures.

    python benchmarks/robot_loop.py
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import trossen_arm

from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.recording import open_store, recording
from serlds.envs.rollout import Pacer, run_episode
from serlds.envs.tasks import make_env
from serlds.hardware.trossen_sim import SimulatedController

ENV_ID = "serlds/WidowXPickCube-v0"
HOST = "127.0.200.2"
CAMERAS = ("front", "wrist")
SIZE = 128
HIDDEN = 64


class SmallPolicy:
    """Patches of the pictures through one layer, then one more to the action; small motions."""

    def __init__(self) -> None:
        """Draws its weights, and notes when it is asked."""
        rng = np.random.default_rng(0)
        self._patches = rng.normal(0.0, 0.01, (16 * 16 * 3, HIDDEN)).astype(np.float32)
        self._out = rng.normal(0.0, 0.01, (HIDDEN, 7)).astype(np.float32)
        self.asked_s: list[float] = []
        self.took_s: list[float] = []

    def reset(self, seed: int | None = None) -> None:
        """Forgets the times of an earlier episode."""
        self.asked_s, self.took_s = [], []

    def __call__(self, observation: Any) -> np.ndarray:
        """An action (7,) in [-0.1, 0.1]."""
        self.asked_s.append(time.perf_counter())
        hidden = np.zeros(HIDDEN, np.float32)
        for image in observation["image"].values():
            tiles = image.reshape(SIZE // 16, 16, SIZE // 16, 16, 3).swapaxes(1, 2)
            flat = tiles.reshape(-1, 16 * 16 * 3).astype(np.float32) / 255.0
            hidden += np.maximum(flat @ self._patches, 0.0).mean(0)
        action = 0.1 * np.tanh(hidden @ self._out)
        self.took_s.append(time.perf_counter() - self.asked_s[-1])
        return action


def write_video(path: Path) -> None:
    """A camera's view: noise that moves, 640 x 480, 30 pictures a second."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (60, 80, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index in range(60):
            moved = np.ascontiguousarray(np.roll(scene, 5 * index, axis=1))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        file.mux(stream.encode())


def plain_periods_s(rate_hz: float, steps: int) -> np.ndarray:
    """Periods of a loop over the driver alone."""
    driver = trossen_arm.TrossenArmDriver()
    hand = trossen_arm.StandardEndEffector.wxai_v0_follower
    with SimulatedController(HOST) as controller:
        driver.configure(trossen_arm.Model.wxai_v0, hand, controller.host, False, 3.0)
        driver.set_all_modes(trossen_arm.Mode.position)
        here = list(driver.get_all_positions())
        pacer, starts = Pacer(1.0 / rate_hz), []
        pacer.start()
        for _ in range(steps):
            starts.append(time.perf_counter())
            driver.set_all_positions(here, 1.0 / rate_hz, False)
            driver.get_robot_output()
            pacer.wait()
        driver.cleanup()
    return np.diff(starts)


def task_arguments(video: Path, rate_hz: float, steps: int) -> dict[str, Any]:
    """A task on the simulated controller whose cameras are the video."""
    return {
        "backend": "robot",
        "robot": {
            "addresses": [HOST],
            "cameras": dict.fromkeys(CAMERAS, f"opencv:{video}"),
            "success": "person",
            "reset_s": 0,
            "simulate": True,
        },
        "cameras": CAMERAS,
        "image_size": SIZE,
        "control_hz": rate_hz,
        "max_steps": steps,
    }


def task_periods_s(
    arguments: dict[str, Any], dataset: Path | None
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Periods of a task, the policy's own times, and which pictures it saw."""
    policy, pictures = SmallPolicy(), []
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(contextlib.closing(make_env(ENV_ID, **arguments)))
        wrapped: Any = GymAsDmEnv(env)
        if dataset is not None:
            store = stack.enter_context(open_store(env, dataset))
            wrapped = stack.enter_context(recording(env, store, lambda: "policy"))
        run_episode(wrapped, policy, 0, lambda *_: pictures.append(wrapped.info["cameras"]))
    return np.diff(policy.asked_s), np.array(policy.took_s), pictures


def show(name: str, rate_hz: float, periods_s: np.ndarray) -> None:
    """A row of the table."""
    errors_ms = np.abs(periods_s - 1.0 / rate_hz) * 1e3
    p50, p99 = np.quantile(errors_ms, [0.5, 0.99])
    missed = np.count_nonzero(periods_s > 1.5 / rate_hz)
    print(
        f"{rate_hz:4.0f} Hz  {name:22} error [ms] p50 {p50:6.2f}  p99 {p99:6.2f}  largest "
        f"{errors_ms.max():6.2f}  missed {missed} of {len(periods_s)}  in all "
        f"{periods_s.mean() * rate_hz:5.3f} of the time asked for",
        flush=True,
    )


def show_pictures(pictures: list[dict[str, Any]]) -> None:
    """How old pictures were, and how many were seen twice."""
    seen = [one[name] for one in pictures[1:] for name in CAMERAS]
    ages_ms = np.array([one["age_s"] for one in seen]) * 1e3
    p50, p99 = np.quantile(ages_ms, [0.5, 0.99])
    old = sum(not one["is_new"] for one in seen)
    print(f"         pictures: age [ms] p50 {p50:.1f}  p99 {p99:.1f}; {old} of {len(seen)} again")


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[10.0, 20.0, 50.0], help="in Hz")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each loop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        video = Path(directory) / "scene.mp4"
        write_video(video)
        for rate_hz in options.rates:
            print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            steps = round(rate_hz * options.seconds)
            show("driver alone", rate_hz, plain_periods_s(rate_hz, steps))
            arguments = task_arguments(video, rate_hz, steps)
            periods_s, took_s, pictures = task_periods_s(arguments, None)
            show("task", rate_hz, periods_s)
            recorded_s, _, _ = task_periods_s(arguments, Path(directory) / f"at_{rate_hz:.0f}")
            show("task, recorded", rate_hz, recorded_s)
            show_pictures(pictures)
            longer = np.median(recorded_s) - np.median(periods_s)
            print(
                f"         policy p50 {np.median(took_s) * 1e3:.2f} ms; recording makes the median "
                f"period longer by {longer * 1e3:.2f} ms"
            )


if __name__ == "__main__":
    main()
