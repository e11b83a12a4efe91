"""Checks of configuration values that name the field, the value and what is allowed."""

from __future__ import annotations

import math
from typing import Any

from ..datasets.errors import UsageError


def require(condition: bool, config: Any, name: str, allowed: str) -> None:
    """Raises UsageError for field `name` of dataclass `config` unless the condition holds."""
    if not condition:
        raise UsageError(
            f"{type(config).__name__}.{name}: expected {allowed}, found {getattr(config, name)!r}"
        )


def require_positive(config: Any, name: str) -> None:
    """Raises UsageError unless the field is a finite number above 0."""
    value = getattr(config, name)
    require(_is_finite(value) and value > 0, config, name, "a number above 0")


def require_non_negative(config: Any, name: str) -> None:
    """Raises UsageError unless the field is a finite number of at least 0."""
    value = getattr(config, name)
    require(_is_finite(value) and value >= 0, config, name, "a number of at least 0")


def require_fraction(config: Any, name: str) -> None:
    """Raises UsageError unless the field lies in [0, 1]."""
    value = getattr(config, name)
    require(_is_finite(value) and 0 <= value <= 1, config, name, "a number from 0 to 1")


def keep_bounds(config: Any, name: str) -> None:
    """Makes a tuple of the field's low and high bound; raises UsageError unless they are ordered.

    None stays: there are none.
    """
    bounds = getattr(config, name)
    if bounds is not None:
        object.__setattr__(config, name, tuple(bounds))
        ordered = len(bounds) == 2 and bounds[0] < bounds[1]
        require(ordered, config, name, "low and high, low below high")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
