"""Pure functions that keep an arm's commands safe; each tells what it clamped.

A command passes `flaws_of`, `clip_to_limits` and `into_box` once, when it comes. The motion towards
it passes `limit_motion`, `keep_in_box` and, for two arms, `keep_apart` in every period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from . import rotations
from .kinematics import ArmKinematics
from .rig_state import Clamp
from .safety_limits import SafetyLimits

BOX_TOLERANCE_M = 0.002
"""How far the tool may leave its box: the way along a wall is only nearly straight."""
NEGLIGIBLE_RAD = 0.02
"""Lagging behind by less, as every start of a motion does, is not worth a report."""

_BOX_ITERATIONS = 8
_STEP_ITERATIONS = 2
_SEARCH_STEPS = 6


class Motion(NamedTuple):
    """What an arm is sent in one period."""

    joint_rad: np.ndarray
    """(n,)."""
    joint_rad_s: np.ndarray
    """(n,) the speeds that led there."""
    gripper_m: float


class Box(NamedTuple):
    """Where the point between the finger tips may be, in the frame of the arm's base."""

    lower_m: np.ndarray
    """(3,)."""
    upper_m: np.ndarray
    """(3,)."""

    @classmethod
    def of(cls, limits: SafetyLimits) -> Box:
        """The whole box."""
        return cls(np.array(limits.box_lower_m), np.array(limits.box_upper_m))

    def floor(self) -> Box:
        """Only the floor of the box: what holds on the way home."""
        lower = np.array([-np.inf, -np.inf, self.lower_m[2]])
        return Box(lower, np.full(3, np.inf))

    def outside_m(self, pos_m: np.ndarray) -> float:
        """Distance of a point (3,) from the box; 0 inside."""
        return float(np.linalg.norm(pos_m - np.clip(pos_m, self.lower_m, self.upper_m)))


def flaws_of(
    joint_rad: np.ndarray, gripper_m: float, standing_rad: np.ndarray | None, jump_rad: float
) -> Clamp:
    """Why a target must be refused as a whole; NONE if it need not be.

    Args:
      joint_rad: (n,) the target.
      gripper_m: its gripper.
      standing_rad: (n,) where the arm is if it stands still; None while it moves.
      jump_rad: the largest distance of a joint from there.
    """
    if not (np.isfinite(joint_rad).all() and np.isfinite(gripper_m)):
        return Clamp.NOT_FINITE
    if standing_rad is not None and np.abs(joint_rad - standing_rad).max() > jump_rad:
        return Clamp.JUMP
    return Clamp.NONE


def clip_to_limits(
    joint_rad: np.ndarray, gripper_m: float, limits: SafetyLimits
) -> tuple[np.ndarray, float, Clamp]:
    """The nearest target inside the ranges of the joints and of the gripper."""
    clipped = np.clip(joint_rad, limits.joint_lower_rad, limits.joint_upper_rad)
    finger_m = min(max(gripper_m, 0.0), limits.gripper_upper_m)
    clamps = Clamp.JOINT_LIMIT if (clipped != joint_rad).any() else Clamp.NONE
    if finger_m != gripper_m:
        clamps |= Clamp.GRIPPER_LIMIT
    return clipped, finger_m, clamps


def into_box(
    joint_rad: np.ndarray, limits: SafetyLimits, box: Box, kinematics: ArmKinematics
) -> tuple[np.ndarray, Clamp]:
    """A target (n,) whose tool is in the box where it was not: the arm slides along the wall.

    Where no such posture is near, the result may still be outside: `keep_in_box` has the last word.
    """
    pos_m, quat_wxyz = kinematics.forward(joint_rad)
    if box.outside_m(pos_m) <= BOX_TOLERANCE_M / 2:
        return joint_rad, Clamp.NONE
    inside_m = np.clip(pos_m, box.lower_m, box.upper_m)
    solved = kinematics.solve(joint_rad, inside_m, quat_wxyz, _BOX_ITERATIONS)
    return np.clip(solved, limits.joint_lower_rad, limits.joint_upper_rad), Clamp.WORKSPACE


def limit_motion(
    last: Motion, joint_rad: np.ndarray, gripper_m: float, limits: SafetyLimits, period_s: float
) -> tuple[Motion, Clamp]:
    """One period towards a target, at limited speed and acceleration, without overshoot.

    The speed is at most the one from which the joint can still stop at the target: over the
    distance d, in n periods of T that each take the change c of the speed away, that is
    d / (n T) + (n - 1) c / 2 with the smallest n for which n (n + 1) / 2 >= d / (c T).
    """
    most = np.array(limits.speed_rad_s)
    change = np.array(limits.acceleration_rad_s2) * period_s
    distance = joint_rad - last.joint_rad
    to_go = np.abs(distance) / period_s
    periods = np.maximum(np.ceil((np.sqrt(1 + 8 * to_go / change) - 1) / 2), 1.0)
    to_stop = to_go / periods + (periods - 1) * change / 2
    wanted = np.sign(distance) * np.minimum(to_stop, most)
    speed = np.clip(wanted, last.joint_rad_s - change, last.joint_rad_s + change)
    reached = last.joint_rad + speed * period_s

    clamps = Clamp.NONE
    behind = np.abs(joint_rad - reached) > NEGLIGIBLE_RAD
    if behind.any():
        at_most = behind & (np.abs(speed) >= most * (1 - 1e-9))
        clamps |= Clamp.SPEED if at_most.any() else Clamp.NONE
        clamps |= Clamp.ACCELERATION if (behind & ~at_most).any() else Clamp.NONE

    step_m = limits.gripper_speed_m_s * period_s
    finger_m = last.gripper_m + min(max(gripper_m - last.gripper_m, -step_m), step_m)
    return Motion(reached, speed, finger_m), clamps


def keep_in_box(
    last: Motion,
    motion: Motion,
    target_rad: np.ndarray,
    box: Box,
    kinematics: ArmKinematics,
    period_s: float,
) -> tuple[Motion, Clamp]:
    """As much of a step as leaves the tool in the box, or no farther outside than it is.

    A step that leads out is replaced by one on the tool's straight way to the pose of `target_rad`
    (n,), which stays inside. To only shorten the step would keep an arm at the wall for ever where
    its joints' way leads out although its target is inside.
    """
    pos_m, quat_wxyz = kinematics.forward(last.joint_rad)
    allowed_m = max(BOX_TOLERANCE_M, box.outside_m(pos_m))

    def is_good(joint_rad: np.ndarray) -> bool:
        return box.outside_m(kinematics.forward(joint_rad)[0]) <= allowed_m

    if is_good(motion.joint_rad):
        return motion, Clamp.NONE
    goal_m, goal_wxyz = kinematics.forward(target_rad)
    most_rad = np.abs(motion.joint_rad - last.joint_rad).max()
    share = min(1.0, most_rad / max(np.abs(target_rad - last.joint_rad).max(), most_rad))
    turn = rotations.multiply(goal_wxyz, rotations.conjugate(quat_wxyz))
    turn = rotations.quat_of_rotvec(share * rotations.rotvec_of_quat(turn))
    towards_m = pos_m + share * (np.clip(goal_m, box.lower_m, box.upper_m) - pos_m)
    straight = kinematics.solve(
        last.joint_rad, towards_m, rotations.multiply(turn, quat_wxyz), _STEP_ITERATIONS
    )
    step = straight - last.joint_rad
    step *= most_rad / max(np.abs(step).max(), most_rad)
    part = _largest_part(lambda part: is_good(last.joint_rad + part * step))
    instead = motion._replace(joint_rad=last.joint_rad + step)
    return _part_of(last, instead, part, period_s), Clamp.WORKSPACE


def keep_apart(
    last: Sequence[Motion],
    motions: Sequence[Motion],
    distance_m: Callable[[Sequence[np.ndarray]], float],
    least_m: float,
    period_s: float,
) -> tuple[tuple[Motion, ...], Clamp]:
    """As much of the step of two arms as leaves them apart, or no nearer than they are.

    Args:
      last: what both were sent last.
      motions: what they are to be sent.
      distance_m: of the arms at the joint positions of both.
      least_m: what the distance must be.
      period_s: of the loop.
    """
    reached_m = distance_m([motion.joint_rad for motion in motions])
    if reached_m >= least_m:
        return tuple(motions), Clamp.NONE
    allowed_m = min(least_m, distance_m([motion.joint_rad for motion in last]))
    if reached_m >= allowed_m:
        return tuple(motions), Clamp.NONE

    def enough(part: float) -> bool:
        between = [
            old.joint_rad + part * (new.joint_rad - old.joint_rad)
            for old, new in zip(last, motions, strict=True)
        ]
        return distance_m(between) >= allowed_m

    part = _largest_part(enough)
    shorter = (_part_of(old, new, part, period_s) for old, new in zip(last, motions, strict=True))
    return tuple(shorter), Clamp.ARMS_APART


def polyline_distance_m(first_m: np.ndarray, second_m: np.ndarray) -> float:
    """Smallest distance between two chains of straight links, (N, 3) and (M, 3) points."""
    # Ericson, "Real-Time Collision Detection", 2005, section 5.1.9, for all pairs of links at once.
    start_a, way_a = first_m[:-1, None], np.diff(first_m, axis=0)[:, None]
    start_b, way_b = second_m[None, :-1], np.diff(second_m, axis=0)[None]
    between = start_a - start_b
    aa, bb = np.sum(way_a**2, axis=-1) + 1e-12, np.sum(way_b**2, axis=-1) + 1e-12
    ab = np.sum(way_a * way_b, axis=-1)
    a0, b0 = np.sum(way_a * between, axis=-1), np.sum(way_b * between, axis=-1)
    squared_sine = aa * bb - ab**2
    along_a = np.where(
        squared_sine > 1e-12, (ab * b0 - a0 * bb) / np.maximum(squared_sine, 1e-12), 0.0
    )
    along_b = np.clip((ab * np.clip(along_a, 0.0, 1.0) + b0) / bb, 0.0, 1.0)
    along_a = np.clip((ab * along_b - a0) / aa, 0.0, 1.0)
    gap = between + along_a[..., None] * way_a - along_b[..., None] * way_b
    return float(np.sqrt(np.sum(gap**2, axis=-1).min()))


def _largest_part(good: Callable[[float], bool]) -> float:
    """The largest part of a step, found by halving, that is good: 1 at once, and 0 always is."""
    if good(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def _part_of(last: Motion, motion: Motion, part: float, period_s: float) -> Motion:
    step = part * (motion.joint_rad - last.joint_rad)
    return Motion(last.joint_rad + step, step / period_s, motion.gripper_m)
