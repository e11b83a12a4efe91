"""Actions of a recording as serlds stores them."""

from __future__ import annotations

import numpy as np

from ...datasets.errors import UsageError

# BINARY_GRIPPER_THREASHOLD of SERL's DefaultEnvConfig (sic).
GRIPPER_THRESHOLD = 0.5


def check_gripper(how: str, size: int) -> None:
    """Checks that actions of `size` dimensions can be treated as `how` asks.

    Raises:
      UsageError: they have no gripper dimension, or one already.
    """
    if how in ("open", "closed") and size != 6:
        raise UsageError(f"--gripper {how} adds a dimension to 6-d actions; these have {size}")
    if how in ("flipped", "held") and size % 7:
        raise UsageError(
            f"--gripper {how} changes the seventh dimension; these actions have {size}"
        )


def settle_gripper(actions: np.ndarray, how: str) -> np.ndarray:
    """Actions whose gripper dimension says what `how` asks for; see `check_gripper`.

    Args:
      actions: (N, A) float32; the gripper is the last of each 7 dimensions.
      how: one of `options.GRIPPERS`.

    Returns:
      (N, A) float32, or (N, A + 1) where a constant gripper is added.
    """
    if how == "recorded":
        return actions
    if how in ("open", "closed"):
        constant = np.full((len(actions), 1), 1 if how == "open" else -1, np.float32)
        return np.concatenate([actions, constant], axis=1)
    settled = actions.copy()
    for column in range(6, actions.shape[1], 7):
        values = actions[:, column]
        settled[:, column] = -values if how == "flipped" else held_gripper(values)
    return settled


def held_gripper(commands: np.ndarray) -> np.ndarray:
    """The state that SERL's gripper commands lead to: +1 open, -1 closed.

    The environment closes at -0.5 and less, opens at 0.5 and more, and keeps the gripper as it is
    between; episodes begin with an open gripper (`_send_gripper_command` in
    serl_robot_infra/franka_env/envs/franka_env.py).

    Args:
      commands: (N,).

    Returns:
      (N,) float32.
    """
    state, states = 1.0, np.empty(len(commands), np.float32)
    for step, command in enumerate(commands):
        if abs(command) >= GRIPPER_THRESHOLD:
            state = float(np.sign(command))
        states[step] = state
    return states


def fit_factor(largest: float) -> float:
    """What to divide displacements by so that the largest becomes at most 1."""
    return max(1.0, largest)


def fit(actions: np.ndarray, factor: float) -> np.ndarray:
    """Actions with their displacements divided by `factor`, grippers kept.

    SERL's `RelativeFrame` rotates the operator's command from the base's axes to those of the tool,
    which can make one component larger than 1 although the robot did just that.

    Args:
      actions: (N, A) float32.
      factor: at least 1.
    """
    if factor == 1.0:
        return actions
    size = actions.shape[1]
    arm = 7 if size % 7 == 0 else size
    keep = np.arange(size) % arm >= 6 if arm == 7 else np.zeros(size, bool)
    return np.where(keep, actions, actions / np.float32(factor)).astype(np.float32)
