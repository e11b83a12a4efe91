"""Leaving out the steps in which nothing is commanded."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import SchemaError
from ...datasets.schema import Schema
from ..action_rows import num_action_rows
from .rows import merge_steps
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class DropNoops(Transform):
    """Drops idle steps: those whose action neither moves the arm nor changes the gripper.

    A step is idle where the norm of its action without the last value, the gripper, is below
    `threshold` and the gripper command equals that of the last step that is not idle; before the
    first such step the gripper is not looked at. With absolute actions it is the difference from
    the action of the last step that is not idle; the first step is never idle then.
    The reward of dropped steps is added to the last step kept before them (before the first kept
    step: to that one), and their discount is multiplied into it, so that return and termination
    stay. Timestamps stay as recorded. An episode of nothing but such steps is left out.
    Source of the rule: Kim et al. 2024, "OpenVLA": its preparation of the LIBERO data.

    Attributes:
      threshold: norm below which an action does not move, in the action's stored units.
      where: which idle steps to drop: `everywhere`, or those before the first movement (`start`),
        after the last one (`end`), or both (`ends`).
      actions: `delta` where actions are displacements, `absolute` where they are targets.
    """

    name: ClassVar[str] = "drop_noops"
    example: ClassVar[str] = "drop_noops:threshold=0.001,where=ends"
    threshold: float = 1e-4
    where: Literal["everywhere", "start", "end", "ends"] = "everywhere"
    actions: Literal["delta", "absolute"] = "delta"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("threshold", self.threshold > 0, "above 0")

    def map_schema(self, schema: Schema) -> Schema:
        if len(schema.action.shape) != 1 or schema.action.size < 2:
            raise SchemaError(
                f"{self.name}: needs an action vector whose last value is the gripper, found "
                f"{schema.action.describe()}"
            )
        return schema

    def __call__(self, episode: Episode, schema: Schema) -> Episode | None:
        rows = num_action_rows(episode)
        actions = np.asarray(episode.columns[keys.ACTION])[:rows]
        moving = np.flatnonzero(moving_steps(actions, self.threshold, self.actions == "absolute"))
        if not moving.size:
            return None
        kept = moving
        if self.where != "everywhere":
            first = moving[0] if self.where in ("start", "ends") else 0
            last = moving[-1] if self.where in ("end", "ends") else rows - 1
            kept = np.arange(first, last + 1)
        return episode if len(kept) == rows else merge_steps(episode, kept)


def moving_steps(actions: np.ndarray, threshold: float, absolute: bool = False) -> np.ndarray:
    """Which of the actions are no no-ops.

    Args:
      actions: (N, A), the last value being the gripper.
      threshold: norm below which an action does not move.
      absolute: actions are targets, not displacements.

    Returns:
      (N,) bool.
    """
    arm, gripper = actions[:, :-1], actions[:, -1]
    still = np.linalg.norm(arm, axis=1) < threshold
    moving = np.ones(len(actions), bool)
    last: int | None = None
    for step in range(len(actions)):
        if absolute:
            idle = last is not None and bool(np.linalg.norm(arm[step] - arm[last]) < threshold)
        else:
            idle = bool(still[step])
        if idle and (last is None or gripper[step] == gripper[last]):
            moving[step] = False
        else:
            last = step
    return moving
