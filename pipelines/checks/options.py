"""Which checks are made, with which thresholds: from Python, the command line or a TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets.errors import UsageError
from .check import Check, Limits
from .fields import Fields
from .frames import IMAGE_MODES, Images
from .registry import BY_NAME, CHECKS


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """What to check and how strictly.

    Attributes:
      images: how much of the images is decoded: `headers` (nothing), `sampled` (four frames of each
        episode and camera, reduced in size) or `all`.
      skip: names of checks that are not made.
      limits: thresholds that differ from their defaults, as `check.threshold`.
      references: by path of a camera's field, or its last part, an image file known to be right.
    """

    images: Images = "sampled"
    skip: tuple[str, ...] = ()
    limits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    references: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images not in IMAGE_MODES:
            raise UsageError(
                f"images: expected one of {', '.join(IMAGE_MODES)}, found {self.images!r}"
            )
        for name in self.skip:
            find_check(name)
        for key, value in self.limits.items():
            _check_limit(key, value)

    def limits_of(self, check: Check) -> Limits:
        """The thresholds of a check."""
        changed = {
            name: float(self.limits[f"{check.name}.{name}"])
            for name in check.defaults
            if f"{check.name}.{name}" in self.limits
        }
        return {**check.defaults, **changed}

    def made(self, fields: Fields) -> tuple[Check, ...]:
        """The checks that are made."""
        return tuple(check for check in CHECKS if not self._why_not(check, fields))

    def not_made(self, fields: Fields) -> dict[str, str]:
        """Why each of the others is not made."""
        reasons = ((check.name, self._why_not(check, fields)) for check in CHECKS)
        return {name: reason for name, reason in reasons if reason}

    def _why_not(self, check: Check, fields: Fields) -> str:
        if check.name in self.skip:
            return "skipped"
        if missing := check.missing(fields):
            return f"not applicable: {missing}"
        if IMAGE_MODES.index(self.images) < IMAGE_MODES.index(check.images):
            return f"needs --images {check.images}"
        return ""


def check_options(
    images: str | None = None,
    skip: Sequence[str] = (),
    limits: Sequence[str] = (),
    references: Sequence[str] = (),
    config: Path | None = None,
) -> CheckOptions:
    """Options from texts as they are typed; what is typed comes before what the file says.

    Args:
      images: `headers`, `sampled` or `all`.
      skip: names of checks.
      limits: `check.threshold=value`.
      references: `camera=image file`.
      config: TOML file: `images`, `skip` and a table for each check with its thresholds.

    Raises:
      UsageError: an unknown check or threshold, no number, or a file that cannot be read.
    """
    values = _read_config(config) if config else {}
    listed = values.pop("skip", [])
    chosen = values.pop("images", "sampled")
    if not isinstance(listed, list) or not isinstance(chosen, str):
        raise UsageError(f"{config}: expected skip = [names] and images = 'name'")
    changed = {}
    for name, table in values.items():
        if not isinstance(table, dict):
            raise UsageError(f"{config}: {name}: expected a table [{name}] of thresholds")
        changed.update({f"{name}.{key}": value for key, value in table.items()})
    for text in limits:
        key, value = _pair(text, "--set", "CHECK.THRESHOLD=NUMBER, e.g. idle.max_share=0.2")
        changed[key] = _number(key, value)
    pictures = dict(_pair(text, "--reference", "CAMERA=IMAGE") for text in references)
    return CheckOptions(images or chosen, (*map(str, listed), *skip), changed, pictures)  # type: ignore[arg-type]


def find_check(name: str) -> Check:
    """The check of that name; raises UsageError with the nearest ones."""
    if name in BY_NAME:
        return BY_NAME[name]
    near = difflib.get_close_matches(name, BY_NAME, 3) or list(BY_NAME)
    raise UsageError(f"there is no check {name!r}; did you mean {_or(near)}?")


def _check_limit(key: str, value: Any) -> None:
    name, _, threshold = key.partition(".")
    defaults = find_check(name).defaults
    if threshold not in defaults:
        known = _or(defaults) if defaults else "none at all"
        raise UsageError(f"check {name!r} has no threshold {threshold!r}; it has {known}")
    _number(key, value)


def _number(key: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{key}: expected a number, found {value!r}")
    return number


def _pair(text: str, flag: str, form: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        raise UsageError(f"{flag} {text!r}: expected {form}")
    return key, value


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error


def _or(names: Iterable[str]) -> str:
    return ", ".join(names)
