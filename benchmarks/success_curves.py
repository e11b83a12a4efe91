"""Success in the evaluations while training, over the time of training: one curve a run.

python benchmarks/success_curves.py RUN [RUN ...] [--names NAME ...] --out curves.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from serlds.training.metrics import WALL_S, read_metrics
from serlds.training.run_directory import RunDirectory

_MINUTE_S = 60.0


def curve(run: Path) -> tuple[list[float], list[float]]:
    """Minutes of training and success of each evaluation of a run."""
    lines = read_metrics(RunDirectory.open(run).metrics("actor"))
    found = [line for line in lines if "eval/success_rate" in line]
    minutes = [line[WALL_S] / _MINUTE_S for line in found]
    return minutes, [100 * line["eval/success_rate"] for line in found]


def main() -> None:
    """Draws the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--names", nargs="*", help="of the runs; by default their directories'")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    names = options.names or [run.name for run in options.runs]
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    for run, name in zip(options.runs, names, strict=True):
        axes.plot(*curve(run), marker="o", markersize=3, linewidth=1.5, label=name)
    axes.set(xlabel="minutes of training", ylabel="success (%)", ylim=(-3, 103))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(options.out, dpi=150)
    for run, name in zip(options.runs, names, strict=True):
        minutes, success = curve(run)
        print(f"{name}: {success[-1]:.0f} % after {minutes[-1]:.1f} min")


if __name__ == "__main__":
    main()
