"""Mergeable statistics of columns of numbers: moments, bounds and a sample for quantiles."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import numpy as np

# The rank of a quantile taken from 32768 rows has a standard deviation of 0.055 % at 1 % and 99 %;
# up to that many rows it is exact.
SAMPLE_ROWS = 2**15


@dataclasses.dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of R rows of D numbers each, in float64; two of them merge into one.

    The sample is the rows with the least hash of (episode, step): the same rows are chosen however
    the data was divided among workers.

    Attributes:
      count: R.
      mean: (D,).
      m2: (D,) sum of squared differences from the mean.
      low: (D,) least values.
      high: (D,) greatest values.
      hashes: (S,) uint64, ascending.
      sample: (S, D) float64, the rows that belong to `hashes`.
    """

    count: int
    mean: np.ndarray
    m2: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hashes: np.ndarray
    sample: np.ndarray

    @classmethod
    def of_rows(cls, values: np.ndarray, hashes: np.ndarray) -> ColumnStatistics:
        """Of at least one row: values (R, D), hashes (R,) uint64."""
        rows = values.astype(np.float64)
        mean = rows.mean(axis=0)
        chosen = _least(hashes)
        return cls(
            len(rows),
            mean,
            np.sum((rows - mean) ** 2, axis=0),
            rows.min(axis=0),
            rows.max(axis=0),
            hashes[chosen],
            rows[chosen],
        )

    def merge(self, other: ColumnStatistics) -> ColumnStatistics:
        """Of the rows of both.

        Source: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
        """
        count = self.count + other.count
        delta = other.mean - self.mean
        hashes = np.concatenate([self.hashes, other.hashes])
        chosen = _least(hashes)
        return ColumnStatistics(
            count,
            self.mean + delta * (other.count / count),
            self.m2 + other.m2 + delta**2 * (self.count * other.count / count),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            hashes[chosen],
            np.concatenate([self.sample, other.sample])[chosen],
        )

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of the population: (D,)."""
        return np.sqrt(self.m2 / self.count)

    def quantile(self, share: float) -> np.ndarray:
        """The quantile at `share` of [0, 1], interpolated linearly: (D,)."""
        return np.quantile(self.sample, share, axis=0)

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` restores every bit."""
        values: dict[str, Any] = {"count": self.count, "dimensions": len(self.mean)}
        for name in _ARRAYS:
            values[name] = base64.b64encode(getattr(self, name).tobytes()).decode()
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ColumnStatistics:
        arrays = {
            name: np.frombuffer(base64.b64decode(values[name]), dtype)
            for name, dtype in _ARRAYS.items()
        }
        arrays["sample"] = arrays["sample"].reshape(-1, values["dimensions"])
        return cls(count=values["count"], **arrays)


_ARRAYS = {
    "mean": "<f8",
    "m2": "<f8",
    "low": "<f8",
    "high": "<f8",
    "hashes": "<u8",
    "sample": "<f8",
}


def row_hashes(episode_id: str, rows: int) -> np.ndarray:
    """A hash for each row of an episode, evenly spread: (rows,) uint64.

    The finaliser is that of SplitMix64 (Steele, Lea, Flood 2014).
    """
    seed = int.from_bytes(hashlib.blake2b(episode_id.encode(), digest_size=8).digest(), "little")
    steps = np.arange(1, rows + 1, dtype=np.uint64)
    mixed = np.uint64(seed) + steps * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _least(hashes: np.ndarray) -> np.ndarray:
    """Indices of the SAMPLE_ROWS least hashes, ascending."""
    return np.argsort(hashes, kind="stable")[:SAMPLE_ROWS]
