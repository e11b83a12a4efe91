"""`serlds split`: the episodes of a dataset dealt out to named splits, the same way every time."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..datasets import keys
from ..datasets.errors import UsageError
from ..datasets.paths import DatasetPath
from ..datasets.reading import open_dataset
from .convert import Chain
from .derive import Derivation, DeriveReport, copy_card, derive, derived_from
from .engine.loading import DatasetSource
from .engine.output import check_absent
from .engine.parts import RecordRef, locate_records, plan_parts
from .engine.runner import Progress, RunnerOptions
from .episode_labels import read_labels

By = Literal["episode", "task"]
FIELDS = {"episode": keys.EPISODE_ID, "task": keys.TASK}
_SPLIT_NAME = re.compile(r"[a-z][a-z0-9_]*")


def split(
    source: str | Path,
    destination: str | Path,
    parts: Mapping[str, float],
    *,
    by: By = "episode",
    seed: int = 0,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeriveReport:
    """Makes a dataset with other splits from one; it appears complete or not at all.

    Which split an episode goes to follows from its id (or its task) and the seed alone, so it stays
    there when the source grows. The shares are therefore met only about.

    Args:
      source: the dataset to read; its own splits are forgotten.
      destination: the dataset to write; it must not exist.
      parts: share of each split by name; together 1.
      by: what is dealt out: each `episode`, or each `task` with all its episodes.
      seed: another one deals differently.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: wrong parts, a part that would be empty, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the source cannot be opened, or its
        episodes do not have what they are told apart by.
      SerldsError: the pipeline failed; nothing was written.
    """
    check_parts(parts)
    options = RunnerOptions(workers, tuple(beam_args))
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    dataset = open_dataset(source)
    located, unreadable = locate_records(dataset)
    labels = read_labels(located, dataset.schema, FIELDS[by], dataset.directory, options)
    by_split: dict[str, list[RecordRef]] = {name: [] for name in parts}
    for ref, label in labels.items():
        # One that cannot be read goes to the dead letters, whichever split it would be in.
        by_split[part_of(label or "", parts, seed)].append(ref)
    if empty := [name for name, records in by_split.items() if not records]:
        raise UsageError(
            f"{dataset.directory}: of {len(labels)} episodes none falls to {', '.join(empty)}; "
            f"give it a larger share or another --seed"
            + ("; there may be too few tasks" if by == "task" else "")
        )
    shares = ", ".join(f"{name} {share:g}" for name, share in parts.items())
    derivation = Derivation(
        source=DatasetSource(dataset.schema),
        source_name=str(dataset.directory),
        target=target,
        mapping=Chain.over((), dataset.schema),
        parts=plan_parts(by_split),
        unreadable=unreadable,
        card=copy_card(dataset, f"Split from {dataset.name} {dataset.version}: {shares}."),
        provenance=derived_from(
            [dataset], {"verb": "split", "parts": dict(parts), "by": by, "seed": seed}
        ),
    )
    return derive(derivation, options, progress)


def part_of(label: str, parts: Mapping[str, float], seed: int) -> str:
    """The name of the part that a label falls to: by the first 64 bits of a SHA-256."""
    digest = hashlib.sha256(f"{seed}\n{label}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    bounds = itertools.accumulate(parts.values())
    return next(
        (name for name, end in zip(parts, bounds, strict=True) if place < end), [*parts][-1]
    )


def parse_parts(texts: Sequence[str]) -> dict[str, float]:
    """`name=share` texts as a dictionary.

    Raises:
      UsageError: a text of another form, or a name given twice.
    """
    parts: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name in parts:
            raise UsageError(f"--parts: {name!r} is given twice")
        try:
            parts[name] = float(share)
        except ValueError as error:
            raise UsageError(f"--parts {text!r}: expected NAME=SHARE, e.g. train=0.9") from error
    return parts


def check_parts(parts: Mapping[str, float]) -> None:
    """Checks that parts have names that TFDS takes and shares that add up to 1.

    Raises:
      UsageError: saying what is wrong.
    """
    for name, share in parts.items():
        if not _SPLIT_NAME.fullmatch(name) or name == "all":
            raise UsageError(
                f"--parts: {name!r} cannot name a split; use lower-case letters, digits and _, but "
                f"not 'all'"
            )
        if not 0 < share <= 1:
            raise UsageError(f"--parts {name}={share:g}: expected a share above 0, at most 1")
    if abs(sum(parts.values()) - 1) > 1e-6:
        raise UsageError(
            f"--parts: the shares add up to {sum(parts.values()):g}, expected 1, e.g. "
            f"train=0.9 val=0.1"
        )
