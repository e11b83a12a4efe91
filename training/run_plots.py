"""The pictures of a run's report, as addresses of SVG pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..page import BASE, GOLD, GOOD, SOFT, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ONLINE, BASELINE, DEMOS = GOOD, BASE, GOLD
COLOURS = (GOOD, BASE, GOLD, SOFT)
"""Of a run and of what it is compared with, in order."""


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


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that are one line of a picture: their mean, with a band from lowest to highest.

    Attributes:
      label: in the legend.
      colour: of the line.
      runs: (success, return) of each run's evaluations without exploration.
    """

    label: str
    colour: str
    runs: tuple[tuple[Curve, Curve], ...]


def success_and_return(
    groups: Sequence[Group], training: tuple[Curve, Curve], baseline: Sequence[Level]
) -> str:
    """Success and return against environment steps and against wall time, 2 by 2.

    Args:
      groups: evaluations of the run and of those it is compared with.
      training: (success, return) of each online episode of the run, with exploration.
      baseline: levels for success, if any, e.g. behaviour cloning from the same demonstrations.
    """
    with drawing(2, 2, height_in=6.2) as picture:
        for row, name in enumerate(("success", "return")):
            for column, (attribute, label) in enumerate(
                (("env_steps", "environment steps"), ("wall_s", "wall time [s]"))
            ):
                ax = picture.axes[row][column]
                _draw_training(ax, training[row], attribute)
                for group in groups:
                    _draw_group(ax, group, row, attribute)
                if row == 0:
                    _draw_levels(ax, baseline)
                    ax.set_ylim(-0.03, 1.05)
                    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
                ax.set_ylabel(name)
                ax.set_xlabel(label)
        picture.axes[0][0].legend(loc="lower right", frameon=False, fontsize=9)
        return picture.data_uri()


def replay_composition(env_steps: np.ndarray, demos: np.ndarray, online: np.ndarray) -> str:
    """Transitions in each replay table against environment steps (all (N,))."""
    with drawing(1, 1, height_in=2.7) as picture:
        ax = picture.axes[0][0]
        ax.stackplot(env_steps, demos, online, labels=["demos", "online"], colors=[DEMOS, ONLINE])
        ax.set_xlabel("environment steps")
        ax.set_ylabel("transitions")
        ax.legend(loc="upper left", frameon=False, fontsize=9)
        return picture.data_uri()


def phase_bars(phases: Sequence[tuple[str, float]]) -> str:
    """Wall time of each phase in seconds, as horizontal bars."""
    with drawing(1, 1, height_in=0.6 + 0.28 * len(phases)) as picture:
        ax = picture.axes[0][0]
        names, seconds = zip(*phases, strict=True)
        bars = ax.barh(range(len(phases)), seconds, color=ONLINE, height=0.62)
        ax.bar_label(bars, labels=[f"{value:.1f} s" for value in seconds], padding=4, color=SOFT)
        ax.set_yticks(range(len(phases)), names)
        ax.invert_yaxis()
        ax.grid(False)
        ax.set_xlim(0, 1.12 * max(seconds))
        ax.set_xlabel("wall time [s]")
        return picture.data_uri()


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window - 1` values before it: (N,) -> (N,)."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def envelope(
    curves: Sequence[Curve], attribute: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(x, mean, lowest, highest) of several curves, each (N,), where all of them were measured.

    Args:
      curves: at least one.
      attribute: the axis, `env_steps` or `wall_s`; values between measurements are interpolated.
    """
    axes = [getattr(curve, attribute) for curve in curves]
    x = np.unique(np.concatenate(axes))
    x = x[(x >= max(a.min() for a in axes)) & (x <= min(a.max() for a in axes))]
    values = np.stack([np.interp(x, a, curve.value) for a, curve in zip(axes, curves, strict=True)])
    return x, values.mean(0), values.min(0), values.max(0)


def _draw_group(ax: Axes, group: Group, row: int, attribute: str) -> None:
    x, mean, low, high = envelope([run[row] for run in group.runs], attribute)
    if len(group.runs) > 1:
        ax.fill_between(x, low, high, color=group.colour, alpha=0.15, lw=0)
    marker = "o-" if len(x) <= 40 else "-"
    ax.plot(x, mean, marker, color=group.colour, lw=2, ms=4, label=group.label)


def _draw_training(ax: Axes, training: Curve, attribute: str) -> None:
    if len(training.value):
        smooth = running_mean(training.value, 20)
        label = "training, mean of 20 episodes"
        ax.plot(getattr(training, attribute), smooth, color=ONLINE, alpha=0.35, lw=1.5, label=label)


def _draw_levels(ax: Axes, levels: Sequence[Level]) -> None:
    for level in levels:
        ax.axhline(level.value, color=BASELINE, ls="--", lw=1.5, label=level.label)
