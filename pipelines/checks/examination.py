"""Making the checks: of each episode where it is read, of the whole dataset from what they left."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...datasets.episode import Episode
from ...datasets.schema import Schema
from ..findings import Finding
from .check import Check, Evidence, Measurement, Sums
from .episode_checks import SCHEMA
from .fields import Fields
from .look import Look
from .options import CheckOptions

MOST_LISTED = 1000
"""Findings of one check that a part of a run lists; all are counted."""
_FOLDED_AT = 256


class FindingList:
    """Findings in the order they come; of each check at most MOST_LISTED, all counted."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self._listed: Counter[tuple[str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        """Counts a finding, and lists it unless there are enough of its kind."""
        kind = (finding.check, finding.severity)
        self.counts[kind] += 1
        self.keep(finding)

    def keep(self, finding: Finding) -> None:
        """Lists a finding that was counted elsewhere, unless there are enough of its kind."""
        kind = (finding.check, finding.severity)
        if self._listed[kind] < MOST_LISTED:
            self._listed[kind] += 1
            self.listed.append(finding)


class Examiner:
    """Examines episodes one after the other."""

    def __init__(self, schema: Schema, options: CheckOptions):
        self._fields = Fields(schema)
        self._images = options.images
        made = options.made(self._fields)
        self._checks = [
            (check, check.episode, options.limits_of(check)) for check in made if check.episode
        ]
        self._measurements = measurements(made)
        self._taken: dict[str, list[Sums]] = {one.name: [] for one in self._measurements}

    def findings(self, episode: Episode) -> list[Finding]:
        """Examines an episode; one that does not fit its schema is not checked further."""
        look = Look(episode, self._fields, self._images)
        found: list[Finding] = []
        # A bad episode may hold any number; what overflows is no motion, angle or rate.
        with np.errstate(all="ignore"):
            for check, find, limits in self._checks:
                found.extend(find(look, limits))
                if found and check is SCHEMA:
                    return found
            for measurement in self._measurements:
                taken = self._taken[measurement.name]
                sums = measurement.take(look)
                if all(np.isfinite(values).all() for values in sums.values()):
                    taken.append(sums)
                if len(taken) >= _FOLDED_AT:
                    taken[:] = [measurement.fold(taken)]
        return found

    def sums(self) -> dict[str, Sums]:
        """By measurement, of all episodes examined."""
        return {one.name: one.fold(self._taken[one.name]) for one in self._measurements}


def measurements(checks: tuple[Check, ...]) -> tuple[Measurement, ...]:
    """What some checks use, each once."""
    return tuple({one.name: one for check in checks for one in check.uses}.values())


def judge(checks: tuple[Check, ...], evidence: Evidence, options: CheckOptions) -> list[Finding]:
    """What is wrong with the dataset as a whole."""
    with np.errstate(all="ignore"):
        return [
            finding
            for check in checks
            if check.judge
            for finding in check.judge(evidence, options.limits_of(check))
        ]
