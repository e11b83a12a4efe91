"""Between stored values and physical ones, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..findings import ERROR, BadEpisodeError, Finding
from .rotations import RotationError

# Rounding of a value that is at the very end of its range.
_TOLERANCE = 1e-6


def check_in_scale(values: np.ndarray, scale: Sequence[float], path: str) -> None:
    """Checks that normalised values (N, D) lie in [-1, 1].

    Raises:
      BadEpisodeError: naming the first step at which one does not, in physical terms.
    """
    steps, dimensions = np.nonzero(~(np.abs(values) <= 1 + _TOLERANCE))
    if steps.size:
        step, dimension = int(steps[0]), int(dimensions[0])
        value = values[step, dimension] * scale[dimension]
        raise BadEpisodeError(
            Finding(
                "scale",
                ERROR,
                f"dimension {dimension} is larger than its scale allows",
                step,
                path,
                f"at most {scale[dimension]:g}",
                f"{value:g}",
            )
        )


def rotation_finding(error: RotationError, path: str, values: np.ndarray) -> BadEpisodeError:
    """The finding for values that are no rotation."""
    found = "[" + ", ".join(f"{value:g}" for value in values) + "]"
    return BadEpisodeError(
        Finding("rotation", ERROR, str(error), error.row, path, "a rotation", found)
    )
