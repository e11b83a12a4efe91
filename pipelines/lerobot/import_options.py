"""What a person can say about a LeRobot dataset that is imported."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ...datasets.errors import UsageError
from ...datasets.keys import COLLECTORS


@dataclasses.dataclass(frozen=True)
class LeRobotImportOptions:
    """Options of `import_lerobot`."""

    instruction: str = ""
    """Language instruction of every step, in place of the dataset's tasks."""

    success: Literal["none", "all"] = "none"
    """Where the dataset does not say which episodes succeeded: none of them, or all."""

    collector: Literal["scripted", "teleop", "policy", "random", "mixed"] = "teleop"
    """Who drove."""

    image_encoding: Literal["jpeg", "png"] = "jpeg"
    """How frames are stored; png keeps every pixel of the video and is larger."""

    def __post_init__(self) -> None:
        if self.collector not in COLLECTORS:
            raise UsageError(
                f"collector: expected one of {', '.join(COLLECTORS)}, found {self.collector!r}"
            )
