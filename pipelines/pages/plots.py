"""The pictures of a dataset's pages, as addresses of SVG pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...datasets.intervals import wilson_interval
from ...page import BASE, GOOD, INK, SOFT, drawing
from .survey import FAILURE, SUCCESS
from .timing import BIN_WIDTH, GAP, Timing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_BARS = 60
_COLOUR_OF = {SUCCESS: GOOD, FAILURE: BASE}


def lengths_plot(actions: Mapping[int, int]) -> str:
    """Histogram of the number of actions per episode, from number of episodes by length."""
    lengths = np.array(sorted(actions))
    weights = np.array([actions[length] for length in lengths])
    span = int(lengths[-1] - lengths[0]) + 1
    width = -(-span // _MAX_BARS)
    edges = np.arange(lengths[0], lengths[-1] + width + 1, width) - 0.5
    with drawing(1, 1, height_in=2.4) as picture:
        ax = picture.axes[0][0]
        ax.hist(lengths, bins=edges, weights=weights, color=GOOD, rwidth=0.88)
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlim(max(0, edges[0] - width), edges[-1] + width)
        ax.set_xlabel("actions per episode")
        ax.set_ylabel("episodes")
        ax.grid(axis="x", visible=False)
        return picture.data_uri()


def histogram(
    edges: Sequence[float], counts: Sequence[int], label: str, logarithmic: bool = False
) -> str:
    """A histogram from the edges (N + 1,) and counts (N,) of its bins."""
    left, widths, heights = np.array(edges)[:-1], np.diff(edges), np.array(counts)
    filled = np.flatnonzero(heights)
    with drawing(1, 1, height_in=2.2) as picture:
        ax = picture.axes[0][0]
        ax.bar(left, heights, 0.9 * widths, align="edge", color=GOOD)
        if logarithmic:
            _logarithmic(ax, heights.max())
        else:
            ax.yaxis.get_major_locator().set_params(integer=True)
        if len(filled):
            first, last = filled[0], filled[-1]
            ax.set_xlim(left[first] - widths[first], left[last] + 2 * widths[last])
        ax.set_xlabel(label)
        ax.grid(axis="x", visible=False)
        return picture.data_uri()


def success_plot(outcomes: str) -> str:
    """Share of successes along the dataset, in groups of episodes, with 95 % intervals.

    Args:
      outcomes: a character per episode, in order; only SUCCESS and FAILURE count.
    """
    known = np.array([index for index, kind in enumerate(outcomes) if kind in _COLOUR_OF])
    good = np.array([outcomes[index] == SUCCESS for index in known])
    groups = np.array_split(np.arange(len(known)), group_count(len(known)))
    middle = np.array([known[group].mean() for group in groups])
    rate = np.array([good[group].mean() for group in groups])
    bounds = [wilson_interval(int(good[group].sum()), len(group)) for group in groups]
    low, high = np.array(bounds).T
    with drawing(1, 1, height_in=2.4) as picture:
        ax = picture.axes[0][0]
        ax.vlines(middle, low, high, color=GOOD, lw=5, alpha=0.25)
        ax.plot(middle, rate, "o-", color=GOOD, lw=1.5, ms=5)
        ax.set_ylim(-0.05, 1.05)
        ax.set_xlim(-0.5, len(outcomes) - 0.5)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        ax.set_xlabel("episode, in the order of the dataset")
        ax.set_ylabel("success")
        return picture.data_uri()


def group_count(episodes: int) -> int:
    """Into how many groups the episodes of `success_plot` go: of five or more, at most 40."""
    return max(1, min(40, episodes // 5))


def traces_plot(traces: Sequence[tuple[str, np.ndarray]], unit: str) -> str:
    """Paths (P, 3) of the tool in three views, by outcome."""
    views = ((0, 1, "top"), (0, 2, "side"), (1, 2, "front"))
    suffix = f" [{unit}]" if unit else ""
    with drawing(1, 3, height_in=3.6) as picture:
        for ax, (across, up, title) in zip(picture.axes[0], views, strict=True):
            # Failures last: they are what one looks for.
            for kind, path in sorted(traces, key=lambda item: item[0] == FAILURE):
                colour = _COLOUR_OF.get(kind, SOFT)
                ax.plot(path[:, across], path[:, up], color=colour, lw=1, alpha=0.55)
                ax.plot(path[-1:, across], path[-1:, up], "o", color=colour, ms=3)
            ax.set_aspect("equal", adjustable="datalim")
            ax.locator_params(nbins=5)
            ax.set_title(title, fontsize=10)
            ax.set_xlabel("xyz"[across] + suffix)
            ax.set_ylabel("xyz"[up] + suffix)
        return picture.data_uri()


def intervals_plot(timing: Timing) -> str:
    """Histogram of the time between steps, in periods; gaps stand out."""
    counts = np.array(timing.histogram)
    centres = np.arange(len(counts)) * BIN_WIDTH
    filled = np.flatnonzero(counts)
    late = centres >= GAP - BIN_WIDTH / 2
    with drawing(1, 1, height_in=2.2) as picture:
        ax = picture.axes[0][0]
        for chosen, colour in ((~late, GOOD), (late, BASE)):
            ax.bar(centres[chosen], counts[chosen], BIN_WIDTH * 0.85, color=colour)
        ax.axvline(1, color=INK, lw=1, ls=":")
        _logarithmic(ax, counts.max())
        ax.set_xlim(min(0.5, centres[filled[0]] - 0.1), max(1.5, centres[filled[-1]] + 0.1))
        ax.set_xlabel("time from step to step, in periods of the control rate (4: four or more)")
        ax.set_ylabel("intervals")
        ax.grid(axis="x", visible=False)
        return picture.data_uri()


def shift_plot(lags: Sequence[int], residuals: Sequence[float]) -> str:
    """Unexplained share of the tool's motion by shift between action and motion."""
    with drawing(1, 1, height_in=2.4) as picture:
        ax = picture.axes[0][0]
        best = int(np.argmin(residuals))
        colours = [SOFT] * len(lags)
        colours[best] = GOOD if lags[best] == 0 else BASE
        bars = ax.bar(lags, residuals, 0.6, color=colours)
        ax.bar_label(bars, labels=[f"{value:.2f}" for value in residuals], color=SOFT, padding=2)
        ax.set_ylim(0, 1.15)
        ax.set_xticks(lags)
        ax.set_xlabel("shift of the motion after the action, in steps")
        ax.set_ylabel("unexplained motion")
        ax.grid(axis="x", visible=False)
        return picture.data_uri()


def _logarithmic(ax: Axes, most: float) -> None:
    """Counts up to `most` on a scale on which a single one is still to be seen."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.minorticks_off()
    ax.set_ylim(0.5, 2 * max(1, most))
