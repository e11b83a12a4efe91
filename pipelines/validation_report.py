"""The report of `serlds validate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..datasets.verdict import Verdict
from .checks.registry import BY_NAME
from .findings import ERROR, WARNING, Finding

_EXAMPLES = 3
_IDS_NAMED = 8


@dataclasses.dataclass(frozen=True)
class Report:
    """What the checks found in a dataset.

    Attributes:
      dataset: its directory.
      name: its name.
      version: its version.
      digest: identity of the content that was checked; empty where files are too damaged to tell.
      num_episodes: how many could be read.
      num_steps: steps of these, observation-only last steps included.
      findings: in the order of the episodes, those about the whole dataset last; of one check and
        severity at most 1000 are listed.
      tallies: by check that was made, the number of its errors and warnings, listed or not.
      not_made: by check that was not made, why.
      thresholds: by check that was made, its thresholds.
      images: how much of the images was decoded.
      evidence: figures behind the findings, for plots: see `checks.evidence`.
    """

    dataset: str
    name: str
    version: str
    digest: str
    num_episodes: int
    num_steps: int
    findings: tuple[Finding, ...]
    tallies: Mapping[str, Mapping[str, int]]
    not_made: Mapping[str, str]
    thresholds: Mapping[str, Mapping[str, float]]
    images: str
    evidence: Mapping[str, Any]

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks that were made."""
        return tuple(self.tallies)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Those of the listed findings."""
        return tuple(finding for finding in self.findings if finding.severity == ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Those of the listed findings."""
        return tuple(finding for finding in self.findings if finding.severity == WARNING)

    @property
    def num_errors(self) -> int:
        """Of all findings, listed or not."""
        return sum(count[ERROR] for count in self.tallies.values())

    @property
    def num_warnings(self) -> int:
        """Of all findings, listed or not."""
        return sum(count[WARNING] for count in self.tallies.values())

    @property
    def exit_code(self) -> int:
        """0 where nothing is wrong or there are warnings only, else 1."""
        return 1 if self.num_errors else 0

    def verdict(self) -> Verdict:
        """What is kept beside the data."""
        return Verdict(
            digest=self.digest,
            errors=self.num_errors,
            warnings=self.num_warnings,
            checks={name: dict(count) for name, count in self.tallies.items()},
            not_made=dict(self.not_made),
            thresholds={name: dict(limits) for name, limits in self.thresholds.items() if limits},
            images=self.images,
        )

    def to_json(self) -> str:
        """All of it as JSON text."""
        values = {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "num_errors": self.num_errors,
            "num_warnings": self.num_warnings,
            "findings": [finding.to_json() for finding in self.findings],
        }
        return json.dumps(values, indent=2) + "\n"

    def to_text(self) -> str:
        """For the terminal: findings by check, errors first, each with what to do about it."""
        lines = list(self._grouped())
        clean = [name for name, count in self.tallies.items() if not any(count.values())]
        lines.append(f"{len(clean)} checks found nothing: {', '.join(clean)}")
        if self.not_made:
            reasons: dict[str, list[str]] = {}
            for name, reason in self.not_made.items():
                reasons.setdefault(reason, []).append(name)
            listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
            lines.append(f"{len(self.not_made)} checks not made: {listed}")
        lines.append(
            f"{self.name} {self.version}: {self.num_episodes} episodes, {self.num_steps} steps, "
            f"{len(self.checks)} checks: {self.num_errors} errors, {self.num_warnings} warnings"
        )
        return "\n".join(lines)

    def _grouped(self) -> Iterator[str]:
        for severity in (ERROR, WARNING):
            for check, count in self.tallies.items():
                if count[severity]:
                    yield from self._group(check, severity, count[severity])
                    yield ""

    def _group(self, check: str, severity: str, count: int) -> Iterator[str]:
        found = [f for f in self.findings if (f.check, f.severity) == (check, severity)]
        yield f"{severity} {check}: {count} finding(s)"
        for finding in found[:_EXAMPLES]:
            yield f"  {str(finding).removeprefix(f'{severity}: {check}: ')}"
        if count > _EXAMPLES:
            yield f"  ... and {count - _EXAMPLES} more"
        if check in BY_NAME:
            yield f"  what to do: {BY_NAME[check].remedy}"
        ids = list(dict.fromkeys(f.episode_id for f in found if f.episode_id))
        if ids and severity == ERROR:
            more = f" and {len(ids) - _IDS_NAMED} more" if len(ids) > _IDS_NAMED else ""
            yield f"  episodes: {' '.join(ids[:_IDS_NAMED])}{more}"
