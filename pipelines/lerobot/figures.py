"""Statistics in LeRobot's form: min, max, mean, std, count and five quantiles of each feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..statistics.moments import ColumnStatistics

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LEVELS = np.arange(256) / 255
_SAMPLED_FRAMES = 100
_SAMPLED_SIDE = 150


def number_figures(column: ColumnStatistics) -> dict[str, list[Any]]:
    """Of R rows of D numbers: lists of length D; `count` is [R]."""
    figures = {
        "min": column.low,
        "max": column.high,
        "mean": column.mean,
        "std": column.std,
        **{name: column.quantile(share) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in figures.items()} | {"count": [column.count]}


class ImageSample:
    """Counts of the levels of each channel over evenly spread frames and pixels of an episode.

    Attributes:
      counts: (3, 256) int64.
      frames: number of frames counted.
    """

    def __init__(self, length: int):
        """For an episode of `length` frames, of which at most 100 are counted."""
        chosen = np.linspace(0, length - 1, min(length, _SAMPLED_FRAMES))
        self._chosen = set(chosen.round().astype(int).tolist())
        self.counts = np.zeros((3, 256), np.int64)
        self.frames = 0

    def see(self, step: int, pixels: np.ndarray) -> None:
        """Counts the (H, W, 3) uint8 pixels of a step if it is one of the chosen."""
        if step not in self._chosen:
            return
        stride = max(1, -(-max(pixels.shape[:2]) // _SAMPLED_SIDE))
        sampled = pixels[::stride, ::stride].reshape(-1, 3)
        self.counts += [np.bincount(channel, minlength=256) for channel in sampled.T]
        self.frames += 1


def image_figures(counts: np.ndarray, frames: int) -> dict[str, list[Any]]:
    """Of (3, 256) counts of levels: in 0..1 and of shape (3, 1, 1); `count` is [frames]."""
    figures = {
        "min": _per_channel(counts, lambda one: _LEVELS[one.nonzero()[0][0]]),
        "max": _per_channel(counts, lambda one: _LEVELS[one.nonzero()[0][-1]]),
        "mean": _per_channel(counts, _mean),
        "std": _per_channel(
            counts, lambda one: np.sqrt(np.average((_LEVELS - _mean(one)) ** 2, weights=one))
        ),
    }
    for name, share in QUANTILES.items():
        figures[name] = _per_channel(counts, lambda one, share=share: _quantile(one, share))
    return figures | {"count": [frames]}


def _mean(counts: np.ndarray) -> float:
    return np.average(_LEVELS, weights=counts)


def _quantile(counts: np.ndarray, share: float) -> float:
    cumulative = np.cumsum(counts)
    return _LEVELS[np.searchsorted(cumulative, share * cumulative[-1])]


def _per_channel(counts: np.ndarray, figure: Callable[[np.ndarray], float]) -> list[Any]:
    return [[[float(figure(channel))]] for channel in counts]
