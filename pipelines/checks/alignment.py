"""Whether actions lead the motion that they cause, in the same frame, units and sense.

One cause is named at a time, the one that explains most: positions given for displacements, then a
turned frame, then a shift. The thresholds were measured on a simulated arm: an arm that covers only
a fifth of the way to its target per step, and actions that the limits of the workspace cut, stay
without an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...datasets import keys
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Sums, Threshold
from .fields import Fields
from .motion import AT_ZERO, LAGS, MOTION, angle_deg, gain, residuals, turned_residuals

MIN_TRANSITIONS = 20
_MIN_FOR_ROTATION = 100
# How much better another lag must explain the motion than none to be believed: along a straight
# line at constant speed all fit alike.
_MARGIN = 0.1
# Commands change when their differences over two steps have this share of their squares.
_VARIED = 0.1
# So much nearer must a value be to the position than to the displacement to be called one.
_MUCH_NEARER = 0.25
_UNEXPLAINED = (
    Threshold("warn_residual", 0.5, "share of squared motion", "unexplained, from here a warning"),
    Threshold("fail_residual", 0.8, "share of squared motion", "unexplained, from here an error"),
)


class Fit(NamedTuple):
    """What the sums say.

    Attributes:
      swapped: the values are positions where displacements are declared, or the other way round.
      varied: the commands change; constant ones tell nothing of a shift, and little of the rest.
      lag: steps by which the motion follows the actions; below 0 it comes before them.
      residual: share of the squared motion that is unexplained at this lag.
      turned: the same after the best rotation.
      angle_deg: of that rotation; 0 where it cannot be told.
    """

    swapped: bool
    varied: bool
    lag: int
    residual: float
    turned: float
    angle_deg: float


def fit(sums: Sums, absolute: bool) -> Fit | None:
    """The fit of a dataset; None where there is too little motion to tell."""
    if not sums or sums["count"] < MIN_TRANSITIONS or not sums["motion"].all():
        return None
    near, far = sums["as_target"], sums["as_delta"]
    swapped = bool(far < _MUCH_NEARER * near) if absolute else bool(near < _MUCH_NEARER * far)
    plain, turned = residuals(sums), turned_residuals(sums)
    # Where a rotation explains what is not explained without it, the lag must be told with it.
    by = turned if plain.min() - turned.min() > 0.2 else plain
    best = int(np.argmin(by))
    varied = bool(sums["change"] > _VARIED * sums["told"])
    if by[AT_ZERO] - by[best] <= _MARGIN or not varied:
        best = AT_ZERO
    lag = LAGS[best]
    angle = angle_deg(sums, lag) if sums["count"] >= _MIN_FOR_ROTATION else 0.0
    return Fit(swapped, varied, lag, float(plain[best]), float(turned[best]), angle)


def judge_alignment(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Actions that come after the motion, long before it, or have nothing to do with it."""
    sums = evidence.sums["motion"]
    found = fit(sums, evidence.fields.targets_absolute)
    if found is None or found.swapped:
        return
    by_lag = _listed(sums)
    if found.turned > limits["warn_residual"]:
        yield Finding(
            "alignment",
            ERROR if found.varied and found.turned > limits["fail_residual"] else WARNING,
            f"the actions do not explain the motion of the tool (unexplained by shift: {by_lag})",
            None,
            keys.ACTION,
            f"at most {limits['warn_residual']:g} of it unexplained",
            f"{found.turned:.2f}",
        )
    elif found.lag < 0:
        message = (
            f"the tool moves {-found.lag} step(s) before the action that moves it; each step must "
            f"hold the action taken from its observation (unexplained motion by shift: {by_lag})"
        )
        shift = f"shift {found.lag}"
        yield Finding("alignment", ERROR, message, None, keys.ACTION, "shift 0", shift)
    elif found.lag > 0:
        hz = evidence.control_hz
        delay = f" ({1000 * found.lag / hz:.0f} ms)" if hz else ""
        message = f"the tool follows its actions late{delay} (unexplained by shift: {by_lag})"
        shift = f"shift {found.lag}"
        yield Finding("alignment", WARNING, message, None, keys.ACTION, "shift 0", shift)


def judge_kind(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Positions where displacements are declared, or the other way round."""
    absolute = evidence.fields.targets_absolute
    found = fit(evidence.sums["motion"], absolute)
    if found is not None and found.swapped:
        kinds = ("displacements", "positions")
        message = (
            f"declared as {kinds[absolute]} of the tool, but the values are {kinds[1 - absolute]}"
        )
        declared, real = kinds[absolute], kinds[1 - absolute]
        yield Finding("action_kind", ERROR, message, None, keys.ACTION, declared, real)


def judge_frame(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Actions in another frame than the positions."""
    found = fit(evidence.sums["motion"], evidence.fields.targets_absolute)
    if found is None or found.swapped or found.turned > limits["max_residual"]:
        return
    if found.angle_deg > limits["warn_deg"]:
        yield Finding(
            "action_frame",
            ERROR if found.angle_deg > limits["fail_deg"] else WARNING,
            f"the motion is turned by {found.angle_deg:.0f} degrees from the actions: they are in "
            f"another frame than the position of the tool",
            None,
            keys.ACTION,
            f"at most {limits['warn_deg']:g} degrees",
            f"{found.angle_deg:.0f} degrees",
        )


def judge_scale(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Displacements that are many times as large as the actions say, or as small."""
    sums = evidence.sums["motion"]
    if not sums or not sums["window_command"].any():
        return
    found = fit(sums, evidence.fields.targets_absolute)
    # A tool that hardly ever moves as told gives no fit, but the most extreme ratio.
    if sums["count"] > limits["min_free"] * (sums["count"] + sums["held"]):
        if found is None or found.swapped or found.turned > limits["max_residual"]:
            return
        if abs(found.angle_deg) > limits["max_deg"]:
            return
    ratio = gain(sums, found.lag if found else 0)
    if limits["warn_low"] <= ratio <= limits["warn_high"]:
        return
    wrong = ratio > limits["fail_high"] or ratio < limits["fail_low"]
    yield Finding(
        "action_scale",
        ERROR if wrong else WARNING,
        f"the tool moves {ratio:.2g} times as far as the actions say: wrong unit or scale, or "
        + ("steps were left out" if ratio > 1 else "a tool that was held back"),
        None,
        keys.ACTION,
        f"{limits['warn_low']:g} to {limits['warn_high']:g} times",
        f"{ratio:.2g} times",
    )


def no_motion(fields: Fields) -> str:
    """What is missing to compare the actions with the motion."""
    if fields.translation is None:
        return "no action whose first three dimensions are documented in m"
    return "" if fields.position else "no position of the tool (e.g. observation/state/tcp_pos)"


def _listed(sums: Sums) -> str:
    return ", ".join(f"{k:+d}: {r:.2f}" for k, r in zip(LAGS, turned_residuals(sums), strict=True))


def _no_displacement(fields: Fields) -> str:
    return no_motion(fields) or ("the actions are targets" if fields.targets_absolute else "")


_RLDS = 'RLDS, "Dataset format"'
ALIGNMENT = Check(
    name="alignment",
    rule="The fit ds[t+k] = g R a[t], k = -2 .. 2, is best at k = 0, or no other k is better by "
    "0.1. k < 0 means that the motion comes before its action (error), k > 0 that it lags "
    "(warning). A fit that leaves more than the thresholds means that actions and motion are "
    "unrelated. Steps at which the tool is held back count nothing; commands that hardly change "
    "over two steps give no error.",
    severity="error, warning",
    source=f"{_RLDS}; shifts published in LIBERO #54, VLABench #70; thresholds measured",
    remedy="k < 0: import again with each action in the row of the observation it was taken from. "
    "k > 0: measure the delay of your robot and camera; one step is common.",
    thresholds=_UNEXPLAINED,
    missing=no_motion,
    uses=(MOTION,),
    judge=judge_alignment,
)
ACTION_KIND = Check(
    name="action_kind",
    rule="Actions declared as displacements are nearer to displacements than to positions, and the "
    "other way round: of the sums of squared distances one is less than a quarter of the other.",
    severity="error",
    source="taco_play in Open X-Embodiment, openvla #317",
    remedy="`serlds convert --apply to_delta_actions` (or to_absolute_actions), or correct the "
    "documentation of the field.",
    missing=no_motion,
    uses=(MOTION,),
    judge=judge_kind,
)
ACTION_FRAME = Check(
    name="action_frame",
    rule="The rotation that best turns commands into motions (Procrustes) is small; given 100 "
    "transitions, motion in two directions and a fit that explains them.",
    severity="error, warning",
    source="Kabsch 1976; octo #116; thresholds measured",
    remedy="Correct the frame when importing, e.g. actions in the camera's or the tool's frame.",
    thresholds=(
        Threshold("warn_deg", 15, "degrees", "from here a warning"),
        Threshold("fail_deg", 30, "degrees", "from here an error"),
        Threshold("max_residual", 0.5, "share of squared motion", "above it nothing is said"),
    ),
    missing=no_motion,
    uses=(MOTION,),
    judge=judge_frame,
)
ACTION_SCALE = Check(
    name="action_scale",
    rule="Over 8 steps the tool moves about as far as the actions say.",
    severity="error, warning",
    source="Open X-Embodiment: scales of 15 to 100 per dataset; thresholds measured: 0.6 to 1.2 "
    "on clean data",
    remedy="Correct the scale or unit of the action when importing. A tool that is held back by "
    "the limits of its workspace moves less and is fine.",
    thresholds=(
        Threshold("warn_low", 0.4, "m per m", "below it a warning"),
        Threshold("warn_high", 1.6, "m per m", "above it a warning"),
        Threshold("fail_low", 0.05, "m per m", "below it an error"),
        Threshold("fail_high", 2.5, "m per m", "above it an error"),
        Threshold("min_free", 0.1, "share of steps", "with a motion; below it no fit is asked for"),
        Threshold("max_residual", 0.6, "share of squared motion", "above it nothing is said"),
        Threshold("max_deg", 30, "degrees", "of a turned frame, above which nothing is said"),
    ),
    missing=_no_displacement,
    uses=(MOTION,),
    judge=judge_scale,
)
