"""When the steps of a dataset were taken: their rate, its jitter, steps that are missing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode

# An interval is compared with the period: 1 is on time. The last bin holds all from 4 on.
BIN_WIDTH, NUM_BINS = 0.05, 81
# From here on at least one step is missing between two.
GAP = 1.5


@dataclasses.dataclass(frozen=True)
class Timing:
    """Intervals between the time stamps of successive steps; those of two datasets add up.

    Attributes:
      count: number of intervals.
      sum_s, sum_s2: their sum in s and the sum of their squares in s^2.
      longest_s: the longest.
      backwards: intervals that are not positive.
      gaps: intervals of at least one and a half periods.
      missing: steps that these leave out.
      episodes: episodes with a clock.
      episodes_with_gaps: of these, with a gap.
      declared: number of episodes by the rate that their metadata declares, in Hz; 0 where they
        declare none: then the median interval of the episode counts as the period.
      histogram: number of intervals by length in periods, in bins of 0.05.
    """

    count: int = 0
    sum_s: float = 0.0
    sum_s2: float = 0.0
    longest_s: float = 0.0
    backwards: int = 0
    gaps: int = 0
    missing: int = 0
    episodes: int = 0
    episodes_with_gaps: int = 0
    declared: dict[str, int] = dataclasses.field(default_factory=dict)
    histogram: tuple[int, ...] = (0,) * NUM_BINS

    def __add__(self, other: Timing) -> Timing:
        declared = dict(self.declared)
        for rate, episodes in other.declared.items():
            declared[rate] = declared.get(rate, 0) + episodes
        return Timing(
            self.count + other.count,
            self.sum_s + other.sum_s,
            self.sum_s2 + other.sum_s2,
            max(self.longest_s, other.longest_s),
            self.backwards + other.backwards,
            self.gaps + other.gaps,
            self.missing + other.missing,
            self.episodes + other.episodes,
            self.episodes_with_gaps + other.episodes_with_gaps,
            declared,
            tuple(a + b for a, b in zip(self.histogram, other.histogram, strict=True)),
        )

    @property
    def rate_hz(self) -> float:
        """Steps per second, measured; 0 where time does not pass."""
        return self.count / self.sum_s if self.sum_s > 0 else 0.0

    @property
    def jitter_s(self) -> float:
        """Standard deviation of the intervals."""
        mean = self.sum_s / self.count
        return float(np.sqrt(max(0.0, self.sum_s2 / self.count - mean**2)))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Timing:
        return cls(**{**values, "histogram": tuple(values["histogram"])})


def timing_of(episode: Episode) -> Timing:
    """The intervals of one episode; nothing where it has no clock or fewer than two steps."""
    if keys.TIMESTAMP_S not in episode.columns or len(episode) < 2:
        return Timing()
    intervals = np.diff(np.asarray(episode.columns[keys.TIMESTAMP_S], np.float64).reshape(-1))
    intervals = intervals[np.isfinite(intervals)]
    if not len(intervals):
        return Timing()
    declared = declared_hz(episode)
    period = 1.0 / declared if declared else float(np.median(intervals))
    ratios = intervals / period if period > 0 else np.ones_like(intervals)
    gaps = ratios >= GAP
    bins = np.clip(ratios / BIN_WIDTH + 0.5, 0, NUM_BINS - 1).astype(np.int64)
    return Timing(
        count=len(intervals),
        sum_s=float(intervals.sum()),
        sum_s2=float((intervals**2).sum()),
        longest_s=float(intervals.max()),
        backwards=int((intervals <= 0).sum()),
        gaps=int(gaps.sum()),
        missing=int((np.round(ratios[gaps]) - 1).sum()),
        episodes=1,
        episodes_with_gaps=int(gaps.any()),
        declared={f"{declared:g}": 1},
        histogram=tuple(np.bincount(bins, minlength=NUM_BINS).tolist()),
    )


def declared_hz(episode: Episode) -> float:
    """The rate that the episode declares; 0 where it declares none, or nothing that is one."""
    value = episode.metadata.get(keys.CONTROL_HZ)
    is_rate = isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0
    return float(value) if is_rate else 0.0
