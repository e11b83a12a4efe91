"""How good a classifier is on frames it never learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.intervals import wilson_interval
from .examples import Examples


@dataclass(frozen=True)
class Confusion:
    """Counts of frames by what they show and by what the classifier says."""

    hits: int
    """Of success, recognised."""
    misses: int
    """Of success, not recognised."""
    false_alarms: int
    """Of anything else, taken for success."""
    rejections: int
    """Of anything else, recognised as such."""

    @classmethod
    def of(cls, probabilities: np.ndarray, is_success: np.ndarray, threshold: float) -> Confusion:
        """Counts verdicts: (F,) probabilities and truths."""
        said = probabilities >= threshold
        return cls(
            hits=int((said & is_success).sum()),
            misses=int((~said & is_success).sum()),
            false_alarms=int((said & ~is_success).sum()),
            rejections=int((~said & ~is_success).sum()),
        )

    @property
    def frames(self) -> int:
        """All of them."""
        return self.hits + self.misses + self.false_alarms + self.rejections

    @property
    def accuracy(self) -> float:
        """Share of all frames that are judged right."""
        return (self.hits + self.rejections) / self.frames

    @property
    def recall(self) -> float:
        """Share of the frames of success that are recognised."""
        return self.hits / (self.hits + self.misses)

    @property
    def false_alarm_rate(self) -> float:
        """Share of all other frames that are taken for success."""
        return self.false_alarms / (self.false_alarms + self.rejections)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        right = self.hits + self.rejections
        return {
            "frames": self.frames,
            "accuracy": self.accuracy,
            "accuracy_interval_95": list(wilson_interval(right, self.frames)),
            "recall": self.recall,
            "false_alarm_rate": self.false_alarm_rate,
            "confusion": {
                "success_said_success": self.hits,
                "success_said_other": self.misses,
                "other_said_success": self.false_alarms,
                "other_said_other": self.rejections,
            },
        }

    def __str__(self) -> str:
        low, high = wilson_interval(self.hits + self.rejections, self.frames)
        return "\n".join(
            [
                f"held out: accuracy {self.accuracy:.1%} of {self.frames} frames (95 % interval "
                f"{low:.1%} to {high:.1%})",
                f"{'':>16}{'says success':>14}{'says other':>12}",
                f"{'shows success':>16}{self.hits:>14}{self.misses:>12}   recall {self.recall:.1%}",
                f"{'shows other':>16}{self.false_alarms:>14}{self.rejections:>12}   "
                f"false alarms {self.false_alarm_rate:.1%}",
            ]
        )


@dataclass(frozen=True)
class Judgement:
    """What a classifier said of one frame."""

    row: int
    """Of the examples."""
    probability: float
    """Of success."""
    is_success: bool
    """What the frame shows."""
    is_wrong: bool
    """The verdict is not that."""


def worst_judgements(
    probabilities: np.ndarray, examples: Examples, threshold: float, most: int
) -> list[Judgement]:
    """The frames that the classifier judged worst, the worst first; mistakes before close calls."""
    off = np.where(examples.is_success, 1.0 - probabilities, probabilities)
    wrong = (probabilities >= threshold) != examples.is_success
    order = np.lexsort((-off, ~wrong))[:most]
    return [
        Judgement(
            int(row), float(probabilities[row]), bool(examples.is_success[row]), bool(wrong[row])
        )
        for row in order
    ]


def describe(judgements: Sequence[Judgement], examples: Examples, names: Sequence[str]) -> list:
    """The same as JSON values, with the dataset's name, episode and step of each frame."""
    described = []
    for judgement in judgements:
        place = examples.places[judgement.row]
        described.append(
            {
                "dataset": names[place.dataset],
                "episode": place.episode,
                "step": place.step,
                "probability": round(judgement.probability, 4),
                "shows": "success" if judgement.is_success else "other",
                "mistake": judgement.is_wrong,
            }
        )
    return described
