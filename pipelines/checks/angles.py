"""Rotations: quaternions of length one, angles in rad, no jumps by a whole turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Measurement, Sums, Threshold
from .fields import Columns, Fields
from .look import Look
from .motion import WINDOW


def find_quaternions(look: Look, limits: Limits) -> Iterator[Finding]:
    """Quaternions that are no rotations, and jumps from q to -q."""
    for columns in look.fields.quaternions:
        quat = columns.raw(look.episode)
        if columns.path == keys.ACTION:
            quat = quat[: look.action_rows]
        if not len(quat) or not np.isfinite(quat).all():
            continue
        length = np.linalg.norm(quat, axis=1)
        off = np.abs(length - 1)
        worst = int(np.argmax(off))
        if off[worst] > limits["warn_norm"]:
            severity = ERROR if off[worst] > limits["fail_norm"] else WARNING
            expected, found = f"1 +- {limits['warn_norm']:g}", f"{length[worst]:.4g}"
            message = "the quaternion is not of length 1"
            yield Finding("quaternion", severity, message, worst, columns.path, expected, found)
        elif len(flips := np.flatnonzero(np.sum(quat[1:] * quat[:-1], axis=1) < 0)):
            message = f"jumps from q to -q, the same rotation, at {len(flips)} step(s)"
            step = int(flips[0]) + 1
            yield Finding("quaternion", WARNING, message, step, columns.path, "one sign", "both")


def find_wraps(look: Look, limits: Limits) -> Iterator[Finding]:
    """Angles that jump by nearly a half turn or more between steps."""
    for columns in look.fields.angles:
        values = columns.physical(look.episode)
        jumps = np.abs(np.diff(values, axis=0))
        if not np.isfinite(jumps).all() or not jumps.size or jumps.max() <= limits["max_rad"]:
            continue
        if np.abs(values).max() > limits["max_rad"] * 4:
            continue  # not rad at all: for `rotation_units` to tell
        step, dimension = np.unravel_index(int(np.argmax(jumps)), jumps.shape)
        message = f"dimension {dimension} jumps, as an angle does that wraps around"
        expected, found = f"at most {limits['max_rad']:.2f} rad", f"{jumps.max():.2f} rad"
        yield Finding("angle_wrap", WARNING, message, int(step) + 1, columns.path, expected, found)
    if look.fields.turn is not None and not look.fields.targets_absolute:
        turn = np.abs(look.fields.turn.physical(look.episode)[: look.action_rows]).max(axis=1)
        wrapped = np.flatnonzero((turn > limits["max_rad"]) & (turn < 2.1 * np.pi))
        if wrapped.size and np.median(turn) < limits["max_rad"] / 4:
            step = int(wrapped[0])
            message = f"turns by most of a circle in {wrapped.size} step(s): a difference of angles"
            expected, found = f"at most {limits['max_rad']:.2f} rad", f"{turn[step]:.2f} rad"
            yield Finding("angle_wrap", ERROR, message, step, keys.ACTION, expected, found)


def take_turns(look: Look) -> Sums:
    """`command`, `motion`: sums of the squared turns over WINDOW steps, in rad^2; `windows`."""
    turn, rotation, rows = look.fields.turn, look.fields.rotation, look.transitions
    if turn is None or rotation is None or rows < WINDOW or look.fields.targets_absolute:
        return {}
    command = turn.physical(look.episode)[:rows]
    motion = turns(rotation, look.episode)[:rows]
    if not (np.isfinite(command).all() and np.isfinite(motion).all()):
        return {}
    return {
        "command": np.array(_windowed(command)),
        "motion": np.array(_windowed(motion)),
        "windows": np.array(float(rows - WINDOW + 1)),
    }


TURNS = Measurement("turns", take_turns)


def take_spans(look: Look) -> Sums:
    """Largest absolute value of each field of angles, in its declared unit: (fields,)."""
    if not look.fields.angles:
        return {}
    sizes = [np.abs(columns.physical(look.episode)) for columns in look.fields.angles]
    return {"largest": np.array([s[np.isfinite(s)].max(initial=0.0) for s in sizes])}


def largest_of(several: Sequence[Sums]) -> Sums:
    """The largest of contributions."""
    return {"largest": np.max([one["largest"] for one in several], axis=0)}


SPANS = Measurement("angle_spans", take_spans, largest_of)


def judge_units(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Degrees where rad is declared, in observations or actions."""
    spans = evidence.sums["angle_spans"]
    for columns, largest in zip(evidence.fields.angles, spans.get("largest", ()), strict=False):
        if "deg" not in columns.field.about.unit and largest > limits["max_rad"]:
            message = "angles far beyond a turn: degrees where rad is expected"
            expected = f"at most {limits['max_rad']:.1f} rad"
            found = f"{largest:.4g}"
            yield Finding("rotation_units", ERROR, message, None, columns.path, expected, found)
    sums = evidence.sums["turns"]
    if not sums or min(sums["command"], sums["motion"]) < limits["min_rad"] ** 2 * sums["windows"]:
        return
    ratio = float(np.sqrt(sums["command"] / sums["motion"]))
    degrees = 30 < ratio < 120 or 30 < 1 / ratio < 120
    if degrees or not 1 / limits["warn_ratio"] <= ratio <= limits["warn_ratio"]:
        guess = ": degrees for rad on one side" if degrees else ""
        message = f"the tool is told to turn {ratio:.2g} times as far as it turns{guess}"
        expected = (
            f"at most {limits['warn_ratio']:g} times, and at least 1/{limits['warn_ratio']:g}"
        )
        severity = ERROR if degrees else WARNING
        yield Finding(
            "rotation_units", severity, message, None, keys.ACTION, expected, f"{ratio:.2g}"
        )


def turns(columns: Columns, episode: Episode) -> np.ndarray:
    """How far each step turned: (T - 1, 3) rad; for angles their differences, unwrapped.

    Differences of angles are rotation vectors up to a rotation while they are small, which is
    enough to compare their sizes.
    """
    values = columns.physical(episode)
    if columns.stop - columns.start == 3:
        return (np.diff(values, axis=0) + np.pi) % (2 * np.pi) - np.pi
    a, b = values[:-1], values[1:]
    b = b * np.where(np.sum(a * b, axis=1, keepdims=True) < 0, -1, 1)
    # Of a unit quaternion |q' - q| = 2 sin(angle / 4); the direction in R^4 serves as well.
    size = np.linalg.norm(b - a, axis=1, keepdims=True)
    angle = 4 * np.arcsin(np.clip(size / 2, 0, 1))
    # Three numbers of that length whose sum over steps grows as the rotation does.
    local = np.stack(
        [
            2 * (a[:, 0] * b[:, i] - a[:, i] * b[:, 0] - (a[:, j] * b[:, k] - a[:, k] * b[:, j]))
            for i, j, k in ((1, 2, 3), (2, 3, 1), (3, 1, 2))
        ],
        axis=1,
    )
    length = np.linalg.norm(local, axis=1, keepdims=True)
    return local * np.where(length > 0, angle / np.maximum(length, 1e-12), 0)


def _windowed(values: np.ndarray) -> float:
    summed = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return float(np.sum((summed[WINDOW:] - summed[:-WINDOW]) ** 2))


def _no_angles(fields: Fields) -> str:
    if fields.angles or (fields.turn and fields.rotation):
        return ""
    return "no angles or rotations among the fields"


QUATERNION = Check(
    name="quaternion",
    rule="Each quaternion has length 1 and keeps its sign from step to step: q and -q are the same "
    "rotation, but not to a network.",
    severity="error, warning",
    source="unit quaternions; thresholds above the rounding of float32 and of sensors",
    remedy="Normalise and continue the sign when importing, or convert the representation "
    "(`serlds convert --apply`, see docs/transforms.md).",
    thresholds=(
        Threshold("warn_norm", 1e-3, "1", "distance of the length from 1, from here a warning"),
        Threshold("fail_norm", 1e-2, "1", "the same, from here an error"),
    ),
    missing=lambda fields: "" if fields.quaternions else "no quaternion (a field named *quat*)",
    episode=find_quaternions,
)
ANGLE_WRAP = Check(
    name="angle_wrap",
    rule="No angle jumps between steps as one that wraps from pi to -pi does (warning); no "
    "commanded turn is such a jump (error).",
    severity="error, warning",
    source="0.9 pi: no arm turns that far in a step",
    remedy="Convert to another representation of rotations, or recompute the actions with wrapped "
    "differences.",
    thresholds=(Threshold("max_rad", 0.9 * np.pi, "rad", "largest jump of an angle in a step"),),
    missing=_no_angles,
    episode=find_wraps,
)
ROTATION_UNITS = Check(
    name="rotation_units",
    rule="Angles stay within two turns, and over 8 steps the tool turns about as far as told. A "
    "ratio of 30 to 120 means degrees on one side (error).",
    severity="error, warning",
    source="180 / pi = 57.3; thresholds measured",
    remedy="Convert degrees to rad when importing, or correct the unit in the schema.",
    thresholds=(
        Threshold("max_rad", 4 * np.pi, "rad", "largest angle observed"),
        Threshold("warn_ratio", 6, "rad per rad", "commanded to observed turn, or its inverse"),
        Threshold("min_rad", 0.01, "rad", "turns over 8 steps below it (rms) tell nothing"),
    ),
    missing=_no_angles,
    uses=(TURNS, SPANS),
    judge=judge_units,
)
