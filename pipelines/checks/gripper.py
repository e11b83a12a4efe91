"""Whether the gripper opens when told to open, and is told so in the documented range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...datasets import keys
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Measurement, Sums, Threshold
from .fields import Columns, Fields, open_and_closed
from .look import Look

LAGS = tuple(range(1, 9))
"""Steps after a command at which the gripper is looked at."""
_MIN_STEPS = 20


def take_gripper(look: Look) -> Sums:
    """Sums of command a[t] and opening s[t+k], k = 1 .. 8, for their correlations: (8, 6)."""
    command, state, rows = look.fields.gripper_command, look.fields.gripper, look.transitions
    if command is None or state is None or rows < 1:
        return {}
    told = command.raw(look.episode)[:rows, 0]
    # Two fingers may be written with opposite signs.
    opening = (
        np.abs(state.raw(look.episode)).mean(axis=1)
        if state.stop > 1
        else (state.raw(look.episode)[:, 0])
    )
    if not (np.isfinite(told).all() and np.isfinite(opening).all()):
        return {}
    sums = np.zeros((len(LAGS), 6))
    for at, lag in enumerate(LAGS):
        a, s = told[: max(0, len(opening) - lag)], opening[lag : lag + rows]
        a = a[: len(s)]
        sums[at] = len(a), a.sum(), s.sum(), a @ a, s @ s, a @ s
    return {"sums": sums}


GRIPPER = Measurement("gripper", take_gripper)


def take_commands(look: Look) -> Sums:
    """`count`, `middle`, `outside`: commands, those neither open nor closed, those beyond both."""
    command = look.fields.gripper_command
    ends = open_and_closed(command) if command else None
    if command is None or ends is None or look.fields.targets_absolute:
        return {}
    opened, closed = ends
    share = (command.raw(look.episode)[: look.action_rows, 0] - closed) / (opened - closed)
    middle = np.sum((share > 0.05) & (share < 0.95))
    outside = np.sum((share < -0.01) | (share > 1.01))
    return {"counts": np.array([len(share), middle, outside], float)}


COMMANDS = Measurement("gripper_commands", take_commands)


def judge_sign(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """A gripper that opens when told to close."""
    sums = evidence.sums["gripper"]
    if not sums or sums["sums"][0, 0] < _MIN_STEPS:
        return
    strongest = strongest_correlation(sums["sums"])
    command, state = evidence.fields.gripper_command, evidence.fields.gripper
    if command is None or state is None:
        return
    sign = _sense(command) * _sense(state)
    expected = "above 0" if sign > 0 else "below 0"
    if sign * strongest < -limits["min_correlation"]:
        documented = open_and_closed(command) is not None or "opening" in command.field.about.unit
        told = "documented" if documented else "assumed, as nothing documents it,"
        message = (
            f"the gripper moves against its command: as {told}, {_words(command)} in the action"
        )
        yield Finding(
            "gripper_sign",
            ERROR if documented else WARNING,
            message,
            None,
            keys.ACTION,
            f"a correlation {expected}",
            f"{strongest:.2f}",
        )


def judge_range(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Gripper commands beyond the documented range."""
    sums = evidence.sums["gripper_commands"]
    command = evidence.fields.gripper_command
    ends = open_and_closed(command) if command else None
    if not sums or ends is None or not sums["counts"][0]:
        return
    count, middle, outside = sums["counts"]
    low, high = min(ends), max(ends)
    if outside:
        message = f"{int(outside)} of {int(count)} gripper commands are beyond open and closed"
        expected, found = f"{low:g} to {high:g}", f"{outside / count:.0%} beyond"
        yield Finding("gripper_range", ERROR, message, None, keys.ACTION, expected, found)
    elif middle > limits["max_middle"] * count:
        message = "gripper commands are neither open nor closed; many readers make them one of both"
        expected, found = f"at most {limits['max_middle']:.0%} between", f"{middle / count:.0%}"
        yield Finding("gripper_range", WARNING, message, None, keys.ACTION, expected, found)


def strongest_correlation(sums: np.ndarray) -> float:
    """Correlation of command and opening at the lag of the largest covariance; 0 without change.

    The lag of the largest correlation may be one at which hardly anything still changed.
    """
    _, a, s, aa, ss, both = (sums / np.maximum(sums[:, :1], 1)).T
    covariance = both - a * s
    at = int(np.argmax(np.abs(covariance)))
    spread = max(aa[at] - a[at] ** 2, 0) * max(ss[at] - s[at] ** 2, 0)
    if spread <= 1e-12 * aa[at] * ss[at]:
        return 0.0
    return float(covariance[at] / np.sqrt(spread))


def _sense(columns: Columns) -> int:
    """+1 where greater values mean more open, as documented or else usual; -1 the other way."""
    ends = open_and_closed(columns)
    return -1 if ends is not None and ends[0] < ends[1] else 1


def _words(columns: Columns) -> str:
    return f"{'greater' if _sense(columns) > 0 else 'smaller'} is open"


def _no_gripper(fields: Fields) -> str:
    if fields.gripper_command is None:
        return "no gripper in the action"
    return "" if fields.gripper else "no gripper among the observations"


def _no_range(fields: Fields) -> str:
    if fields.gripper_command is None:
        return "no gripper in the action"
    said = open_and_closed(fields.gripper_command)
    return (
        "" if said else "the action does not document what is open and closed (`1 open, 0 closed`)"
    )


GRIPPER_SIGN = Check(
    name="gripper_sign",
    rule="Commands correlate with the opening 1 to 8 steps later, where they do most, "
    "with the documented sign; without documentation greater is open (then a warning).",
    severity="error, warning",
    source="14 of the Open X-Embodiment datasets are inverted by their readers; positronic #456",
    remedy="Invert the gripper or correct the documentation when importing. Blind where action and "
    "observation are both inverted.",
    thresholds=(Threshold("min_correlation", 0.3, "1", "against the sign, to be believed"),),
    missing=_no_gripper,
    uses=(GRIPPER,),
    judge=judge_sign,
)
GRIPPER_RANGE = Check(
    name="gripper_range",
    rule="Gripper commands are within the documented values of open and closed (error), most of "
    "them at either end (warning).",
    severity="error, warning",
    source="Octo makes commands below 0.05 or above 0.95 binary",
    remedy="Scale the gripper when importing. A gripper commanded continuously is fine for readers "
    "that do not make it binary: raise max_middle.",
    thresholds=(Threshold("max_middle", 0.5, "share of steps", "commands between 5 and 95 %"),),
    missing=_no_range,
    uses=(COMMANDS,),
    judge=judge_range,
)
