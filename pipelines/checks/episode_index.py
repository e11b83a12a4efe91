"""What is kept of every episode until the end, in few bytes: length and hashes.

Thirty bytes for each episode are 300 MB for ten million of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Measurement, Sums, Threshold, stack_up
from .look import Look

_MOST_NAMED = 1000


def take_index(look: Look) -> Sums:
    """`length` int32, `id` and `content` uint64 of one episode: (1,) each; an id of 0 is none.

    The content is that of all numbers of its steps: two recordings are never equal in these, two
    copies always.
    """
    content = hashlib.blake2b(digest_size=8)
    for field in look.schema.steps:
        if not field.is_image and field.dtype != "string":
            content.update(np.ascontiguousarray(look.episode.columns[field.path]).tobytes())
    name = look.episode.episode_id
    return {
        "length": np.array([len(look.episode)], np.int32),
        "id": np.array([_hash(name.encode()) if name else 0], np.uint64),
        "content": np.array([int.from_bytes(content.digest(), "little")], np.uint64),
    }


INDEX = Measurement("index", take_index, stack_up)


def judge_duplicates(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Episodes with an id or with content that an earlier one has."""
    sums = evidence.sums["index"]
    if not sums:
        return
    same_id = _repeats(sums["id"], sums["id"] != 0)
    told = {again for again, _ in same_id}
    same_content = [
        pair
        for pair in _repeats(sums["content"], np.ones(len(sums["content"]), bool))
        if pair[0] not in told
    ]
    for pairs, what in ((same_id, "id"), (same_content, "content")):
        if len(pairs) > _MOST_NAMED:
            message = f"{len(pairs)} episodes repeat the {what} of others; the first are listed"
            yield Finding("duplicates", ERROR, message)
        named = evidence.name_episodes([at for pair in pairs[:_MOST_NAMED] for at in pair])
        for (again, file, record), (first, where, index) in zip(
            named[::2], named[1::2], strict=True
        ):
            other = f"episode {first} " if what == "content" else ""
            message = f"the same {what} as {other}in {where}, record {index}"
            yield Finding("duplicates", ERROR, message).at(again, file, record)


def judge_lengths(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Episodes that are much shorter or longer than the others."""
    sums = evidence.sums["index"]
    if not sums or len(sums["length"]) < limits["min_episodes"]:
        return
    lengths = sums["length"] - 1
    median = float(np.median(lengths))
    low, high = median / limits["ratio"], median * limits["ratio"]
    outliers = np.flatnonzero((lengths < low) | (lengths > high))
    named = evidence.name_episodes(outliers[:_MOST_NAMED].tolist())
    for at, where in zip(outliers[:_MOST_NAMED], named, strict=True):
        longer = lengths[at] > median
        message = f"much {'longer' if longer else 'shorter'} than the others (median {median:g})"
        expected = f"{low:.0f} to {high:.0f} actions"
        finding = Finding("length", WARNING, message, None, "", expected, f"{lengths[at]}")
        yield finding.at(*where)


def _repeats(hashes: np.ndarray, considered: np.ndarray) -> list[tuple[int, int]]:
    """(ordinal, ordinal of the first with the same hash) of each but the first, in order."""
    ordinals = np.flatnonzero(considered)
    _, first, inverse, counts = np.unique(
        hashes[ordinals], return_index=True, return_inverse=True, return_counts=True
    )
    if not (counts > 1).any():
        return []
    again = np.flatnonzero(first[inverse] != np.arange(len(ordinals)))
    return [(int(ordinals[at]), int(ordinals[first[inverse[at]]])) for at in again]


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1


DUPLICATES = Check(
    name="duplicates",
    rule="No two episodes have the same id, and none has the numbers of another under another id. "
    "Of several all but the first are reported. Hashes of 8 bytes are compared.",
    severity="error",
    source="merged and re-imported datasets; a copy in both train and val measures nothing",
    remedy="`serlds drop` the copies.",
    uses=(INDEX,),
    judge=judge_duplicates,
)
LENGTH = Check(
    name="length",
    rule="No episode is several times as long as the median, or as short, given 10 episodes.",
    severity="warning",
    source="recordings that were not stopped, or by mistake",
    remedy="Look at them; `serlds drop` takes them out.",
    thresholds=(
        Threshold("ratio", 5.0, "1", "longest to median, and median to shortest"),
        Threshold("min_episodes", 10, "episodes", "with fewer nothing is said"),
    ),
    uses=(INDEX,),
    judge=judge_lengths,
)
