"""What a person can choose about a LeRobot export."""

from __future__ import annotations

import dataclasses

from ...datasets.errors import UsageError
from ..cards import CardOptions


@dataclasses.dataclass(frozen=True)
class LeRobotOptions(CardOptions):
    """Options of `export_lerobot`."""

    state: tuple[str, ...] = ()
    """State fields to put into `observation.state`, in this order; none given: all, by name."""

    fps: int | None = None
    """Frames per second; by default the `control_hz` of the episodes, which must be whole."""

    crf: int = 18
    """Quality of the videos, 0 (lossless) to 51; x264 calls it the constant rate factor."""

    instruction: str = ""
    """Language instruction of steps that have none."""

    robot_type: str = ""
    """Name of the robot; by default what the episodes say."""

    def __post_init__(self) -> None:
        if self.fps is not None and self.fps < 1:
            raise UsageError(f"fps: expected at least 1 frame per second, found {self.fps}")
        if not 0 <= self.crf <= 51:
            raise UsageError(f"crf: expected from 0 to 51, found {self.crf}")
