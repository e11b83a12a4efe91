"""Whether actions lead the motion that they cause: a one-step shift test.

Step t holds the action taken from its observation, so the state changes by ds[t] = s[t+1] - s[t]
because of a[t]. The fit ds[t+k] = c a[t] is made for k = -2 .. 2; the k that leaves the least
residual tells by how many steps observation and action are shifted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..datasets import keys
from ..datasets.episode import Episode
from ..datasets.schema import Schema
from .action_rows import num_action_rows
from .findings import ERROR, WARNING, Finding

LAGS = (-2, -1, 0, 1, 2)
POSITION = keys.STATE_PREFIX + "tcp_pos"
MIN_TRANSITIONS = 20
# Share of the squared motion that may stay unexplained. A sluggish arm, or random actions that the
# limits of the workspace cut, leave up to 0.4; positions mistaken for displacements leave 0.9.
WARN_RESIDUAL = 0.5
FAIL_RESIDUAL = 0.8
# How much better another k must explain the motion than k = 0 to be believed: along a straight
# line at constant speed all k fit alike.
MARGIN = 0.1
_REACH = max(LAGS)


@dataclasses.dataclass(frozen=True)
class AlignmentSums:
    """Sums over transitions from which the residual of each lag follows; they add up.

    Attributes:
      count: number of transitions.
      cross: sum of a[t] . ds[t+k] in m^2, for each lag k.
      motion: sum of |ds[t+k]|^2 in m^2, for each lag k.
      command: sum of |a[t]|^2 in m^2.
    """

    count: int = 0
    cross: tuple[float, ...] = (0.0,) * len(LAGS)
    motion: tuple[float, ...] = (0.0,) * len(LAGS)
    command: float = 0.0

    def __add__(self, other: AlignmentSums) -> AlignmentSums:
        return AlignmentSums(
            self.count + other.count,
            tuple(a + b for a, b in zip(self.cross, other.cross, strict=True)),
            tuple(a + b for a, b in zip(self.motion, other.motion, strict=True)),
            self.command + other.command,
        )

    def residuals(self) -> np.ndarray:
        """Unexplained share of the squared motion for each lag: (5,), 0 a perfect fit, 1 none."""
        cross, motion = np.array(self.cross), np.array(self.motion)
        return 1.0 - cross**2 / np.maximum(motion * self.command, 1e-30)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AlignmentSums:
        return cls(
            values["count"], tuple(values["cross"]), tuple(values["motion"]), values["command"]
        )


def can_align(schema: Schema) -> bool:
    """Whether the actions are scaled displacements of a tool whose position is observed."""
    if keys.ACTION not in schema or POSITION not in schema:
        return False
    about = schema.action.about
    units = [unit.strip() for unit in about.unit.split(",")]
    return len(about.scale) >= 3 and units[:3] == ["m"] * 3 and schema[POSITION].shape == (3,)


def alignment_sums(episode: Episode, schema: Schema) -> AlignmentSums:
    """The sums of one episode; zero where it is too short or not finite.

    The same transitions serve every lag, so that the lags compare.
    """
    position = np.asarray(episode.columns[POSITION], np.float64)  # (T, 3)
    rows = min(num_action_rows(episode), len(episode) - 1)
    action = np.asarray(episode.columns[keys.ACTION], np.float64)[:rows, :3]
    command = action * np.array(schema.action.about.scale[:3])  # (rows, 3), m
    motion = np.diff(position, axis=0)[:rows]
    if rows <= 2 * _REACH or not (np.isfinite(command).all() and np.isfinite(motion).all()):
        return AlignmentSums()
    inner = slice(_REACH, rows - _REACH)
    shifted = [motion[_REACH + lag : rows - _REACH + lag] for lag in LAGS]
    return AlignmentSums(
        rows - 2 * _REACH,
        tuple(float(np.sum(command[inner] * moved)) for moved in shifted),
        tuple(float(np.sum(moved**2)) for moved in shifted),
        float(np.sum(command[inner] ** 2)),
    )


def check_alignment(episodes: Iterable[AlignmentSums], control_hz: float) -> Iterator[Finding]:
    """Judges the sums of all episodes of a dataset.

    Rule: the least residual is at k = 0, or no other k is better by more than 0.1. k < 0 means that
    the motion comes before the action that causes it: an error. k > 0 is a lag: a warning. A least
    residual above 0.5 is a warning, above 0.8 an error: the actions do not explain the motion.
    Source of the convention: RLDS ("Dataset format"); thresholds measured on a simulated arm.

    Args:
      episodes: what `alignment_sums` gave for each.
      control_hz: rate of the steps, to name a lag in ms; 0 where unknown.
    """
    total = sum(episodes, AlignmentSums())
    if total.count < MIN_TRANSITIONS or not total.command or not any(total.motion):
        return
    residuals = total.residuals()
    at_zero, best = LAGS.index(0), int(np.argmin(residuals))
    if residuals[at_zero] - residuals[best] <= MARGIN:
        best = at_zero
    lag, residual = LAGS[best], float(residuals[best])
    listed = ", ".join(f"{k}: {r:.2f}" for k, r in zip(LAGS, residuals, strict=True))
    if residual > WARN_RESIDUAL:
        severity = ERROR if residual > FAIL_RESIDUAL else WARNING
        message = "the actions do not explain the motion of the tool"
        expected = f"at most {WARN_RESIDUAL} of it unexplained"
        yield Finding(
            "alignment", severity, message, None, keys.ACTION, expected, f"{residual:.2f}"
        )
    elif lag < 0:
        message = (
            f"the tool moves {-lag} step(s) before the action that moves it; each step must hold "
            f"the action taken from its observation (unexplained motion by shift: {listed})"
        )
        yield Finding("alignment", ERROR, message, None, keys.ACTION, "shift 0", f"shift {lag}")
    elif lag > 0:
        delay = f" ({1000 * lag / control_hz:.0f} ms)" if control_hz else ""
        message = f"the tool follows its actions late{delay} (unexplained motion: {listed})"
        yield Finding("alignment", WARNING, message, None, keys.ACTION, "shift 0", f"shift {lag}")
