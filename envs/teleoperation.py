"""A person at a device: as the driver who takes over from a policy, and as the one who acts."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, NoReturn

import gymnasium
import numpy as np

from ..datasets.errors import SerldsError, UsageError
from ..hardware.cartesian import carried
from ..hardware.errors import RobotFaultError
from ..hardware.teleoperation.device import (
    LEADER,
    STALE_S,
    TeleopEvent,
    TeleopSample,
    open_device,
)
from .robot_env import RobotManipulation
from .rollout import Observation

_POLL_S = 0.02


class EpisodeAbandoned(Exception):
    """A person wants the episode in progress again, and not kept."""


class TeleopStopped(SerldsError):
    """A person ends it all."""


class Decision(NamedTuple):
    """What becomes of an episode that has ended."""

    keep: bool
    success: bool


class DeviceDriver:
    """Drives while its device is moved, or from a takeover until the release.

    Success and failure end the episode with the next step. Stop also stops a robot's rig, in FAULT,
    and is heard while its arms go to the start, too.
    """

    def __init__(self, name: str, env: gymnasium.Env, can_redo: bool = False) -> None:
        """Opens the device of a name for `env`, made by `make_env`.

        Args:
          name: of the device.
          env: made by `make_env`.
          can_redo: an episode can be abandoned; where it is learned from already it cannot, and
            redo ends it as a failure.

        Raises:
          UsageError: the device cannot be opened.
        """
        arms, rest = divmod(int(np.prod(env.action_space.shape or ())), 7)
        if rest:
            raise UsageError(f"{env}: its actions are not seven numbers for each arm")
        self._env: Any = env.unwrapped
        if name == LEADER:
            name = f"{LEADER}:{','.join(getattr(self._env, 'leaders', ()))}"
        self._can_redo = can_redo
        self._device = open_device(name, arms)
        self._has_taken_over = False
        self._start: tuple[np.ndarray, list[np.ndarray]] | None = None
        self._gripper = self._wish = np.ones(arms, np.float32)
        if isinstance(self._env, RobotManipulation):
            self._env.watchers.append(self._watch_for_stop)

    def reset(self, seed: int | None = None) -> None:
        """An episode begins: what was told before it does not count."""
        self._wish = self._device.poll().gripper
        self._gripper = np.ones_like(self._gripper)
        self._has_taken_over = False

    def take_over(self) -> None:
        """The person drives from now on, also while they move nothing."""
        self._has_taken_over = True
        self._start = None

    def __call__(self, observation: Observation, proposed: np.ndarray) -> np.ndarray | None:
        """The person's action (7 * arms,) float32 while they drive.

        The grippers stay as in the action `proposed` before, until the device turns one over.

        Raises:
          RobotFaultError: the person stopped a robot.
          EpisodeAbandoned, TeleopStopped: as said there.
          RobotError: the device is gone.
        """
        sample = self._device.poll()
        for event in sample.events:
            self._heed(event)
        has_turned = sample.gripper != self._wish
        # A handle shows what the gripper shall be; a button only that it shall be another.
        turned = -self._gripper if sample.pose is None else sample.gripper
        self._gripper = np.where(has_turned, turned, self._gripper)
        self._wish = sample.gripper
        if sample.engaged or self._has_taken_over or (has_turned.any() and sample.pose is None):
            motion = sample.motion if sample.pose is None else self._follow(sample)
            return action_of(motion, self._gripper)
        self._gripper = np.where(np.asarray(proposed)[6::7] > 0, 1.0, -1.0)
        return None

    def watch(self) -> None:
        """Heeds what the person tells without letting them drive; raises as a call does."""
        for event in self._device.poll().events:
            self._heed(event)

    def decide(self, success: bool, patience_s: float | None) -> Decision:
        """Waits until the person says what becomes of the episode that has ended.

        Success and failure keep it with that verdict, redo does not keep it; a motion that begins
        now keeps it as it is, and so does patience that is over.

        Args:
          success: how the episode was judged.
          patience_s: how long to wait; None: until the person says something.

        Raises:
          RobotFaultError, TeleopStopped, RobotError: as `__call__`.
        """
        began_s = time.monotonic()
        has_rested = False  # what is still held from the episode decides nothing
        while patience_s is None or time.monotonic() - began_s < patience_s:
            sample = self._device.poll()
            for event in sample.events:
                if event is TeleopEvent.STOP:
                    self._stop()
                if event is TeleopEvent.REDO:
                    return Decision(False, success)
                if event in (TeleopEvent.SUCCESS, TeleopEvent.FAILURE):
                    return Decision(True, event is TeleopEvent.SUCCESS)
                if event is TeleopEvent.KEEP:
                    return Decision(True, success)
            if sample.engaged and has_rested:
                return Decision(True, success)
            has_rested |= not sample.engaged
            time.sleep(_POLL_S)
        return Decision(True, success)

    def close(self) -> None:
        """Closes the device."""
        self._device.close()

    def _follow(self, sample: TeleopSample) -> np.ndarray:
        """The motion (6 * arms,) that keeps tools to what hands do with leader arms.

        From the takeover on tools go as far as hands do, so that nothing jumps wherever the leaders
        are. Leaders that were silent for a while start anew.
        """
        assert sample.pose is not None
        arms = self._env.arms
        if sample.age_s > STALE_S:
            self._start = None
            return sample.motion
        hands = sample.pose.reshape(-1, 6)
        if self._start is None:
            self._start = hands, [arm.commanded_pose for arm in arms]
        return np.concatenate(
            [
                arm.motion_to(carried(tool, before, now))
                for arm, before, tool, now in zip(arms, *self._start, hands, strict=True)
            ]
        )

    def _watch_for_stop(self) -> None:
        if TeleopEvent.STOP in self._device.poll().events:
            self._heed(TeleopEvent.STOP)

    def _heed(self, event: TeleopEvent) -> None:
        if event is TeleopEvent.TAKEOVER and not self._has_taken_over:
            self.take_over()
        elif event is TeleopEvent.TAKEOVER:
            self._has_taken_over = False
        elif event in (TeleopEvent.SUCCESS, TeleopEvent.FAILURE):
            self._env.end(event is TeleopEvent.SUCCESS)
        elif event is TeleopEvent.REDO:
            if self._can_redo:
                raise EpisodeAbandoned
            self._env.end(False)
        elif event is TeleopEvent.STOP:
            self._stop()

    def _stop(self) -> NoReturn:
        if rig := getattr(self._env, "rig", None):
            rig.stop()
            raise RobotFaultError("STOPPED by a person; the arms stay until `recover`")
        raise TeleopStopped("stopped by a person")


class TeleopPolicy:
    """A person who acts at every step; what they do not move stands still."""

    def __init__(self, driver: DeviceDriver, arms: int) -> None:
        """Acts as `driver` says."""
        self._driver = driver
        self._still = np.zeros(7 * arms, np.float32)

    def reset(self, seed: int | None = None) -> None:
        """An episode begins, with open grippers."""
        self._driver.reset(seed)
        self._driver.take_over()
        self._still[6::7] = 1.0

    def __call__(self, observation: Observation) -> np.ndarray:
        """The action (7 * arms,) float32; raises as `DeviceDriver`."""
        action = self._driver(observation, self._still)
        if action is None:
            return self._still.copy()
        self._still[6::7] = action[6::7]
        return action


def action_of(motion: np.ndarray, gripper: np.ndarray) -> np.ndarray:
    """Motions (6 * arms,) and grippers (arms,) as an action: (7 * arms,) float32 in [-1, 1]."""
    action = np.concatenate([motion.reshape(-1, 6), gripper[:, None]], axis=1)
    return np.clip(action.ravel(), -1.0, 1.0).astype(np.float32)
