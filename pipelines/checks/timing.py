"""Whether the timestamps tell of the rate that is declared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...datasets import keys
from ..findings import ERROR, WARNING, Finding
from .check import Check, Limits, Measurement, Sums, Threshold
from .fields import Fields
from .look import Look

HISTOGRAM_EDGES = np.linspace(0.0, 4.0, 81)
"""Of the time between steps, in periods; the last bin takes all that is longer."""


def find_order(look: Look, limits: Limits) -> Iterator[Finding]:
    """Timestamps that do not increase."""
    times, steps = _times(look), _steps(look)
    backward = np.flatnonzero(steps <= 0) + 1
    if backward.size:
        step = int(backward[0])
        message = f"does not increase at {backward.size} step(s)"
        expected, found = f"after {times[step - 1]:g} s", f"{times[step]:g} s"
        yield Finding("timestamps", ERROR, message, step, keys.TIMESTAMP_S, expected, found)


def find_rate(look: Look, limits: Limits) -> Iterator[Finding]:
    """Another rate than the declared one, jitter, and gaps where steps are missing."""
    steps, hz = _steps(look), look.control_hz
    if len(steps) < 2 or not hz or not (np.isfinite(steps).all() and (steps > 0).all()):
        return
    median = float(np.median(steps))
    off = abs(1 / (median * hz) - 1)
    if off > limits["warn_rate"]:
        severity = ERROR if off > limits["fail_rate"] else WARNING
        message = "the steps are taken at another rate than control_hz declares"
        expected, found = f"{hz:g} Hz", f"{1 / median:.3g} Hz"
        yield Finding("rate", severity, message, None, keys.TIMESTAMP_S, expected, found)
        return
    gaps = np.flatnonzero(steps > limits["gap_periods"] / hz)
    if gaps.size:
        step = int(gaps[0]) + 1
        message = f"{gaps.size} gap(s): steps are missing"
        expected, found = f"{1 / hz:.3g} s after the step before", f"{steps[step - 1]:.3g} s"
        yield Finding("rate", WARNING, message, step, keys.TIMESTAMP_S, expected, found)
    jitter = float(np.std(steps) / np.mean(steps))
    if not gaps.size and jitter > limits["max_jitter"]:
        message = "the time between steps varies"
        expected, found = f"a deviation up to {limits['max_jitter']:.0%}", f"{jitter:.0%}"
        yield Finding("rate", WARNING, message, None, keys.TIMESTAMP_S, expected, found)


def take_periods(look: Look) -> Sums:
    """Histogram of the time between steps, in periods of `control_hz` or else of the median."""
    if keys.TIMESTAMP_S not in look.schema or len(look.episode) < 2:
        return {}
    steps = _steps(look)
    median = float(np.median(steps))
    period = 1 / look.control_hz if look.control_hz else median
    if not np.isfinite(steps).all() or period <= 0:
        return {}
    edges = np.append(HISTOGRAM_EDGES[:-1], np.inf)
    return {"counts": np.histogram(np.maximum(steps / period, 0), edges)[0].astype(float)}


PERIODS = Measurement("periods", take_periods)


def _times(look: Look) -> np.ndarray:
    return np.asarray(look.episode.columns[keys.TIMESTAMP_S], np.float64).reshape(-1)


def _steps(look: Look) -> np.ndarray:
    return np.diff(_times(look))


def _no_time(fields: Fields) -> str:
    return "" if keys.TIMESTAMP_S in fields.schema else f"no {keys.TIMESTAMP_S}"


def _no_rate(fields: Fields) -> str:
    declared = any(field.path == keys.CONTROL_HZ for field in fields.schema.metadata)
    return _no_time(fields) or ("" if declared else f"no {keys.CONTROL_HZ} in the metadata")


TIMESTAMPS = Check(
    name="timestamps",
    rule="Each `timestamp_s` is later than the one before.",
    severity="error",
    source="time goes forward",
    remedy="Drop these episodes, or the field (`serlds convert --apply drop_field:path=...`).",
    missing=_no_time,
    episode=find_order,
)
RATE = Check(
    name="rate",
    rule="The median time between steps is that of control_hz; no step takes 1.5 periods; the "
    "deviation is small. Episodes whose idle steps were left out have gaps, rightly.",
    severity="error, warning",
    source="forge-robotics (jitter 0.1); one missing frame is two periods",
    remedy="Correct control_hz when importing. Gaps: look for dropped frames in the recorder; a "
    "few do no harm.",
    thresholds=(
        Threshold("warn_rate", 0.05, "share", "distance from control_hz, from here a warning"),
        Threshold("fail_rate", 0.25, "share", "the same, from here an error"),
        Threshold("gap_periods", 1.5, "periods", "longest time between steps"),
        Threshold("max_jitter", 0.1, "share", "standard deviation by mean of the time"),
    ),
    missing=_no_rate,
    episode=find_rate,
    uses=(PERIODS,),
)
