"""What a check of the validator is: a rule with its thresholds, its source and its remedy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...datasets.schema import Schema
from ..findings import Finding
from .fields import Fields
from .frames import Images
from .look import Look

Limits = Mapping[str, float]
"""Values of a check's thresholds, by their names."""
Sums = dict[str, np.ndarray]
"""What a measurement takes of an episode; the same names and shapes for every episode."""


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A number that decides, its default, its unit and what it limits."""

    name: str
    default: float
    unit: str
    meaning: str


def add_up(several: Sequence[Sums]) -> Sums:
    """The sum of contributions."""
    return {name: np.sum([one[name] for one in several], axis=0) for name in several[0]}


def stack_up(several: Sequence[Sums]) -> Sums:
    """Contributions of one row per episode, one after the other."""
    return {name: np.concatenate([one[name] for one in several]) for name in several[0]}


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What the checks of a whole dataset judge by.

    Attributes:
      name: of the measurement.
      take: what one episode contributes; nothing (`{}`) where it has none to give.
      merge: makes one contribution of several, in the order of the episodes.
    """

    name: str
    take: Callable[[Look], Sums]
    merge: Callable[[Sequence[Sums]], Sums] = add_up

    def fold(self, several: Iterable[Sums]) -> Sums:
        """`merge` of those that are something; nothing where none is."""
        given = [one for one in several if one]
        return self.merge(given) if given else {}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the judges of a whole dataset see.

    Attributes:
      schema: of the dataset.
      fields: which of its fields are what.
      sums: by measurement; `{}` where no episode contributed.
      control_hz: rate of the steps; 0 where unknown.
      references: red minus blue of a frame known to be right, by path of the camera's field.
      name_episodes: (episode id, file, record) of the episodes with these ordinals.
    """

    schema: Schema
    fields: Fields
    sums: Mapping[str, Sums]
    control_hz: float
    references: Mapping[str, np.ndarray]
    name_episodes: Callable[[Iterable[int]], list[tuple[str, str, int]]]


@dataclasses.dataclass(frozen=True)
class Check:
    """One rule of the validator; the fields are what `serlds validate --explain` prints.

    Attributes:
      name: of the check, as in findings and options.
      rule: what must hold.
      severity: of its findings: `error`, `warning` or both.
      source: where rule and thresholds come from.
      remedy: what to do about a finding.
      thresholds: the numbers that can be set.
      missing: says what a dataset lacks for the check to apply; nothing where it applies.
      images: how much of the images it needs: their headers, a sample of their pixels, or all.
      episode: finds what is wrong with one episode.
      uses: measurements that `judge` looks at.
      judge: finds what is wrong with the dataset as a whole.
    """

    name: str
    rule: str
    severity: str
    source: str
    remedy: str
    thresholds: tuple[Threshold, ...] = ()
    missing: Callable[[Fields], str] = lambda fields: ""
    images: Images = "headers"
    episode: Callable[[Look, Limits], Iterable[Finding]] | None = None
    uses: tuple[Measurement, ...] = ()
    judge: Callable[[Evidence, Limits], Iterable[Finding]] | None = None

    @property
    def defaults(self) -> dict[str, float]:
        return {threshold.name: threshold.default for threshold in self.thresholds}
