"""The pass over a dataset's columns, without its images, that finds the figures of its pages."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.reading import Dataset
from ...datasets.schema import STRING, Schema
from ..action_rows import num_action_rows
from ..checks.fields import Fields
from ..engine.loading import load_episode
from ..engine.parts import Part, RecordRef, locate_records, plan_parts
from ..engine.results import read_results
from ..engine.runner import Progress, RunnerOptions, run_parts
from ..engine.scratch import scratch_directory
from ..findings import Finding
from ..statistics.fields import StatisticsBuilder
from .positions import trace
from .survey import FAILURE, SUCCESS, UNKNOWN, Day, Look, Survey, join_days, join_surveys
from .timing import Timing, declared_hz, timing_of

# Fields of more numbers (embeddings, depth as numbers) are left out of the distributions.
MAX_DIMENSIONS = 64
# Parts that traces and pictures are taken from, evenly spread, and how many each gives.
_SAMPLED_PARTS = 60
_TRACES, _EXAMPLES = 60, 6
_MOST_TEXTS = 1000


def survey_dataset(
    dataset: Dataset,
    options: RunnerOptions,
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> Survey:
    """Surveys all episodes that can be read.

    Args:
      dataset: the dataset.
      options: where to run.
      progress: called with (episodes done, episodes in all), from another thread.
      scratch: directory for intermediate results; None: see `scratch_directory`.

    Raises:
      SerldsError: the pipeline failed.
    """
    by_split, _ = locate_records(dataset)
    parts = plan_parts(by_split)
    first_ordinals, before = [], 0
    for part in parts:
        first_ordinals.append(before)
        before += len(part.records)
    job = SurveyJob(light_schema(dataset.schema), tuple(first_ordinals))
    with scratch_directory(options, dataset.directory, scratch) as directory:
        run_parts(job, parts, directory, options, progress)
        return join_surveys(list(read_results(directory, parts)))


@dataclasses.dataclass(frozen=True)
class SurveyJob:
    """Looks through the episodes of a part.

    Attributes:
      schema: what is decoded: see `light_schema`.
      first_ordinals: of each part: number in the dataset of its first record.
    """

    schema: Schema
    first_ordinals: tuple[int, ...]

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """A `Survey` as JSON values."""
        gathered = _Gathered(self.schema, self._share_of(part))
        for position, ref in enumerate(part.records):
            episode = load_episode(ref, self.schema)
            if isinstance(episode, Finding):
                gathered.unreadable += 1
            else:
                gathered.add(episode, ref, self.first_ordinals[part.index] + position)
        return gathered.to_json()

    def _share_of(self, part: Part) -> int:
        """How many traces this part gives."""
        parts = len(self.first_ordinals)
        if part.index % -(-parts // _SAMPLED_PARTS):
            return 0
        return -(-_TRACES // min(parts, _SAMPLED_PARTS))


def light_schema(schema: Schema) -> Schema:
    """The schema without images and fields of more than 64 numbers."""
    light = [field for field in schema.steps if not field.is_image and field.size <= MAX_DIMENSIONS]
    return Schema(tuple(light), schema.metadata)


class _Gathered:
    """A survey in the making."""

    def __init__(self, schema: Schema, traces: int) -> None:
        self.unreadable = 0
        self._position = Fields(schema).position
        self._texts = [
            field.path
            for field in schema.steps
            if field.dtype == STRING and field.path.rpartition("/")[2].endswith("instruction")
        ]
        self._most_traces = traces
        self._statistics = StatisticsBuilder(schema)
        self._timing = Timing()
        self._outcomes: list[str] = []
        self._actions: Counter[int] = Counter()
        self._collectors: dict[str, tuple[int, int]] = {}
        self._days: dict[str, Day] = {}
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("tasks", "robots", "instructions")
        }
        self._steps = 0
        self._traces: list[tuple[str, list[list[float]]]] = []
        self._looks: list[Look] = []

    def add(self, episode: Episode, ref: RecordRef, ordinal: int) -> None:
        """Adds one episode."""
        metadata, actions = episode.metadata, num_action_rows(episode)
        outcome = _outcome(metadata.get(keys.SUCCESS))
        collector = str(metadata.get(keys.COLLECTOR, ""))
        self._outcomes.append(outcome)
        self._actions[actions] += 1
        self._steps += len(episode)
        self._statistics.add(episode)
        self._timing += timing_of(episode)
        self._add_success(outcome, collector)
        self._add_day(outcome, str(metadata.get(keys.CREATED_UTC, "")))
        self._count("tasks", metadata.get(keys.TASK))
        self._count("robots", metadata.get(keys.ROBOT))
        for text in {str(episode.columns[path][0]) for path in self._texts if len(episode)}:
            self._count("instructions", text)
        if self._position and len(self._traces) < self._most_traces:
            self._traces.append((outcome, trace(episode, self._position).round(5).tolist()))
        # The first ones of each outcome: a part is small beside a large dataset.
        if self._most_traces and sum(look.outcome == outcome for look in self._looks) < _EXAMPLES:
            rate, episode_id = declared_hz(episode), episode.episode_id
            self._looks.append(Look(ref, ordinal, episode_id, outcome, collector, actions, rate))

    def to_json(self) -> dict[str, Any]:
        return {
            "outcomes": "".join(self._outcomes),
            "actions": self._actions,
            "steps": self._steps,
            "collectors": self._collectors,
            "days": self._days,
            **self._counts,
            "timing": self._timing.to_json(),
            "statistics": self._statistics.build().to_json(),
            "traces": self._traces,
            "looks": [dataclasses.astuple(look) for look in self._looks],
            "unreadable": self.unreadable,
        }

    def _add_success(self, outcome: str, collector: str) -> None:
        if outcome != UNKNOWN:
            name = collector or "unknown"
            episodes, successes = self._collectors.get(name, (0, 0))
            self._collectors[name] = (episodes + 1, successes + (outcome == SUCCESS))

    def _add_day(self, outcome: str, created_utc: str) -> None:
        if created_utc:
            found = (1, int(outcome == SUCCESS), created_utc, created_utc)
            day = created_utc[:10]
            self._days[day] = join_days(self._days.get(day), found)

    def _count(self, name: str, text: Any) -> None:
        counter = self._counts[name]
        if text not in (None, "") and (text in counter or len(counter) < _MOST_TEXTS):
            counter[str(text)] += 1


def _outcome(success: Any) -> str:
    if not isinstance(success, (bool, int, np.bool_, np.number)):
        return UNKNOWN
    return SUCCESS if success else FAILURE
