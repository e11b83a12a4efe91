"""All figures of a dataset's pages, as one pass over its columns finds them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.parts import RecordRef
from ..statistics.fields import Statistics, merge_all
from .timing import Timing

SUCCESS, FAILURE, UNKNOWN = "1", "0", "?"
Day = tuple[int, int, str, str]
"""Episodes recorded on a day, successes among them, ISO 8601 times of the first and the last."""


@dataclasses.dataclass(frozen=True)
class Look:
    """One episode that may be shown.

    Attributes:
      ref: its place on disk.
      ordinal: its number in the dataset, from 0.
      episode_id: empty where it has none.
      outcome: SUCCESS, FAILURE or UNKNOWN.
      collector: who acted; empty where unknown.
      actions: how many.
      control_hz: rate of the steps; 0 where unknown.
    """

    ref: RecordRef
    ordinal: int
    episode_id: str
    outcome: str
    collector: str
    actions: int
    control_hz: float


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a pass over episodes found; those of consecutive parts join.

    Attributes:
      outcomes: a character per episode, in order; unreadable episodes are left out.
      actions: number of episodes by their number of actions.
      steps: of all episodes, observation-only last steps included.
      collectors: by name of the collector, number of (episodes, successes) whose success is known.
      days: by UTC date of recording.
      tasks, robots, instructions: number of episodes of each; of instructions the first 1000.
      timing: intervals between steps.
      statistics: of the fields of numbers.
      traces: (outcome, positions (P, 3)) of some episodes.
      looks: some episodes of each outcome.
      unreadable: number of episodes that cannot be read.
    """

    outcomes: str
    actions: Counter[int]
    steps: int
    collectors: dict[str, tuple[int, int]]
    days: dict[str, Day]
    tasks: Counter[str]
    robots: Counter[str]
    instructions: Counter[str]
    timing: Timing
    statistics: Statistics
    traces: list[tuple[str, np.ndarray]]
    looks: list[Look]
    unreadable: int

    @property
    def num_episodes(self) -> int:
        return len(self.outcomes)


def join_surveys(results: Sequence[dict[str, Any]]) -> Survey:
    """The survey of a dataset from those of its parts, in order."""
    days: dict[str, Day] = {}
    collectors: dict[str, tuple[int, int]] = {}
    for result in results:
        for day, found in result["days"].items():
            days[day] = join_days(days.get(day), tuple(found))
        for name, (episodes, successes) in result["collectors"].items():
            before = collectors.get(name, (0, 0))
            collectors[name] = (before[0] + episodes, before[1] + successes)
    actions: Counter[int] = Counter()
    for result in results:
        actions.update({int(length): count for length, count in result["actions"].items()})
    return Survey(
        outcomes="".join(result["outcomes"] for result in results),
        actions=actions,
        steps=sum(result["steps"] for result in results),
        collectors=dict(sorted(collectors.items())),
        days=dict(sorted(days.items())),
        tasks=_sum_counts(results, "tasks"),
        robots=_sum_counts(results, "robots"),
        instructions=_sum_counts(results, "instructions"),
        timing=sum((Timing.from_json(result["timing"]) for result in results), Timing()),
        statistics=merge_all(Statistics.from_json(result["statistics"]) for result in results),
        traces=[(kind, np.array(path)) for result in results for kind, path in result["traces"]],
        looks=[_look(values) for result in results for values in result["looks"]],
        unreadable=sum(result["unreadable"] for result in results),
    )


def join_days(one: Day | None, other: Day) -> Day:
    """Two counts of the same day as one."""
    if one is None:
        return other
    return (one[0] + other[0], one[1] + other[1], min(one[2], other[2]), max(one[3], other[3]))


def _sum_counts(results: Sequence[dict[str, Any]], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for result in results:
        total.update(result[name])
    return total


def _look(values: list[Any]) -> Look:
    return Look(RecordRef(*values[0]), *values[1:])
