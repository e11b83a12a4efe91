"""The rules that an episode must keep to be read rightly at all; every pipeline applies them.

They read image headers, never pixels, and what they find are errors. Whether the data is any good
is for the other files of this folder.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...datasets import keys
from ...datasets.episode import Column, Episode
from ...datasets.errors import SchemaError
from ...datasets.records import check_episode
from ...datasets.schema import Field, Schema
from ..findings import ERROR, Finding
from .check import Check, Limits
from .fields import Fields, dimension_name
from .image_headers import HeaderReader
from .look import Look

_RLDS = 'RLDS (github.com/google-research/rlds), "Dataset format"'


def find_schema(look: Look, limits: Limits) -> Iterator[Finding]:
    """Fields that are not as declared."""
    try:
        check_episode(look.episode, look.schema)
    except SchemaError as error:
        yield Finding("schema", ERROR, str(error))


def find_images(look: Look, limits: Limits) -> Iterator[Finding]:
    """Images whose header is not as declared, or which end early."""
    for field in look.schema.image_fields:
        yield from _find_in_column(field, look.episode.columns[field.path])


def find_flags(look: Look, limits: Limits) -> Iterator[Finding]:
    """Flags at wrong steps."""
    columns, last = look.episode.columns, len(look.episode) - 1
    if last < 1:
        yield Finding("flags", ERROR, "the episode has no transition", 0, "", "2 steps", "1 step")
    for path, step in ((keys.IS_FIRST, 0), (keys.IS_LAST, last)):
        if path in look.schema:
            steps = np.flatnonzero(columns[path])
            if steps.tolist() != [step]:
                yield _flag_finding(path, steps, step, f"step {step} alone")
    if keys.IS_TERMINAL in look.schema:
        steps = np.flatnonzero(columns[keys.IS_TERMINAL])
        if steps.size and steps.tolist() != [last]:
            yield _flag_finding(keys.IS_TERMINAL, steps, last, f"step {last} or none")


def find_discount(look: Look, limits: Limits) -> Iterator[Finding]:
    """Discounts that tell another end than `is_terminal`."""
    discount = np.asarray(look.episode.columns[keys.DISCOUNT])[: look.action_rows]
    outside = np.flatnonzero((discount < 0) | (discount > 1))
    if outside.size:
        step = int(outside[0])
        message = f"out of its range at {outside.size} step(s)"
        found = f"{discount[step]:g}"
        yield Finding("discount", ERROR, message, step, keys.DISCOUNT, "0 to 1", found)
    last = len(discount) - 1
    terminal = bool(look.episode.columns[keys.IS_TERMINAL][-1])
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
        expected, found = "0.0" if terminal else "above 0", f"{discount[last]:g}"
        yield Finding("discount", ERROR, message, last, keys.DISCOUNT, expected, found)


def find_not_finite(look: Look, limits: Limits) -> Iterator[Finding]:
    """Numbers that are NaN or infinite."""
    for field in look.schema.steps:
        if not field.dtype.startswith("float"):
            continue
        values = np.asarray(look.episode.columns[field.path])
        if np.isfinite(values).all():
            continue
        values = values.reshape(len(look.episode), -1)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        dimension = int(np.flatnonzero(~np.isfinite(values[bad[0]]))[0])
        message = f"{dimension_name(field, dimension)} is not finite; {bad.size} step(s) in all"
        found = str(values[bad[0], dimension])
        yield Finding("finite", ERROR, message, int(bad[0]), field.path, "a finite number", found)


SCHEMA = Check(
    name="schema",
    rule="The fields are those declared, each with its dtype, shape and one value per step.",
    severity="error",
    source="features.json of the dataset; TFDS features",
    remedy="Restore or import these episodes again; `serlds drop` takes them out.",
    episode=find_schema,
)
IMAGES = Check(
    name="images",
    rule="Each image has the declared encoding and size and an end marker. A reader that is given "
    "PNG for JPEG does not complain.",
    severity="error",
    source="ITU T.81 annex B (JPEG), ISO/IEC 15948 (PNG): read from the headers",
    remedy="Import the images again with the right declaration, or drop the episodes.",
    missing=lambda fields: "" if fields.schema.image_fields else "no image field",
    episode=find_images,
)
FLAGS = Check(
    name="flags",
    rule="`is_first` at the first step only, `is_last` at the last only, `is_terminal` nowhere but "
    "there; at least one action, hence two steps.",
    severity="error",
    source=_RLDS,
    remedy="Import the episodes again; `serlds drop` takes out those without an action.",
    episode=find_flags,
)
DISCOUNT = Check(
    name="discount",
    rule="`discount` is 0 at the last transition if and only if the episode terminated, above 0 "
    "before, and at most 1. A time limit keeps it above 0.",
    severity="error",
    source=_RLDS + '; Pardo et al. 2018, "Time Limits in Reinforcement Learning"',
    remedy="Import the episodes again with the termination that they had.",
    missing=lambda fields: (
        "" if {keys.DISCOUNT, keys.IS_TERMINAL} <= _paths(fields) else "no discount or is_terminal"
    ),
    episode=find_discount,
)
FINITE = Check(
    name="finite",
    rule="No number is NaN or infinite. One makes the weights of a network NaN.",
    severity="error",
    source="IEEE 754",
    remedy="Drop these episodes, or the field (`serlds convert --apply drop_field:path=...`).",
    episode=find_not_finite,
)
EPISODE_CHECKS = (SCHEMA, IMAGES, FLAGS, DISCOUNT, FINITE)


def check_one(episode: Episode, schema: Schema) -> list[Finding]:
    """What makes an episode unreadable; one that does not fit its schema is not checked further."""
    look = Look(episode, Fields(schema))
    found: list[Finding] = []
    for check in EPISODE_CHECKS:
        if check.episode and not check.missing(look.fields):
            found.extend(check.episode(look, {}))
        if found and check is SCHEMA:
            break
    return found


def _paths(fields: Fields) -> set[str]:
    return {field.path for field in fields.schema.steps}


def _find_in_column(field: Field, images: Column) -> Iterator[Finding]:
    # A dimension that the features leave open (None) may be anything.
    declared, reader = (field.encoding, *field.shape), HeaderReader()
    reader = HeaderReader()
    for step in _steps_to_read(reader, images):
        try:
            header = reader.read(images[step])
        except ValueError as error:
            message = "the image is damaged"
            yield Finding("images", ERROR, message, step, field.path, str(declared), str(error))
            return
        if header != declared and any(
            want not in (None, have) for want, have in zip(declared, header, strict=True)
        ):
            message = "the image is not what the schema declares"
            found = str(tuple(header))
            yield Finding("images", ERROR, message, step, field.path, str(declared), found)
            return


def _steps_to_read(reader: HeaderReader, images: Column) -> Iterator[int]:
    # Images that begin as the first one does say the same of themselves.
    if len(images):
        yield 0
        yield from reader.unlike(images)


def _flag_finding(path: str, steps: np.ndarray, right: int, expected: str) -> Finding:
    wrong = [int(step) for step in steps if step != right]
    listed = ", ".join(str(step) for step in steps[:5]) + (", ..." if len(steps) > 5 else "")
    found = f"true at step(s) {listed}" if len(steps) else "true nowhere"
    step = wrong[0] if wrong else right
    return Finding("flags", ERROR, "is set wrongly", step, path, expected, found)
