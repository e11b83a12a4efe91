"""The figures behind the findings, as JSON values that a page can plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .check import Sums
from .fields import Fields, dimension_name
from .motion import LAGS, gain, residuals
from .timing import HISTOGRAM_EDGES
from .values import dimensions

_LENGTH_BINS = 40


def figures(sums: Mapping[str, Sums], fields: Fields) -> dict[str, Any]:
    """What the measurements say; each part is there only where it was measured.

    `alignment`: `lags` (steps by which the motion is taken after the action), `residuals` (share
    of the squared motion that is unexplained) and `gain` (m moved per m commanded).
    `periods`: `edges` and `counts` of the time between steps, in control periods; the last bin
    takes all that is longer.
    `lengths`: `edges` and `counts` of the number of actions of the episodes.
    `bounds`: for each dimension of action and state `name`, `low`, `high`, and the shares of steps
    `at_low`, `at_high` that stand at exactly these.
    """
    found: dict[str, Any] = {}
    if motion := sums.get("motion"):
        by_lag = [float(value) for value in residuals(motion)]
        found["alignment"] = {"lags": list(LAGS), "residuals": by_lag, "gain": gain(motion, 0)}
    if periods := sums.get("periods"):
        counts = periods["counts"].astype(int).tolist()
        found["periods"] = {"edges": HISTOGRAM_EDGES.tolist(), "counts": counts}
    if index := sums.get("index"):
        lengths = index["length"] - 1
        counts, edges = np.histogram(lengths, min(_LENGTH_BINS, int(np.ptp(lengths)) + 1))
        found["lengths"] = {"edges": edges.tolist(), "counts": counts.tolist()}
    if bounds := sums.get("bounds"):
        count = np.maximum(bounds["count"], 1)
        found["bounds"] = [
            {
                "name": dimension_name(field, dimension),
                "low": float(bounds["low"][at]),
                "high": float(bounds["high"][at]),
                "at_low": float(bounds["at_low"][at] / count[at]),
                "at_high": float(bounds["at_high"][at] / count[at]),
            }
            for at, (field, dimension) in enumerate(dimensions(fields))
        ]
    return found
