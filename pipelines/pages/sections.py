"""The sections that pages about a dataset are made of: texts, tables and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import page
from ...datasets.intervals import wilson_interval
from ...datasets.reading import Dataset
from ..checks.fields import Fields
from ..dimensions import dimension_units
from . import plots
from .survey import Survey
from .survey_job import light_schema
from .timing import Timing

_MOST_ROWS = 30


def lengths_section(survey: Survey) -> dict[str, Any] | None:
    """How long the episodes are; None without episodes."""
    if not survey.num_episodes:
        return None
    lengths = np.array(sorted(survey.actions))
    numbers = np.array([survey.actions[length] for length in lengths])
    median = lengths[np.searchsorted(np.cumsum(numbers), numbers.sum() / 2)]
    total = page.counted(int(lengths @ numbers), "action")
    text = f"{total}; shortest {lengths[0]}, median {median}, longest {lengths[-1]}."
    return {"text": text, "source": plots.lengths_plot(survey.actions)}


def success_section(survey: Survey) -> dict[str, Any] | None:
    """Success by collector and over time; None where the dataset does not tell it."""
    if not survey.collectors:
        return None
    rows = []
    for name, (episodes, successes) in survey.collectors.items():
        low, high = wilson_interval(successes, episodes)
        rows.append((
            name,
            page.count(episodes),
            page.count(successes),
            page.share(successes / episodes),
            f"{page.share(low)} to {page.share(high)}",
        ))  # fmt: skip
    return {"rows": rows, "source": plots.success_plot(survey.outcomes)}


def day_rows(survey: Survey) -> list[tuple[str, ...]]:
    """Day, first and last time, episodes and success of the last days."""
    rows = []
    for day, (episodes, successes, first, last) in survey.days.items():
        known = page.share(successes / episodes) if survey.collectors else ""
        rows.append((day, first[11:19], last[11:19], page.count(episodes), known))
    return rows[-_MOST_ROWS:]


def word_facts(survey: Survey) -> list[tuple[str, str]]:
    """Tasks, robots and instructions with their numbers of episodes."""
    facts = []
    for name, counts in (
        ("task", survey.tasks),
        ("robot", survey.robots),
        ("instruction", survey.instructions),
    ):
        if counts:
            listed = [f"{text} ({page.count(n)})" for text, n in counts.most_common(10)]
            more = len(counts) - len(listed)
            facts.append((name, "\n".join([*listed, *([f"and {more} more"] if more else [])])))
    return facts


def traces_section(dataset: Dataset, survey: Survey) -> dict[str, Any] | None:
    """Where the tool went; None where no field tells."""
    found = Fields(light_schema(dataset.schema)).position
    traces = [(kind, path) for kind, path in survey.traces if len(path) > 1]
    if found is None or not traces:
        return None
    field = found.field
    units = set(dimension_units(field)[found.start : found.stop])
    unit = units.pop() if len(units) == 1 else ""
    return {
        "path": field.path,
        "frame": field.about.frame,
        "episodes": len(traces),
        "source": plots.traces_plot(traces, unit),
    }


def timing_section(timing: Timing) -> dict[str, Any] | None:
    """Rate, jitter and gaps; None without time stamps."""
    if not timing.count:
        return None
    declared = "\n".join(
        f"{rate} Hz ({page.counted(episodes, 'episode')})"
        if rate != "0"
        else f"none ({page.counted(episodes, 'episode')}: the median interval counts as the period)"
        for rate, episodes in timing.declared.items()
    )
    facts = [
        ("declared rate", declared),
        ("measured rate", f"{timing.rate_hz:.2f} Hz"),
        ("jitter", f"{1000 * timing.jitter_s:.1f} ms (standard deviation of the intervals)"),
        ("longest interval", f"{1000 * timing.longest_s:.0f} ms"),
        ("gaps", _gaps(timing)),
    ]
    if timing.backwards:
        backwards = page.counted(timing.backwards, "interval")
        facts.append(("clock", f"{backwards} in which time stands still or runs back"))
    for name, (count, sum_s, oldest_s) in timing.ages.items():
        ages = f"{1000 * sum_s / count:.0f} ms on average, {1000 * oldest_s:.0f} ms at most"
        facts.append((f"age of {name}", ages))
    return {"facts": facts, "source": plots.intervals_plot(timing)}


def _gaps(timing: Timing) -> str:
    if not timing.gaps:
        return "none"
    return (
        f"{page.count(timing.gaps)} of {page.counted(timing.count, 'interval')}, in "
        f"{page.counted(timing.episodes_with_gaps, 'episode')}; about "
        f"{page.counted(timing.missing, 'step')} missing"
    )
