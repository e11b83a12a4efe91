"""A person at a device: as the driver who takes over from a policy, and as the one who acts."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from ..datasets.errors import SerldsError, UsageError
from ..hardware.errors import RobotFaultError
from ..hardware.teleoperation.device import STALE_S, TeleopEvent, open_device
from .robot_env import RobotManipulation
from .rollout import Observation


class EpisodeAbandoned(Exception):
    """A person wants the episode in progress again, and not kept."""


class TeleopStopped(SerldsError):
    """A person ends it all."""


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
        self._can_redo = can_redo
        self._device = open_device(name, arms)
        self._has_taken_over = False
        self._gripper = self._wish = np.ones(arms, np.float32)
        if isinstance(self._env, RobotManipulation):
            self._env.watchers.append(self._watch_for_stop)

    def reset(self, seed: int | None = None) -> None:
        """An episode begins: what was told before it does not count."""
        self._wish = self._device.poll().gripper
        self._has_taken_over = False

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
        self._gripper = np.where(has_turned, -self._gripper, self._gripper)
        self._wish = sample.gripper
        is_fresh = sample.age_s <= STALE_S
        if is_fresh and (sample.engaged or self._has_taken_over or has_turned.any()):
            return action_of(sample.motion, self._gripper)
        self._gripper = np.where(np.asarray(proposed)[6::7] > 0, 1.0, -1.0)
        return None

    def watch(self) -> None:
        """Heeds what the person tells without letting them drive; raises as a call does."""
        for event in self._device.poll().events:
            self._heed(event)

    def close(self) -> None:
        """Closes the device."""
        self._device.close()

    def _watch_for_stop(self) -> None:
        if TeleopEvent.STOP in self._device.poll().events:
            self._heed(TeleopEvent.STOP)

    def _heed(self, event: TeleopEvent) -> None:
        if event in (TeleopEvent.TAKEOVER, TeleopEvent.RELEASE):
            self._has_taken_over = event is TeleopEvent.TAKEOVER
        elif event in (TeleopEvent.SUCCESS, TeleopEvent.FAILURE):
            self._env.end(event is TeleopEvent.SUCCESS)
        elif event is TeleopEvent.REDO:
            if self._can_redo:
                raise EpisodeAbandoned
            self._env.end(False)
        elif event is TeleopEvent.STOP:
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
