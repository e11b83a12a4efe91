"""`serlds validate --page`: what the checks found and what they looked at, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import page
from ...datasets.durable_files import write_durably
from ...datasets.errors import UsageError
from ..checks.registry import BY_NAME
from ..findings import ERROR, WARNING
from ..validation_report import Report
from . import plots
from .findings_view import group_findings, verdict_tile

_TEMPLATE = Path(__file__).with_name("validation_page.html")


def write_validation_page(report: Report, out: Path) -> Path:
    """Writes the page; everything on it is inside the one file.

    Args:
      report: of `serlds validate`.
      out: the HTML file.

    Returns:
      The file.

    Raises:
      UsageError: the file cannot be written.
    """
    text = page.render(_TEMPLATE, **_content(report))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_durably(out, text.encode())
    except OSError as error:
        raise UsageError(f"the page cannot be written to {out}: {error}") from error
    return out


def alignment_plot(report: Report) -> str:
    """The motion that actions leave unexplained by shift; empty where it was not measured."""
    found = report.evidence.get("alignment")
    return plots.shift_plot(found["lags"], found["residuals"]) if found else ""


def _content(report: Report) -> dict[str, Any]:
    periods, lengths = (report.evidence.get(name) for name in ("periods", "lengths"))
    unit = "time from step to step, in periods of the control rate"
    return {
        "title": f"Validation of {report.name} {report.version}",
        "name": report.name,
        "version": report.version,
        "tiles": [
            verdict_tile(report),
            {"value": page.count(report.num_episodes), "label": "episodes that could be read"},
            {"value": page.count(report.num_steps), "label": "steps"},
        ],
        "report": report,
        "findings": group_findings(report),
        "alignment": alignment_plot(report),
        "periods": plots.histogram(**periods, label=unit, logarithmic=True) if periods else "",
        "lengths": plots.histogram(**lengths, label="actions per episode") if lengths else "",
        "bounds": [_bounds_row(values) for values in report.evidence.get("bounds", ())],
        "checks": [_check_row(report, name) for name in report.checks],
        "not_made": list(report.not_made.items()),
        "facts": [
            ("directory", report.dataset),
            ("digest", report.digest or "cannot be told"),
            ("pixels decoded", {"headers": "none", "sampled": "a sample"}.get(
                report.images, report.images
            )),
        ],
    }  # fmt: skip


def _bounds_row(values: dict[str, Any]) -> tuple[str, ...]:
    low, high = (page.figure_text(values[name]) for name in ("low", "high"))
    at_low, at_high = (page.share(values[name]) for name in ("at_low", "at_high"))
    return (values["name"], low, at_low, high, at_high)


def _check_row(report: Report, name: str) -> tuple[str, ...]:
    check, tally = BY_NAME.get(name), report.tallies[name]
    limits = report.thresholds.get(name, {})
    listed = ", ".join(f"{limit} {value:g}" for limit, value in limits.items())
    about = (check.rule, listed, check.source) if check else ("", listed, "")
    return (name, _count(tally[ERROR]), _count(tally[WARNING]), *about)


def _count(number: int) -> str:
    return page.count(number) if number else "\N{EN DASH}"
