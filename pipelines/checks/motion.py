"""What the tool did beside what it was told: the sums that the checks of alignment judge by.

Step t holds the action taken from its observation, so the displacement ds[t] = s[t+1] - s[t] comes
of the command c[t]: a[t] in m for actions that say how far to go, a[t] - s[t] for those that say
where to. Sums over all steps tell how well ds[t+k] = g R c[t] fits, for each lag k, with a gain g
and a rotation R.
"""

from __future__ import annotations

import numpy as np

from .check import Measurement, Sums
from .look import Look

LAGS = (-2, -1, 0, 1, 2)
AT_ZERO = LAGS.index(0)
_REACH = max(LAGS)
_JUMP = 10
"""A step so many times as far as nine tenths of the others is no motion."""
_HELD = 0.2
"""A tool that moves by less than this share of its command is held back."""
WINDOW = 8
"""Steps over which the gain is taken: a sluggish arm has made up for its lag by then."""


def take_motion(look: Look) -> Sums:
    """The sums of one episode.

    `count` of the transitions; `held`, of those left out because the tool, told to move, did not
    for five steps: it stood at a limit or against a thing; `told`, `change`: sums of |c[t]|^2 and
    of |c[t+2] - c[t]|^2 over both; `cross` (5, 3, 3): sum of c[t] ds[t+k]^T by lag; `motion` (5,):
    of |ds[t+k]|^2; `command` (5,): of |c[t]|^2; `window_cross`, `window_command` (5,): the same
    products of displacements and commands summed over WINDOW steps; `as_target`, `as_delta`: of
    |s[t+1] - a[t]|^2 and |ds[t] - c[t]|^2. The same transitions serve every lag, so that the lags
    compare.
    """
    translation, position, rows = look.fields.translation, look.position, look.transitions
    if translation is None or position is None or rows <= 2 * _REACH:
        return {}
    raw = translation.raw(look.episode)[:rows]
    action = raw * translation.scale
    if not (np.isfinite(action).all() and np.isfinite(position).all()):
        return {}
    absolute = look.fields.targets_absolute
    moved = np.diff(position, axis=0)[:rows]
    size = np.linalg.norm(moved, axis=1)
    if size.max() > _JUMP * np.quantile(size, 0.9):
        return {}  # for `speed` to tell: squares of a jump would outweigh all else
    inner = slice(_REACH, rows - _REACH)
    shifted = [slice(_REACH + lag, rows - _REACH + lag) for lag in LAGS]
    commands = [action[inner] - (position[:rows][at] if absolute else 0.0) for at in shifted]
    motions = [moved[at] for at in shifted]
    told = commands[AT_ZERO]
    change = np.sum((told[2:] - told[:-2]) ** 2)
    most = np.max([np.linalg.norm(m, axis=1) for m in motions], axis=0)
    free = (most >= _HELD * np.linalg.norm(told, axis=1)) | absolute
    commands, motions = [c[free] for c in commands], [m[free] for m in motions]
    ahead = position[1 : rows + 1]
    away = min(float(np.sum((ahead - given) ** 2)) for given in (raw, action))
    delta = min(float(np.sum((moved - given) ** 2)) for given in (raw, action))
    windows = np.zeros((2, len(LAGS))) if absolute else _windows(action, position, rows)
    return {
        "count": np.array(float(free.sum())),
        "change": np.array(change),
        "told": np.array(np.sum(told**2)),
        "held": np.array(float(np.sum(~free))),
        "cross": np.stack([c.T @ m for c, m in zip(commands, motions, strict=True)]),
        "motion": np.array([np.sum(m**2) for m in motions]),
        "command": np.array([np.sum(c**2) for c in commands]),
        "window_cross": windows[0],
        "window_command": windows[1],
        "as_target": np.array(away),
        "as_delta": np.array(delta),
    }


MOTION = Measurement("motion", take_motion)


def residuals(sums: Sums) -> np.ndarray:
    """Share of the squared motion that the commands leave unexplained, by lag: (5,), 0 to 1."""
    cross = np.trace(sums["cross"], axis1=1, axis2=2)
    return 1.0 - np.clip(cross, 0, None) ** 2 / np.maximum(sums["motion"] * sums["command"], 1e-30)


def turned_residuals(sums: Sums) -> np.ndarray:
    """The same after the rotation that fits best: (5,)."""
    cross = np.array([_gain_after_rotation(matrix) for matrix in sums["cross"]])
    return 1.0 - cross**2 / np.maximum(sums["motion"] * sums["command"], 1e-30)


def angle_deg(sums: Sums, lag: int) -> float:
    """Angle between the commands and the motion they cause; 0 where that cannot be told.

    The rotation is that of Procrustes (Kabsch 1976). A motion along one line leaves the rotation
    about it open, so a second direction must have been used.
    """
    u, sizes, vt = np.linalg.svd(sums["cross"][LAGS.index(lag)].T)
    if sizes[1] < 0.05 * max(sizes[0], 1e-30):
        return 0.0
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    cosine = (np.trace(u @ flip @ vt) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def gain(sums: Sums, lag: int) -> float:
    """Metres moved for each metre commanded; 0 where that cannot be told."""
    at = LAGS.index(lag)
    command = float(sums["window_command"][at])
    return float(sums["window_cross"][at]) / command if command > 0 else 0.0


def _windows(action: np.ndarray, position: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Products of displacement and command, and of commands, over windows of steps: (5,) each."""
    crosses, squares = np.zeros(len(LAGS)), np.zeros(len(LAGS))
    starts = np.arange(_REACH, rows - _REACH - WINDOW + 1)
    if not starts.size:
        return crosses, squares
    summed = np.vstack([np.zeros((1, 3)), np.cumsum(action, axis=0)])
    command = summed[starts + WINDOW] - summed[starts]
    for at, lag in enumerate(LAGS):
        moved = position[starts + WINDOW + lag] - position[starts + lag]
        crosses[at], squares[at] = np.sum(moved * command), np.sum(command**2)
    return crosses, squares


def _gain_after_rotation(cross: np.ndarray) -> float:
    sizes = np.linalg.svd(cross, compute_uv=False)
    return float(sizes[0] + sizes[1] + np.sign(np.linalg.det(cross)) * sizes[2])
