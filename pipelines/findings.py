"""What a check found."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..datasets.errors import SerldsError

ERROR = "error"
WARNING = "warning"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an episode or, where `episode_id` is empty, with a dataset.

    Attributes:
      check: name of the check, or `transform:<name>`.
      severity: `error` (do not train on it) or `warning`.
      message: what is wrong, for a person.
      step: the first step at which it is.
      field: path of the field.
      expected: what the rule asks for.
      found: the value that breaks it.
      episode_id: the episode.
      file: the file that holds it.
      record: its index in that file.
    """

    check: str
    severity: str
    message: str
    step: int | None = None
    field: str = ""
    expected: str = ""
    found: str = ""
    episode_id: str = ""
    file: str = ""
    record: int | None = None

    def at(self, episode_id: str, file: str, record: int) -> Finding:
        """The same finding, with its place."""
        return dataclasses.replace(self, episode_id=episode_id, file=file, record=record)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Finding:
        return cls(**values)

    def __str__(self) -> str:
        places = [
            f"episode {self.episode_id}" if self.episode_id else "",
            f"step {self.step}" if self.step is not None else "",
            f"field {self.field}" if self.field else "",
        ]
        where = ", ".join(place for place in places if place)
        text = f"{self.severity}: {self.check}: " + (f"{where}: " if where else "") + self.message
        if self.expected or self.found:
            text += f" (expected {self.expected}, found {self.found})"
        return text + (f" [{self.file}, record {self.record}]" if self.file else "")


class BadEpisodeError(SerldsError):
    """An episode that cannot be processed, with the reason as a finding."""

    def __init__(self, finding: Finding):
        super().__init__(str(finding))
        self.finding = finding
