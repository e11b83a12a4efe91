"""What a check found, and the report over a dataset."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
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


@dataclasses.dataclass(frozen=True)
class Report:
    """The verdict on a dataset.

    Attributes:
      dataset: its directory.
      name: its name.
      version: its version.
      digest: identity of the content that was checked; empty where files are too damaged to tell.
      num_episodes: how many could be read.
      num_steps: steps of these, observation-only last steps included.
      checks: names of the checks that were made.
      findings: in the order of the episodes; those about the whole dataset last.
    """

    dataset: str
    name: str
    version: str
    digest: str
    num_episodes: int
    num_steps: int
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == WARNING)

    @property
    def exit_code(self) -> int:
        """0 where nothing is wrong or there are warnings only, else 1."""
        return 1 if self.errors else 0

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of findings by check and severity, for every check that was made."""
        counted = Counter((finding.check, finding.severity) for finding in self.findings)
        return {
            check: {severity: counted[check, severity] for severity in (ERROR, WARNING)}
            for check in self.checks
        }

    def to_json(self) -> str:
        """All of it as JSON text."""
        values = {
            "dataset": self.dataset,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "num_episodes": self.num_episodes,
            "num_steps": self.num_steps,
            "num_errors": len(self.errors),
            "num_warnings": len(self.warnings),
            "counts": self.counts(),
            "findings": [finding.to_json() for finding in self.findings],
        }
        return json.dumps(values, indent=2) + "\n"

    def to_text(self, most: int = 20) -> str:
        """For the terminal: the first findings, errors before warnings, and the counts."""
        listed = (*self.errors, *self.warnings)
        lines = [str(finding) for finding in listed[:most]]
        if len(listed) > most:
            lines.append(f"... and {len(listed) - most} more")
        wrong = [
            f"{check} {count[ERROR]} error(s), {count[WARNING]} warning(s)"
            for check, count in self.counts().items()
            if any(count.values())
        ]
        if wrong:
            lines.append("by check: " + "; ".join(wrong))
        lines.append(
            f"{self.name} {self.version}: {self.num_episodes} episodes, {self.num_steps} steps, "
            f"{len(self.checks)} checks: {len(self.errors)} errors, {len(self.warnings)} warnings"
        )
        return "\n".join(lines)
