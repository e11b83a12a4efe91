"""Time of `serlds --help` and `serlds train rlpd --help` beside a bare Python start.

Bound: `serlds --help` under 1 s. Run: `python benchmarks/help_time.py`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_REPEATS = 7
_BOUND_S = 1.0


def main() -> int:
    """Prints the medians and returns 1 when the bound is missed."""
    bare_s = median_s([sys.executable, "-c", "pass"])
    help_s = median_s([sys.executable, "-m", "serlds.cli", "--help"])
    train_s = median_s([sys.executable, "-m", "serlds.cli", "train", "rlpd", "--help"])
    print(f"bare Python              {bare_s:.3f} s")
    print(f"serlds --help            {help_s:.3f} s, {help_s / bare_s:.1f} times bare Python")
    print(f"serlds train rlpd --help {train_s:.3f} s, {train_s / bare_s:.1f} times bare Python")
    print(f"bound: serlds --help under {_BOUND_S} s")
    return 0 if help_s < _BOUND_S else 1


def median_s(command: list[str]) -> float:
    """Median wall time of a command over several runs."""
    times = []
    for _ in range(_REPEATS):
        start_s = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start_s)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
