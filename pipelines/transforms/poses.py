"""Displacements of poses on R^3 x SO(3), many at a time, as pure functions.

A displacement (translation d, rotation D) moves a pose (position p, orientation R):

    frame base: p' = p + d,    R' = D R   (both along the axes in which p is given)
    frame tool: p' = p + R d,  R' = R D   (both along the axes of the tool before the move)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

Frame = Literal["base", "tool"]


@dataclasses.dataclass(frozen=True)
class Poses:
    """N poses or displacements.

    Attributes:
      position: (N, 3) m.
      rotation: N rotations; None where only positions are told.
    """

    position: np.ndarray
    rotation: Rotation | None

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, rows: slice | np.ndarray) -> Poses:
        return Poses(self.position[rows], None if self.rotation is None else self.rotation[rows])


def displacement(start: Poses, end: Poses, frame: str) -> Poses:
    """What moves each pose of `start` to that of `end`."""
    moved = end.position - start.position
    if start.rotation is None or end.rotation is None:
        return Poses(moved, None)
    back = start.rotation.inv()
    if frame == "tool":
        return Poses(back.apply(moved), back * end.rotation)
    return Poses(moved, end.rotation * back)


def displaced(start: Poses, delta: Poses, frame: str) -> Poses:
    """Each pose of `start` moved by its displacement: the inverse of `displacement`."""
    if start.rotation is None or delta.rotation is None:
        return Poses(start.position + delta.position, None)
    if frame == "tool":
        moved = start.rotation.apply(delta.position)
        return Poses(start.position + moved, start.rotation * delta.rotation)
    return Poses(start.position + delta.position, delta.rotation * start.rotation)


def accumulated(start: Poses, deltas: Poses, frame: str) -> Poses:
    """The poses after 1, 2, ... N displacements, one after the other, from one pose (1 row).

    Displacements compose associatively, so runs of 1, 2, 4, ... are composed all at once (the
    parallel prefix sum of Hillis and Steele 1986).
    """
    together, length = deltas, 1
    while length < len(deltas):
        longer = _then(together[:-length], together[length:], frame)
        together, length = stacked([together[:length], longer]), 2 * length
    return displaced(start[np.zeros(len(deltas), int)], together, frame)


def composed(deltas: Poses, starts: np.ndarray, frame: str) -> Poses:
    """One displacement for each run of them: what the run does together.

    Args:
      deltas: N displacements.
      starts: (K,) first row of each run, ascending from 0; a run ends where the next begins.
      frame: of the displacements and of the results.
    """
    ends = np.append(starts[1:], len(deltas))
    together = deltas[starts]
    for offset in range(1, int(np.max(ends - starts))):
        rows = starts + offset
        goes_on = rows < ends
        longer = _then(together, deltas[np.where(goes_on, rows, 0)], frame)
        together = _where(goes_on, longer, together)
    return together


def stacked(poses: list[Poses]) -> Poses:
    """All of them, one below the other."""
    from scipy.spatial.transform import Rotation

    rotations = [one.rotation for one in poses if one.rotation is not None]
    return Poses(
        np.concatenate([one.position for one in poses]),
        Rotation.concatenate(rotations) if rotations else None,
    )


def _then(first: Poses, second: Poses, frame: str) -> Poses:
    """What two displacements do, one after the other."""
    if first.rotation is None or second.rotation is None:
        return Poses(first.position + second.position, None)
    if frame == "tool":
        moved = first.rotation.apply(second.position)
        return Poses(first.position + moved, first.rotation * second.rotation)
    return Poses(first.position + second.position, second.rotation * first.rotation)


def _where(chosen: np.ndarray, left: Poses, right: Poses) -> Poses:
    from scipy.spatial.transform import Rotation

    position = np.where(chosen[:, None], left.position, right.position)
    if left.rotation is None or right.rotation is None:
        return Poses(position, None)
    quat = np.where(chosen[:, None], left.rotation.as_quat(), right.rotation.as_quat())
    return Poses(position, Rotation.from_quat(quat))
