"""What a dataset holds, in figures for a person or a program."""

from __future__ import annotations

import collections
import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from . import keys
from .dropped import read_dropped
from .episode import Episode
from .reading import Dataset
from .schema import Field, Schema
from .verdict import verdict_text

# All that is decoded of the steps: an episode's images are passed over.
_STEP_PATHS = (keys.IS_FIRST, keys.REWARD)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of a number per episode."""

    min: float
    median: float
    max: float


@dataclasses.dataclass(frozen=True)
class Successes:
    """How many episodes of one collector there are, and how many achieved the task."""

    episodes: int
    successes: int

    @property
    def share(self) -> float:
        return self.successes / self.episodes


@dataclasses.dataclass(frozen=True)
class FieldSummary:
    """One field as the dataset's features describe it."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    encoding: str | None
    unit: str
    frame: str
    doc: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """The content of a dataset; `dataclasses.asdict` of it is JSON.

    Attributes:
      name, version, directory: which dataset.
      description: what its card says.
      digest: identity of its content.
      validation: what `serlds validate` says of this content, in a few words.
      size_bytes: of all shards.
      shards: number of files.
      dropped: number of episodes that were dropped and can be restored.
      lost: number of episodes that damage has taken.
      splits: number of episodes by split.
      episodes: number of episodes.
      steps: number of steps of all episodes, the last observation of each included.
      success_by_collector: empty where the dataset does not say.
      steps_per_episode: None where there are no episodes.
      episode_return: undiscounted sum of the rewards of all steps; None without episodes or
        without rewards.
      tasks, robots: those that occur.
      first_created_utc, last_created_utc: time range of the recording; empty where unknown.
      step_fields, metadata_fields: by path.
      env_id, env_args, parents, transform, created_utc, serlds_version: the provenance; empty where
        serlds did not write the dataset.
    """

    name: str
    version: str
    directory: str
    description: str
    digest: str
    validation: str
    size_bytes: int
    shards: int
    dropped: int
    lost: int
    splits: dict[str, int]
    episodes: int
    steps: int
    success_by_collector: dict[str, Successes]
    steps_per_episode: Spread | None
    episode_return: Spread | None
    tasks: tuple[str, ...]
    robots: tuple[str, ...]
    first_created_utc: str
    last_created_utc: str
    step_fields: tuple[FieldSummary, ...]
    metadata_fields: tuple[FieldSummary, ...]
    env_id: str
    env_args: dict[str, Any]
    parents: tuple[dict[str, str], ...]
    transform: dict[str, Any]
    created_utc: str
    serlds_version: str


def summarize(dataset: Dataset) -> Summary:
    """Reads every episode's metadata, flags and rewards, and no image.

    Raises:
      DamagedDatasetError: naming the file and the record.
    """
    schema = dataset.schema
    needed = Schema(
        tuple(field for field in schema.steps if field.path in _STEP_PATHS), schema.metadata
    )
    light = [_light(episode) for episode in dataclasses.replace(dataset, schema=needed).episodes()]
    dropped = read_dropped(dataset.directory)
    has_rewards = keys.REWARD in schema
    created = sorted(filter(None, _values(light, keys.CREATED_UTC)))
    origin = dataclasses.asdict(dataset.provenance) if dataset.provenance else {}
    return Summary(
        name=dataset.name,
        version=dataset.version,
        directory=str(dataset.directory),
        description=dataset.files.card.description,
        digest=dataset.digest,
        validation=verdict_text(dataset.directory, dataset.digest),
        size_bytes=dataset.size_bytes,
        shards=len(dataset.shards()),
        dropped=len(dropped.episodes),
        lost=dropped.lost,
        splits=dataset.splits,
        episodes=len(light),
        steps=sum(episode.steps for episode in light),
        success_by_collector=_success_by_collector(light),
        steps_per_episode=_spread([episode.steps for episode in light]),
        episode_return=_spread([e.total_reward for e in light] if has_rewards else []),
        tasks=tuple(sorted(set(_values(light, keys.TASK)))),
        robots=tuple(sorted(set(_values(light, keys.ROBOT)))),
        first_created_utc=created[0] if created else "",
        last_created_utc=created[-1] if created else "",
        step_fields=tuple(_field(field) for field in schema.steps),
        metadata_fields=tuple(_field(field) for field in schema.metadata),
        env_id=origin.get("env_id", ""),
        env_args=origin.get("env_args", {}),
        parents=tuple(origin.get("parents", ())),
        transform=origin.get("transform", {}),
        created_utc=origin.get("created_utc", ""),
        serlds_version=origin.get("serlds_version", ""),
    )


@dataclasses.dataclass(frozen=True)
class _Light:
    steps: int
    total_reward: float
    metadata: dict[str, Any]


def _light(episode: Episode) -> _Light:
    rewards = episode.columns.get(keys.REWARD)
    total = float(np.sum(rewards, dtype=np.float64)) if rewards is not None else 0.0
    return _Light(len(episode), total, episode.metadata)


def _values(episodes: Iterable[_Light], key: str) -> list[str]:
    return [str(episode.metadata[key]) for episode in episodes if key in episode.metadata]


def _success_by_collector(episodes: Iterable[_Light]) -> dict[str, Successes]:
    counts: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for episode in episodes:
        if keys.SUCCESS in episode.metadata:
            count = counts[str(episode.metadata.get(keys.COLLECTOR, "unknown"))]
            count[0] += 1
            count[1] += bool(episode.metadata[keys.SUCCESS])
    return {collector: Successes(*counts[collector]) for collector in sorted(counts)}


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    return Spread(min(values), statistics.median(values), max(values))


def _field(field: Field) -> FieldSummary:
    about = field.about
    return FieldSummary(
        field.path, field.dtype, field.shape, field.encoding, about.unit, about.frame, about.doc
    )
