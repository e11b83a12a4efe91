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
      ages: by what was observed: number of observations, the sum of their ages in s, the greatest.
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
    ages: dict[str, tuple[int, float, float]] = dataclasses.field(default_factory=dict)
    histogram: tuple[int, ...] = (0,) * NUM_BINS

    def __add__(self, other: Timing) -> Timing:
        declared = dict(self.declared)
        for rate, episodes in other.declared.items():
            declared[rate] = declared.get(rate, 0) + episodes
        ages = dict(self.ages)
        for name, (count, sum_s, oldest_s) in other.ages.items():
            before = ages.get(name, (0, 0.0, 0.0))
            ages[name] = (before[0] + count, before[1] + sum_s, max(before[2], oldest_s))
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
            ages,
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
        ages = {name: tuple(age) for name, age in values["ages"].items()}
        return cls(**{**values, "ages": ages, "histogram": tuple(values["histogram"])})


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
        ages=_ages_of(episode),
        histogram=tuple(np.bincount(bins, minlength=NUM_BINS).tolist()),
    )


def _ages_of(episode: Episode) -> dict[str, tuple[int, float, float]]:
    found = {}
    for path, column in episode.columns.items():
        if path.startswith(keys.AGE_PREFIX):
            ages_s = np.asarray(column, np.float64).ravel()
            name = path.removeprefix(keys.AGE_PREFIX)
            found[name] = (ages_s.size, float(ages_s.sum()), float(ages_s.max()))
    return found


def declared_hz(episode: Episode) -> float:
    """The rate that the episode declares; 0 where it declares none, or nothing that is one."""
    value = episode.metadata.get(keys.CONTROL_HZ)
    is_rate = isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0
    return float(value) if is_rate else 0.0
