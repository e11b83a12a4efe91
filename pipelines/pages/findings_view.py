"""Findings as a page shows them: by check, errors first, a few examples of each."""

from __future__ import annotations

import dataclasses
from typing import Any

from ... import page
from ..checks.registry import BY_NAME
from ..findings import ERROR, WARNING, Finding
from ..validation_report import Report

EXAMPLES = 5


@dataclasses.dataclass(frozen=True)
class CheckFindings:
    """What one check found at one severity.

    Attributes:
      check: its name.
      severity: `error` or `warning`.
      count: number of findings, with those that are not listed.
      rule: what must hold.
      remedy: what to do about it.
      examples: rows of texts: episode, step, field, message, expected, found.
    """

    check: str
    severity: str
    count: int
    rule: str
    remedy: str
    examples: tuple[tuple[str, ...], ...]


def group_findings(report: Report) -> list[CheckFindings]:
    """The findings by severity and check, errors first, then by number."""
    groups = []
    for check, tally in report.tallies.items():
        for severity in (ERROR, WARNING):
            if tally[severity]:
                groups.append(_group(report, check, severity, tally[severity]))
    return sorted(groups, key=lambda group: (group.severity != ERROR, -group.count))


def verdict_tile(report: Report) -> dict[str, Any]:
    """The verdict as a tile."""
    errors, warnings = report.num_errors, report.num_warnings
    if errors:
        return {"value": page.counted(errors, ERROR), "label": _also(warnings), "kind": "base"}
    if warnings:
        return {"value": page.counted(warnings, WARNING), "label": "and no error", "kind": ""}
    return {"value": "valid", "label": f"all {len(report.checks)} checks passed", "kind": "good"}


def _group(report: Report, check: str, severity: str, count: int) -> CheckFindings:
    found = [one for one in report.findings if (one.check, one.severity) == (check, severity)]
    known = BY_NAME.get(check)
    return CheckFindings(
        check,
        severity,
        count,
        known.rule if known else "",
        known.remedy if known else "",
        tuple(_row(finding) for finding in found[:EXAMPLES]),
    )


def _also(warnings: int) -> str:
    return f"and {page.counted(warnings, WARNING)}" if warnings else "and no warning"


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.episode_id or _record(finding),
        "" if finding.step is None else str(finding.step),
        finding.field,
        finding.message,
        finding.expected,
        finding.found,
    )


def _record(finding: Finding) -> str:
    if not finding.file:
        return "whole dataset"
    name = finding.file.rpartition("/")[2]
    return name if finding.record is None else f"{name}, record {finding.record}"
