"""What a person can choose about the import of an RLDS dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True)
class RldsOptions:
    """How the fields of a dataset become those of serlds."""

    map: tuple[str, ...] = ()
    """TARGET=SOURCE or TARGET=SOURCE+SOURCE; changes the proposal, without SOURCE leaves it out."""

    mapping: Path | None = None
    """TOML file with the whole mapping, as --show prints it."""

    last_step: Literal["auto", "action", "void"] = "auto"
    """Whether the last step of the source holds an action; auto looks at each episode."""

    action_scale: str = ""
    """Physical value of 1: METRES,RADIANS or one number per dimension; 1,1 for m and rad."""

    action_frame: str = ""
    """Frame of the actions; by default what the source says."""
