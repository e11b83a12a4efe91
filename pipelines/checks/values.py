"""Numbers that carry nothing: out of range, constant, stuck at a limit, dummies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...datasets import keys
from ...datasets.schema import Field
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Measurement, Sums, Threshold
from .fields import Fields, dimension_name, is_unused
from .look import Look

_MIN_STEPS = 20


def find_out_of_range(look: Look, limits: Limits) -> Iterator[Finding]:
    """Normalised actions beyond [-1, 1]."""
    size = np.abs(look.actions).max(axis=1, initial=0.0)
    outside = np.flatnonzero(size > 1 + limits["tolerance"])
    if outside.size:
        step = int(outside[0])
        message = f"out of the action space at {outside.size} step(s)"
        found = f"{size[step]:g}"
        yield Finding("action_range", ERROR, message, step, keys.ACTION, "-1 to 1", found)


def find_bad_embeddings(look: Look, limits: Limits) -> Iterator[Finding]:
    """Language embeddings that are not of length 1, such as zeros in the place of one."""
    for field in look.fields.embeddings:
        length = np.linalg.norm(np.asarray(look.episode.columns[field.path], np.float64), axis=1)
        wrong = np.flatnonzero(np.abs(length - 1) > limits["tolerance"])
        if wrong.size:
            step = int(wrong[0])
            message = f"the embedding is not of length 1 at {wrong.size} step(s)"
            expected, found = f"1 +- {limits['tolerance']:g}", f"{length[step]:.3g}"
            yield Finding("embedding", ERROR, message, step, field.path, expected, found)


def take_bounds(look: Look) -> Sums:
    """Of each dimension of `Fields.measured`: `low`, `high`, `at_low`, `at_high`, `count`: (D,).

    `at_low` counts the steps at which it is exactly at its least value.
    """
    parts = []
    for field in look.fields.measured:
        values = np.asarray(look.episode.columns[field.path], np.float64).reshape(
            len(look.episode), -1
        )
        parts.append(values[: look.action_rows] if field is look.fields.action else values)
    if not parts or any(not np.isfinite(part).all() or not len(part) for part in parts):
        return {}
    lows, highs = [p.min(axis=0) for p in parts], [p.max(axis=0) for p in parts]
    at_low = [np.sum(p == low, axis=0) for p, low in zip(parts, lows, strict=True)]
    at_high = [np.sum(p == high, axis=0) for p, high in zip(parts, highs, strict=True)]
    counts = [np.full(p.shape[1], len(p)) for p in parts]
    found = {"low": lows, "high": highs, "at_low": at_low, "at_high": at_high, "count": counts}
    return {name: np.concatenate(arrays).astype(float) for name, arrays in found.items()}


def merge_bounds(several: Sequence[Sums]) -> Sums:
    """The bounds of all, with the steps of each that are at the common bound."""
    all_of = {name: np.stack([one[name] for one in several]) for name in several[0]}
    low, high = all_of["low"].min(axis=0), all_of["high"].max(axis=0)
    return {
        "low": low,
        "high": high,
        "at_low": np.sum(all_of["at_low"] * (all_of["low"] == low), axis=0),
        "at_high": np.sum(all_of["at_high"] * (all_of["high"] == high), axis=0),
        "count": all_of["count"].sum(axis=0),
    }


BOUNDS = Measurement("bounds", take_bounds, merge_bounds)


def judge_constant(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Dimensions that never change."""
    sums = evidence.sums["bounds"]
    for at, (field, dimension) in enumerate(dimensions(evidence.fields)):
        if not sums or sums["count"][at] < _MIN_STEPS or is_unused(field):
            continue
        spread = sums["high"][at] - sums["low"][at]
        if spread <= limits["min_spread"]:
            message = f"{dimension_name(field, dimension)} is always {sums['low'][at]:g}"
            expected, found = f"a spread above {limits['min_spread']:g}", f"{spread:.2g}"
            yield Finding("constant", WARNING, message, None, field.path, expected, found)


def judge_saturation(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Dimensions that stand at their least or greatest value much of the time."""
    sums = evidence.sums["bounds"]
    for at, (field, dimension) in enumerate(dimensions(evidence.fields)):
        if not sums or sums["count"][at] < _MIN_STEPS or sums["high"][at] == sums["low"][at]:
            continue
        if _is_gripper(evidence.fields, field, dimension):
            continue
        share = max(sums["at_low"][at], sums["at_high"][at]) / sums["count"][at]
        two_values = sums["at_low"][at] + sums["at_high"][at] == sums["count"][at]
        most = limits["max_action" if field is evidence.fields.action else "max_observed"]
        if share > most and not two_values:
            message = (
                f"{dimension_name(field, dimension)} stands at its limit: is it cut off there?"
            )
            expected, found = f"at most {most:.0%} of the steps", f"{share:.0%}"
            yield Finding("saturation", WARNING, message, None, field.path, expected, found)


def dimensions(fields: Fields) -> list[tuple[Field, int]]:
    """(field, dimension) of each entry of the bounds, in order."""
    return [(field, dimension) for field in fields.measured for dimension in range(field.size)]


def take_dummies(look: Look) -> Sums:
    """Episodes in all, with a last row that counts as an action, and with dummies: (4,).

    A dummy moves nothing: all dimensions but the gripper's are 0.
    """
    if not len(look.actions) or look.fields.targets_absolute:
        return {}
    at = look.fields.gripper_command
    arm = np.delete(look.actions, at.start, axis=1) if at else look.actions
    real_last = look.action_rows == len(look.episode)
    first, last = not arm[0].any(), real_last and not arm[-1].any()
    return {"episodes": np.array([1, real_last, last, first], float)}


DUMMIES = Measurement("dummies", take_dummies)


def judge_dummies(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Zero actions in the place of real ones, at the same end of most episodes."""
    if not evidence.sums["dummies"]:
        return
    episodes, real_last, last, first = evidence.sums["dummies"]["episodes"]
    expected = f"at most {limits['max_share']:.0%} of the episodes"
    if real_last and last > limits["max_share"] * real_last:
        message = (
            "the last step counts as an action (it has a reward or a discount), but it is a dummy"
        )
        found = f"{last / real_last:.0%}"
        yield Finding("dummy_action", ERROR, message, None, keys.ACTION, expected, found)
    if first > limits["max_share"] * episodes:
        message = "the first action is all zero"
        found = f"{first / episodes:.0%}"
        yield Finding("dummy_action", WARNING, message, 0, keys.ACTION, expected, found)


def _is_gripper(fields: Fields, field: Field, dimension: int) -> bool:
    command = fields.gripper_command
    if field is fields.action:
        return command is not None and command.start == dimension
    return fields.gripper is not None and field is fields.gripper.field


def _no_numbers(fields: Fields) -> str:
    return "" if fields.measured else "no action vector and no numbers observed"


def _no_displacements(fields: Fields) -> str:
    if fields.action is None:
        return "no action vector"
    return "the actions are targets" if fields.targets_absolute else ""


ACTION_RANGE = Check(
    name="action_range",
    rule="Actions that document a scale are normalised: |a| <= 1. A policy with a tanh output "
    "cannot give more.",
    severity="error",
    source="serlds' data contract",
    remedy="Clip or rescale the actions when importing, or correct the documented scale.",
    thresholds=(Threshold("tolerance", 1e-6, "1", "rounding of float32"),),
    missing=lambda fields: (
        "" if fields.action and fields.action.about.scale else "the action documents no scale"
    ),
    episode=find_out_of_range,
)
EMBEDDING = Check(
    name="embedding",
    rule="Language embeddings have length 1.",
    severity="error",
    source="Universal Sentence Encoder; zeros stand in published sets where the encoder was absent",
    remedy="Compute the embedding again (`serlds convert --apply`, see docs/transforms.md).",
    thresholds=(Threshold("tolerance", 0.05, "1", "distance of the length from 1"),),
    missing=lambda fields: "" if fields.embeddings else "no language embedding",
    episode=find_bad_embeddings,
)
CONSTANT = Check(
    name="constant",
    rule="Each dimension of action and state is used, given 20 steps. A reader that normalises by "
    "range or deviation divides by zero. A field documented as `unused` may be constant.",
    severity="warning",
    source="OpenVLA zeroes dimensions whose min and max are equal",
    remedy="Fine where it is meant, as a gripper that stays closed; else leave the dimension out "
    "(`serlds convert --apply select_dimensions:...`), or the field (drop_field:path=...).",
    thresholds=(Threshold("min_spread", 1e-6, "unit of the field", "max minus min"),),
    missing=_no_numbers,
    uses=(BOUNDS,),
    judge=judge_constant,
)
SATURATION = Check(
    name="saturation",
    rule="No dimension stands at exactly its least or greatest value for much of the time; the "
    "gripper and dimensions of two values may.",
    severity="warning",
    source="a sensor or command that is cut off; measured: 86 % in a scripted expert's actions",
    remedy="Check the range of the sensor, or the scale that actions were divided by.",
    thresholds=(
        Threshold("max_observed", 0.25, "share of steps", "of an observation"),
        Threshold("max_action", 0.9, "share of steps", "of an action"),
    ),
    missing=_no_numbers,
    uses=(BOUNDS,),
    judge=judge_saturation,
)
DUMMY_ACTION = Check(
    name="dummy_action",
    rule="A last step that counts as an action holds a real one (error), and so does the first "
    "(warning): not all zero in most episodes, the gripper aside.",
    severity="error, warning",
    source="RLDS leaves the last action void, most of Open X-Embodiment does not; Bridge's first "
    "actions are zero",
    remedy="Give the void last step discount 0 and reward 0 when importing, or leave it out; "
    "`serlds convert --apply drop_noops:where=start` takes away the first.",
    thresholds=(Threshold("max_share", 0.5, "share of episodes", "with a dummy"),),
    missing=_no_displacements,
    uses=(DUMMIES,),
    judge=judge_dummies,
)
