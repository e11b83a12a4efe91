"""Doing again what an episode has recorded, on the simulation or on the robot."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import keys
from ..datasets.episode import Episode
from ..datasets.errors import SchemaError, UsageError
from ..datasets.reading import open_dataset
from .robot_env import RobotManipulation
from .tasks import make_env, task_of

_TCP = "tcp_pos"


@dataclasses.dataclass(frozen=True)
class PlaybackResult:
    """How near the tools came to where they were recorded.

    Attributes:
      steps: actions that were done again.
      mean_m: mean distance of the tools from the recorded places, after each action.
      worst_m: the largest.
      success: the task was achieved at the end, where it was not simply played.
    """

    steps: int
    mean_m: float
    worst_m: float
    success: bool

    def __str__(self) -> str:
        return (
            f"{self.steps} actions; tools {1000 * self.mean_m:.1f} mm from the recorded places on "
            f"average, {1000 * self.worst_m:.1f} mm at most"
            + ("; the task was achieved" if self.success else "")
        )


def playback(
    dataset: str | Path, ordinal: int, speed: float = 0.25, changes: Mapping[str, Any] | None = None
) -> PlaybackResult:
    """Does an episode again in the task that it was recorded in, from a slow move to its start.

    What a robot recorded is played as the joint targets that it was sent; all else as its actions,
    each in equal parts, one control period long, where it shall be slower.

    Args:
      dataset: where it is.
      ordinal: of the episode.
      speed: above 0, at most 1 of the recorded speed.
      changes: arguments of the task that shall be others than recorded, e.g. `backend`, `robot`.

    Raises:
      UsageError: no such episode or task, or a speed out of range.
      RobotError: the robot cannot be reached or went into FAULT.
    """
    if not 0.0 < speed <= 1.0:
        raise UsageError(f"speed {speed}: expected above 0, at most 1")
    found = open_dataset(dataset)
    if not 0 <= ordinal < found.num_episodes:
        raise UsageError(
            f"{found.directory}: has no episode {ordinal}; it has 0 to {found.num_episodes - 1}"
        )
    origin = found.provenance
    if not origin or not origin.env_id:
        raise UsageError(f"{found.directory}: does not say in which task it was recorded")
    episode = found.episode(ordinal)
    blind = {"cameras": [], "object_state": False, "reward": "sparse"}
    arguments = {**origin.env_args, **blind, **(changes or {})}
    with contextlib.closing(make_env(origin.env_id, **arguments)) as env:
        seed = int(episode.metadata.get(keys.SEED, -1))
        env.reset(seed=seed if seed >= 0 else None)
        inner = env.unwrapped
        if isinstance(inner, RobotManipulation) and keys.SENT_JOINTS in episode.columns:
            states, success = _joints_again(inner, episode, speed), False
            places = [state for state, _ in states]
        else:
            states = list(_actions_again(env, episode, max(round(1.0 / speed), 1)))
            places, success = [state for state, _ in states], states[-1][1]
    away_m = _distances(places, episode)
    return PlaybackResult(len(places), float(away_m.mean()), float(away_m.max()), success)


def _actions_again(env: Any, episode: Episode, parts: int) -> Iterator[tuple[dict[str, Any], bool]]:
    """State and success after each recorded action, done in so many parts."""
    actions = np.asarray(episode[keys.ACTION])[:-1]
    success = False
    for action in actions:
        part = action / parts
        part[6::7] = action[6::7]  # a gripper's command is no motion
        for _ in range(parts):
            observation, _, terminated, truncated, info = env.step(part.astype(np.float32))
            success = bool(info["success"])
            if terminated or truncated:
                break
        yield observation[keys.STATE], success
        if terminated or truncated:
            return


def _joints_again(
    env: RobotManipulation, episode: Episode, speed: float
) -> list[tuple[dict[str, Any], bool]]:
    """The state after each joint target that a robot was sent; it moves slowly to the first."""
    rig, mounts = env.rig, [arm.mount for arm in env.arms]
    assert rig is not None  # it was reset
    targets = np.asarray(episode[keys.SENT_JOINTS], float)[:-1]
    wanted = sum(len(mount.arm.joints) for mount in mounts)
    if targets.shape[1] != wanted:
        raise SchemaError(
            f"{keys.SENT_JOINTS} has {targets.shape[1]} joints, the robot {wanted}: another robot"
        )
    ends = np.cumsum([len(mount.arm.joints) for mount in mounts])[:-1]
    openings = 0.5 * (np.asarray(episode[keys.ACTION])[:-1, 6::7] + 1.0)
    fingers = openings * [mount.arm.finger_travel_m for mount in mounts]
    rig.move_to(np.split(targets[0], ends), fingers[0])
    period_s, states = 1.0 / (task_of(env).control_hz * speed), []
    due_s = time.monotonic()
    for joints, finger_m in zip(targets, fingers, strict=True):
        command = rig.command(np.split(joints, ends), finger_m, period_s)
        due_s += period_s
        # Slower than a command lasts: the same one again keeps the rig following.
        while (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(left_s, env.renew_s))
            if left_s > env.renew_s:
                command = rig.command(np.split(joints, ends), finger_m, left_s - env.renew_s)
        state = rig.wait_for(command)
        for arm, report in zip(env.arms, state.arms, strict=True):
            arm.measure(report)
        states.append((env.twin.state_of(env.arms), False))
    return states


def _distances(states: list[dict[str, Any]], episode: Episode) -> np.ndarray:
    """Of every tool from where it was recorded, after each action: (N * arms,) m."""
    names = [name for name in states[0] if name.endswith(_TCP)]
    parts = []
    for name in names:
        recorded = np.asarray(episode[keys.STATE_PREFIX + name])[1 : len(states) + 1]
        parts.append(np.linalg.norm([state[name] for state in states] - recorded, axis=1))
    return np.concatenate(parts)
