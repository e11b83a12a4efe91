"""The rules that each episode must keep, one small pure function each.

A check gets an episode and its schema and yields what it found; it reads image headers, never
pixels. Fields that the schema does not have are not checked. Rules about a whole dataset are in
`dataset_checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..datasets import keys
from ..datasets.episode import Column, Episode
from ..datasets.errors import SchemaError
from ..datasets.records import check_episode
from ..datasets.schema import Field, Schema
from .action_rows import num_action_rows
from .findings import ERROR, WARNING, Finding
from .image_headers import read_image_header

Check = Callable[[Episode, Schema], Iterable[Finding]]
# Rounding of a float32 action that was clipped in float64.
_RANGE_TOLERANCE = 1e-6


def check_schema(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """The fields are those declared, each with its dtype, shape and the episode's number of steps.

    Rule: exact agreement with `features.json`.
    Source: TFDS features (https://www.tensorflow.org/datasets/features).
    """
    try:
        check_episode(episode, schema)
    except SchemaError as error:
        yield Finding("schema", ERROR, str(error))


def check_images(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """Each image has the declared encoding and size, and does not end early.

    Rule: exact agreement of the header with `features.json`, and an end marker; pixels are not
    decoded. A reader given PNG bytes for a JPEG feature does not complain.
    """
    for field in schema.image_fields:
        yield from _check_image_column(field, episode.columns[field.path])


def check_flags(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """`is_first` at the first step only, `is_last` at the last only, `is_terminal` nowhere else.

    Rule: exact; an episode has at least one action, hence two steps.
    Source: RLDS (https://github.com/google-research/rlds, "Dataset format").
    """
    last = len(episode) - 1
    if last < 1:
        yield Finding("flags", ERROR, "the episode has no transition", 0, "", "2 steps", "1 step")
    for path, step in ((keys.IS_FIRST, 0), (keys.IS_LAST, last)):
        if path in schema:
            steps = np.flatnonzero(episode.columns[path])
            if steps.tolist() != [step]:
                yield _flag_finding(path, steps, step, f"step {step} alone")
    if keys.IS_TERMINAL in schema:
        steps = np.flatnonzero(episode.columns[keys.IS_TERMINAL])
        if steps.size and steps.tolist() != [last]:
            yield _flag_finding(keys.IS_TERMINAL, steps, last, f"step {last} or none")


def check_discount(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """`discount` is 0 at the transition that terminated the episode and nowhere else.

    Rule: 0 at the last transition if and only if `is_terminal` is true at the last step; in [0, 1]
    everywhere. A time limit keeps it above 0.
    Source: RLDS ("Dataset format"); Pardo et al. 2018, "Time Limits in Reinforcement Learning".
    """
    if keys.DISCOUNT not in schema or keys.IS_TERMINAL not in schema:
        return
    discount = np.asarray(episode.columns[keys.DISCOUNT])[: num_action_rows(episode)]
    outside = np.flatnonzero((discount < 0) | (discount > 1))
    if outside.size:
        yield _value_finding(
            "discount", keys.DISCOUNT, outside, discount, "0 to 1", "out of its range"
        )
    last = len(discount) - 1
    terminal = bool(episode.columns[keys.IS_TERMINAL][-1])
    zeros = np.flatnonzero(discount == 0)
    early = zeros[zeros < last]
    if early.size:
        message = f"0 at {early.size} step(s) before the last transition"
        yield Finding("discount", ERROR, message, int(early[0]), keys.DISCOUNT, "above 0", "0.0")
    if last >= 0 and terminal != bool(discount[last] == 0):
        message = (
            "the episode terminated, but its last transition does not say so"
            if terminal
            else "0 at the last transition of an episode that did not terminate"
        )
        expected = "0.0" if terminal else "above 0"
        yield Finding(
            "discount", ERROR, message, last, keys.DISCOUNT, expected, f"{discount[last]:g}"
        )


def check_finite(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """No number is NaN or infinite.

    Rule: exact. One such number makes a network's weights NaN.
    """
    for field in schema.steps:
        if not field.dtype.startswith("float"):
            continue
        values = np.asarray(episode.columns[field.path]).reshape(len(episode), -1)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            row = values[bad[0]]
            dimension = int(np.flatnonzero(~np.isfinite(row))[0])
            yield Finding(
                "finite",
                ERROR,
                f"dimension {dimension} is not finite; {bad.size} step(s) in all",
                int(bad[0]),
                field.path,
                "a finite number",
                str(row[dimension]),
            )


def check_action_range(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """Normalised actions are within [-1, 1].

    Rule: |a| <= 1 + 1e-6 for an action field that documents a scale; without one its values are
    physical and have no common bound. A policy with a tanh output cannot reproduce more.
    """
    if keys.ACTION not in schema or not schema.action.about.scale:
        return
    action = np.asarray(episode.columns[keys.ACTION])[: num_action_rows(episode)]
    size = np.abs(action.reshape(len(action), -1)).max(axis=1, initial=0.0)
    outside = np.flatnonzero(size > 1 + _RANGE_TOLERANCE)
    if outside.size:
        yield _value_finding(
            "action_range", keys.ACTION, outside, size, "-1 to 1", "out of the action space"
        )


def check_success_reward(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """Success and a sparse reward tell the same story.

    Rule: a successful episode has a reward other than 0; an episode whose rewards are 0 and 1 with
    a 1 among them is marked successful. Other rewards are dense and say nothing about success.
    """
    if keys.REWARD not in schema or keys.SUCCESS not in episode.metadata:
        return
    rewards = np.asarray(episode.columns[keys.REWARD])[: num_action_rows(episode)]
    if episode.success and not rewards.any():
        yield Finding(
            "success_reward",
            ERROR,
            "marked successful, but every reward is 0",
            None,
            keys.REWARD,
            "a reward",
            "none",
        )
    ones = np.flatnonzero(rewards == 1)
    if not episode.success and ones.size and np.isin(rewards, (0, 1)).all():
        message = "sparse reward of 1, but the episode is not marked successful"
        yield Finding(
            "success_reward", ERROR, message, int(ones[0]), keys.REWARD, "success", "no success"
        )


def check_timestamps(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """Time goes forward: each `timestamp_s` is later than the one before.

    Rule: strictly increasing.
    """
    if keys.TIMESTAMP_S not in schema:
        return
    times = np.asarray(episode.columns[keys.TIMESTAMP_S])
    backward = np.flatnonzero(np.diff(times) <= 0) + 1
    if backward.size:
        step = int(backward[0])
        yield Finding(
            "timestamps",
            ERROR,
            f"does not increase at {backward.size} step(s)",
            step,
            keys.TIMESTAMP_S,
            f"after {times[step - 1]:g} s",
            f"{times[step]:g} s",
        )


def check_language(episode: Episode, schema: Schema) -> Iterator[Finding]:
    """Every step says what the robot is asked to do.

    Rule: not empty, not blank. Language-conditioned readers drop such episodes.
    """
    if keys.LANGUAGE_INSTRUCTION not in schema:
        return
    texts = episode.columns[keys.LANGUAGE_INSTRUCTION]
    empty = [step for step, text in enumerate(texts) if not text.strip()]
    if empty:
        message = f"empty at {len(empty)} of {len(texts)} steps"
        yield Finding("language", WARNING, message, empty[0], keys.LANGUAGE_INSTRUCTION)


CHECKS: dict[str, Check] = {
    "schema": check_schema,
    "images": check_images,
    "flags": check_flags,
    "discount": check_discount,
    "finite": check_finite,
    "action_range": check_action_range,
    "success_reward": check_success_reward,
    "timestamps": check_timestamps,
    "language": check_language,
}


def check_one(episode: Episode, schema: Schema) -> list[Finding]:
    """All findings about one episode; one that does not fit its schema is not checked further."""
    found: list[Finding] = []
    for check in CHECKS.values():
        found.extend(check(episode, schema))
        if found and check is check_schema:
            break
    return found


def _check_image_column(field: Field, images: Column) -> Iterator[Finding]:
    # A dimension that the features leave open (None) may be anything.
    declared = (field.encoding, *field.shape)
    for step, encoded in enumerate(images):
        try:
            header = read_image_header(encoded)
        except ValueError as error:
            message = "the image is damaged"
            yield Finding("images", ERROR, message, step, field.path, str(declared), str(error))
            return
        if any(want not in (None, have) for want, have in zip(declared, header, strict=True)):
            message = "the image is not what the schema declares"
            found = str(tuple(header))
            yield Finding("images", ERROR, message, step, field.path, str(declared), found)
            return


def _flag_finding(path: str, steps: np.ndarray, right: int, expected: str) -> Finding:
    wrong = [int(step) for step in steps if step != right]
    listed = ", ".join(str(step) for step in steps[:5]) + (", ..." if len(steps) > 5 else "")
    found = f"true at step(s) {listed}" if len(steps) else "true nowhere"
    return Finding(
        "flags", ERROR, "is set wrongly", wrong[0] if wrong else right, path, expected, found
    )


def _value_finding(
    check: str, path: str, steps: np.ndarray, values: np.ndarray, expected: str, what: str
) -> Finding:
    step = int(steps[0])
    message = f"{what} at {len(steps)} step(s)"
    return Finding(check, ERROR, message, step, path, expected, f"{values[step]:g}")
