"""A first pass over a dataset to be exported: which episodes there are and what they are told."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...datasets.schema import Schema
from ..checks.episode_checks import check_one
from ..engine.loading import load_episode
from ..engine.parts import Part, RecordRef
from ..findings import ERROR, BadEpisodeError, Finding
from ..instructions import instructions

TRAIN, VAL = "train", "val"


@dataclasses.dataclass(frozen=True)
class SurveyJob:
    """Lists the episodes of a part that can be exported.

    Attributes:
      schema: of the source.
      instruction: for steps that have none.
    """

    schema: Schema
    instruction: str

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"episodes"}`: for each record (episode id, distinct instructions), or None if bad."""
        return {"episodes": [self._look(ref) for ref in part.records]}

    def _look(self, ref: RecordRef) -> tuple[str, list[str]] | None:
        episode = load_episode(ref, self.schema)
        if isinstance(episode, Finding):
            return None
        if any(finding.severity == ERROR for finding in check_one(episode, self.schema)):
            return None
        try:
            return episode.episode_id, sorted(set(instructions(episode, self.instruction)))
        except BadEpisodeError:
            return None


def choose_val(episode_ids: Sequence[str], share: float) -> frozenset[str]:
    """The episodes of the split `val`: those whose ids have the least hashes.

    The choice depends on the ids alone; an episode more moves others only at the edge. There is at
    least one where there are two episodes and `share` is above 0, and one is left for `train`.
    """
    distinct = sorted(set(episode_ids), key=lambda text: hashlib.sha256(text.encode()).digest())
    if len(distinct) < 2 or share == 0:
        return frozenset()
    count = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    return frozenset(distinct[:count])


def assign_splits(
    surveyed: Iterable[tuple[RecordRef, tuple[str, list[str]] | None]], share: float
) -> dict[str, list[RecordRef]]:
    """Records by split, in order; bad ones are in `train`, where the export reports them."""
    pairs = list(surveyed)
    val = choose_val([seen[0] for _, seen in pairs if seen], share)
    by_split: dict[str, list[RecordRef]] = {TRAIN: [], VAL: []}
    for ref, seen in pairs:
        by_split[VAL if seen and seen[0] in val else TRAIN].append(ref)
    return by_split
