"""The pictures of a run's report, as SVG texts."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, LINE = "#1d2733", "#5f6b7a", "#e2e6ec"
ONLINE, BASELINE, DEMOS = "#0b7a75", "#b4562b", "#d9a441"


@dataclasses.dataclass(frozen=True)
class Curve:
    """A measured quantity over a run: arrays of shape (N,).

    Attributes:
      env_steps: environment steps at each measurement.
      wall_s: seconds since the run began.
      value: what was measured.
    """

    env_steps: np.ndarray
    wall_s: np.ndarray
    value: np.ndarray


@dataclasses.dataclass(frozen=True)
class Level:
    """One number to compare a curve with, drawn as a dashed line."""

    label: str
    value: float


def success_and_return(
    evaluations: tuple[Curve, Curve], training: tuple[Curve, Curve], baseline: Sequence[Level]
) -> str:
    """Success and return against environment steps and against wall time, as a 2 by 2 SVG.

    Args:
      evaluations: (success, return) of the evaluations without exploration.
      training: (success, return) of each online episode, with exploration.
      baseline: levels for success, if any, e.g. behaviour cloning from the same demonstrations.
    """
    figure, axes = _figure(2, 2, height_in=6.2)
    for row, name in enumerate(("success", "return")):
        for column, (attribute, label) in enumerate(
            (("env_steps", "environment steps"), ("wall_s", "wall time [s]"))
        ):
            ax = axes[row][column]
            _draw_curves(ax, evaluations[row], training[row], attribute)
            if row == 0:
                _draw_levels(ax, baseline)
                ax.set_ylim(-0.03, 1.05)
                ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            ax.set_ylabel(name)
            ax.set_xlabel(label)
    axes[0][0].legend(loc="lower right", frameon=False, fontsize=9)
    return _svg(figure)


def replay_composition(env_steps: np.ndarray, demos: np.ndarray, online: np.ndarray) -> str:
    """Transitions in each replay table against environment steps (all (N,)), as SVG."""
    figure, axes = _figure(1, 1, height_in=2.7)
    ax = axes[0][0]
    ax.stackplot(env_steps, demos, online, labels=["demos", "online"], colors=[DEMOS, ONLINE])
    ax.set_xlabel("environment steps")
    ax.set_ylabel("transitions")
    ax.legend(loc="upper left", frameon=False, fontsize=9)
    return _svg(figure)


def phase_bars(phases: Sequence[tuple[str, float]]) -> str:
    """Wall time of each phase in seconds, as horizontal bars, as SVG."""
    figure, axes = _figure(1, 1, height_in=0.6 + 0.28 * len(phases))
    ax = axes[0][0]
    names, seconds = zip(*phases, strict=True)
    bars = ax.barh(range(len(phases)), seconds, color=ONLINE, height=0.62)
    ax.bar_label(bars, labels=[f"{value:.1f} s" for value in seconds], padding=4, color=SOFT)
    ax.set_yticks(range(len(phases)), names)
    ax.invert_yaxis()
    ax.grid(False)
    ax.set_xlim(0, 1.12 * max(seconds))
    ax.set_xlabel("wall time [s]")
    return _svg(figure)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window - 1` values before it: (N,) -> (N,)."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _draw_curves(ax: Axes, evaluation: Curve, training: Curve, attribute: str) -> None:
    if len(training.value):
        smooth = running_mean(training.value, 20)
        label = "training, mean of 20 episodes"
        ax.plot(getattr(training, attribute), smooth, color=ONLINE, alpha=0.35, lw=1.5, label=label)
    if len(evaluation.value):
        x = getattr(evaluation, attribute)
        ax.plot(x, evaluation.value, "o-", color=ONLINE, lw=2, ms=4, label="evaluation")


def _draw_levels(ax: Axes, levels: Sequence[Level]) -> None:
    for level in levels:
        ax.axhline(level.value, color=BASELINE, ls="--", lw=1.5, label=level.label)


def _figure(rows: int, columns: int, height_in: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        rows, columns, figsize=(10, height_in), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(LINE)
        ax.grid(color=LINE, lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(colors=SOFT, length=0)
        ax.xaxis.label.set_color(SOFT)
        ax.yaxis.label.set_color(SOFT)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import pyplot as plt

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True)
    plt.close(figure)
    return buffer.getvalue()
