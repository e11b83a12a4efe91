"""What a person can say about recordings that their files do not say."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ...datasets import keys
from ...datasets.errors import UsageError
from ...datasets.schema import FieldDoc
from .presets import action_scale, pose_units

GRIPPERS = ("recorded", "flipped", "held", "open", "closed")


@dataclasses.dataclass(frozen=True)
class EpisodeFacts:
    """What holds for all episodes of an import."""

    instruction: str = ""
    """Language instruction of steps that have none of their own."""

    task: str = ""
    """Name of the task; by default what the source says, or the name of its file."""

    robot: str = ""
    """Robot model; by default what the source says."""

    hz: float | None = None
    """Rate of actions; it gives the time stamps. By default what the source says."""

    collector: Literal["scripted", "teleop", "policy", "random", "mixed"] = "teleop"
    """Who acted; with teleop, steps count as driven by a human unless the source says which."""

    image_encoding: Literal["jpeg", "png"] = "jpeg"
    """How images are stored that the source holds as pixels: jpeg (quality 95) or png (exact)."""

    def __post_init__(self) -> None:
        if self.hz is not None and not 0 < self.hz < 1e6:
            raise UsageError(f"--hz: expected a positive rate, found {self.hz}")
        if self.collector not in keys.COLLECTORS:
            raise UsageError(
                f"--collector: expected one of {', '.join(keys.COLLECTORS)}, found "
                f"{self.collector!r}"
            )
        if self.image_encoding not in ("jpeg", "png"):
            raise UsageError(f"--image-encoding: jpeg or png, found {self.image_encoding!r}")


@dataclasses.dataclass(frozen=True)
class TransitionOptions:
    """How transitions (observation, action, reward, next observation) become episodes."""

    state: tuple[str, ...] = ()
    """Parts of a flat state: a preset, e.g. franka, or NAME=SIZE ...; see docs/importing.md."""

    observations: tuple[str, ...] = ()
    """Observations to import, by their key in the source; by default all."""

    leave_out: tuple[str, ...] = ()
    """Observations not to import, by their key, e.g. wrist_depth."""

    action_scale: str = ""
    """Physical value of 1: a task of SERL, e.g. peg; METRES,RADIANS; or a number per dimension."""

    action_frame: str = ""
    """Frame of the actions; by default what is known of the source."""

    gripper: Literal["recorded", "flipped", "held", "open", "closed"] = "recorded"
    """Seventh dimension: as it is, with the other sign, held between commands, or added (6-d)."""

    success_reward: float = 0.5
    """An episode succeeded where its last reward is at least this."""

    terminal: Literal["recorded", "success"] = "recorded"
    """What ends the task: the recorded mask, or success alone; all else is a time limit."""

    def __post_init__(self) -> None:
        if self.gripper not in GRIPPERS:
            raise UsageError(f"--gripper: one of {', '.join(GRIPPERS)}, found {self.gripper!r}")
        if self.terminal not in ("recorded", "success"):
            raise UsageError(f"--terminal: recorded or success, found {self.terminal!r}")

    def action_doc(
        self,
        size: int,
        factor: float,
        frame: str,
        rotation: str = "rotation about x, y, z",
        gripper: str = "+1 open, -1 closed",
    ) -> FieldDoc:
        """Meaning, units and scale of actions of `size` values after the gripper is settled.

        Args:
          size: dimensions.
          factor: what the actions were divided by to fit into [-1, 1]; the scale makes up for it.
          frame: frame of the actions where no option says it.
          rotation: what dimensions 3 to 5 are; exporters tell Euler angles by that word.
          gripper: which of its commands open and close; empty where nobody said so.
        """
        scale = action_scale(self.action_scale, size)
        if scale and size in (6, 7, 12, 14):
            arm = 7 if size % 7 == 0 else 6
            scale = tuple(s * factor if i % arm < 6 else s for i, s in enumerate(scale))
        units = pose_units(size) if scale else ""
        doc = "Action as recorded."
        if units:
            doc = f"Displacement of the commanded tool pose: x, y, z, {rotation}"
            if size % 7 == 0:
                doc += f"; gripper {gripper}" if gripper else "; gripper"
            doc += "."
        return FieldDoc(doc, units, self.action_frame or frame, scale)
