"""Checks of the arguments of tasks: each returns the value in one form or says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..datasets.errors import UsageError

MAX_IMAGE_SIDE = 1024


def image_size(name: str, value: Any) -> tuple[int, int]:
    """Height and width in pixels from one int or a pair."""
    sides = (value, value) if isinstance(value, int) else value
    if not (
        isinstance(sides, Sequence)
        and len(sides) == 2
        and all(isinstance(side, int) and 8 <= side <= MAX_IMAGE_SIDE for side in sides)
    ):
        raise UsageError(
            f"{name}={value!r}: expected pixels as one whole number or (height, width), each from "
            f"8 to {MAX_IMAGE_SIDE}"
        )
    return int(sides[0]), int(sides[1])


def subset(name: str, value: Any, allowed: Sequence[str]) -> tuple[str, ...]:
    """Names out of `allowed`, each at most once, in the order of `allowed`."""
    chosen = (value,) if isinstance(value, str) else value
    listing = ", ".join(repr(item) for item in allowed)
    if not isinstance(chosen, Sequence) or [item for item in chosen if item not in allowed]:
        raise UsageError(f"{name}={value!r}: expected any of {listing}, or an empty list")
    return tuple(item for item in allowed if item in chosen)


def choice(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    """One of `allowed`."""
    if value not in allowed:
        listing = ", ".join(repr(item) for item in allowed)
        raise UsageError(f"{name}={value!r}: expected one of {listing}")
    return value


def number(name: str, value: Any, lower: float, upper: float, unit: str = "") -> float:
    """A finite number in [lower, upper]."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not lower <= value <= upper:
        raise UsageError(f"{name}={value!r}: expected a number from {lower} to {upper} {unit}")
    return float(value)


def whole_number(name: str, value: Any, lower: int, upper: int) -> int:
    """A whole number in [lower, upper]."""
    if not isinstance(value, int) or isinstance(value, bool) or not lower <= value <= upper:
        raise UsageError(f"{name}={value!r}: expected a whole number from {lower} to {upper}")
    return value


def pair(name: str, value: Any, upper: tuple[float, float], unit: str = "") -> tuple[float, float]:
    """Two numbers, each from 0 to its upper bound."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise UsageError(f"{name}={value!r}: expected two numbers {unit}, e.g. {list(upper)}")
    return (
        number(f"{name}[0]", value[0], 0.0, upper[0], unit),
        number(f"{name}[1]", value[1], 0.0, upper[1], unit),
    )
