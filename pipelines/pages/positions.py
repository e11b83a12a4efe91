"""The path of the tool through an episode."""

from __future__ import annotations

import numpy as np

from ...datasets.episode import Episode
from ..checks.fields import Columns

MAX_POINTS = 60


def trace(episode: Episode, columns: Columns) -> np.ndarray:
    """The positions of an episode, at most 60 of them, first and last included: (P, 3) float64."""
    positions = columns.physical(episode)
    positions = positions[np.isfinite(positions).all(axis=1)]
    steps = np.linspace(0, len(positions) - 1, min(len(positions), MAX_POINTS)).round().astype(int)
    return positions[steps]
