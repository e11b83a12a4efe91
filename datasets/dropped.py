"""The episodes that were dropped from a dataset: kept beside it, in `dropped/`, with their places.

A dropped episode lies in a TFRecord file of its own; `dropped/episodes.json` says where it came
from and why it went. Readers of the dataset do not look there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import DamagedDatasetError

DROPPED_DIRECTORY = "dropped"
DROPPED_LIST = f"{DROPPED_DIRECTORY}/episodes.json"


@dataclasses.dataclass(frozen=True)
class DroppedEpisode:
    """One episode that was dropped.

    Attributes:
      number: unique in its dataset; names its file.
      episode_id: as in its metadata; empty where the dataset has none.
      split, shard: where it was: name of the split, index of the shard.
      record: its place in the shard, counted over the records that are there and those dropped.
      reason: as given by the person who dropped it.
      dropped_utc: ISO 8601.
    """

    number: int
    episode_id: str
    split: str
    shard: int
    record: int
    reason: str
    dropped_utc: str

    @property
    def file(self) -> str:
        """Its TFRecord file, relative to the dataset's directory."""
        return f"{DROPPED_DIRECTORY}/{self.number:05d}.tfrecord"


@dataclasses.dataclass(frozen=True)
class DroppedList:
    """The content of `dropped/episodes.json`.

    Attributes:
      episodes: by number.
      lost: how many episodes damage has taken from the dataset for good.
    """

    episodes: tuple[DroppedEpisode, ...] = ()
    lost: int = 0

    @property
    def num_gone(self) -> int:
        """Episodes that were recorded and are not in the dataset any more."""
        return len(self.episodes) + self.lost

    @property
    def next_number(self) -> int:
        return max((episode.number for episode in self.episodes), default=-1) + 1

    def places(self, split: str, shard: int) -> list[int]:
        """Places of the episodes dropped from a shard, ascending; see `DroppedEpisode.record`."""
        return sorted(
            one.record for one in self.episodes if (one.split, one.shard) == (split, shard)
        )

    def moved(self, place: Callable[[DroppedEpisode], tuple[int, int]]) -> DroppedList:
        """The list after shards were rearranged: `place` gives the new (shard, record)."""
        episodes = []
        for episode in self.episodes:
            shard, record = place(episode)
            episodes.append(dataclasses.replace(episode, shard=shard, record=record))
        return dataclasses.replace(self, episodes=tuple(episodes))

    def to_json(self) -> bytes:
        """The text of `dropped/episodes.json`."""
        return (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode()


def read_dropped(directory: Path) -> DroppedList:
    """Reads the list of a dataset; an empty one where nothing was ever dropped.

    Raises:
      DamagedDatasetError: the file cannot be read.
    """
    path = directory / DROPPED_LIST
    try:
        values = json.loads(path.read_bytes())
        episodes = tuple(_checked(DroppedEpisode(**one)) for one in values["episodes"])
        return DroppedList(episodes, _count(values["lost"]))
    except FileNotFoundError:
        return DroppedList()
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDatasetError(
            f"{path}: not a readable list of dropped episodes: {error}; restore it from a copy, or "
            f"move {path.parent} away to go on without the episodes in it"
        ) from error


def _checked(one: DroppedEpisode) -> DroppedEpisode:
    for number in (one.number, one.shard, one.record):
        _count(number)
    for text in (one.episode_id, one.split, one.reason, one.dropped_utc):
        if not isinstance(text, str):
            raise TypeError(f"expected a text, found {text!r}")
    return one


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"expected a number that is not negative, found {value!r}")
    return value


def live_place(taken: Sequence[int], position: int) -> int:
    """The place of a shard's record `position`, where the places `taken` hold dropped ones.

    Args:
      taken: ascending.
      position: the record's index in the shard's file.
    """
    place = position
    for other in taken:
        if other > place:
            break
        place += 1
    return place
