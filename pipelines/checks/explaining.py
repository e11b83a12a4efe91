"""The checks in words: for the terminal and for the table in docs/validating.md."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .check import Check, Threshold
from .options import find_check
from .registry import CHECKS

_WIDTH = 96


def list_checks() -> str:
    """One line for each check: name, severity, thresholds with their defaults."""
    width = max(len(check.name) for check in CHECKS)
    lines = [
        f"{check.name:{width}}  {check.severity:14}  "
        + ", ".join(f"{t.name}={_number(t.default)}" for t in check.thresholds)
        for check in CHECKS
    ]
    lines.append("`serlds validate --explain CHECK` says more; `--set CHECK.THRESHOLD=VALUE` sets.")
    return "\n".join(line.rstrip() for line in lines)


def explain(names: Sequence[str]) -> str:
    """Rule, thresholds, source and remedy of some checks.

    Raises:
      UsageError: there is no check of a name.
    """
    return "\n\n".join(_explanation(find_check(name)) for name in names)


def markdown_table() -> str:
    """All checks as the table of docs/validating.md."""
    rows = [
        "| check | rule | thresholds | severity | source | remedy |",
        "|---|---|---|---|---|---|",
    ]
    for check in CHECKS:
        thresholds = "; ".join(f"`{t.name}` {_with_unit(t)}: {t.meaning}" for t in check.thresholds)
        cells = (
            f"`{check.name}`",
            check.rule + _images(check),
            thresholds or "none",
            check.severity,
            check.source,
            check.remedy,
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _explanation(check: Check) -> str:
    parts = [("rule", check.rule + _images(check)), ("severity", check.severity)]
    parts += [
        (f"--set {check.name}.{t.name}", f"{_with_unit(t)}: {t.meaning}") for t in check.thresholds
    ]
    parts += [("source", check.source), ("what to do", check.remedy)]
    lines = [check.name]
    for name, text in parts:
        indented = {"initial_indent": f"  {name}: ", "subsequent_indent": "    "}
        lines += textwrap.wrap(text, _WIDTH, **indented)
    return "\n".join(lines)


def _images(check: Check) -> str:
    return "" if check.images == "headers" else f" (`--images {check.images}`)"


def _with_unit(threshold: Threshold) -> str:
    unit = "" if threshold.unit == "1" else f" {threshold.unit}"
    return f"{_number(threshold.default)}{unit}"


def _number(value: float) -> str:
    return f"{value:.4g}"
