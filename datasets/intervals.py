"""How sure a measured share is."""

from __future__ import annotations

import math

_Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a probability (Wilson 1927, JASA 22:209).

    Args:
      successes: how often it happened.
      trials: out of how many, at least 1.
    """
    share, z2 = successes / trials, _Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = share * (1 - share) / trials + z2 / (4 * trials**2)
    half = _Z_95 * math.sqrt(spread) / (1 + z2 / trials)
    # At 0 of n and n of n one end is the share itself, up to rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high
