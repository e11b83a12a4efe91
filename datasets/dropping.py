"""Taking episodes out of the shards of a dataset that is open for changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from .change import Change, changing
from .dropped import DroppedEpisode, live_place
from .errors import DamagedDatasetError
from .opening import OpenedDirectory
from .provenance import utc_now_text
from .reading import Dataset, Shard
from .rearranging import ShardContent, as_dataset, stage_files, with_shards_replaced, write_shard
from .records import decode_episode, frame_record, read_records
from .schema import Schema
from .selecting import metadata_schema


def drop_from(
    opened: OpenedDirectory, ordinals: Sequence[int], reason: str
) -> tuple[OpenedDirectory, list[DroppedEpisode]]:
    """Moves episodes to `dropped/`; a crash leaves that done or undone.

    Args:
      opened: a dataset whose lock the caller holds.
      ordinals: of the episodes, ascending.
      reason: for people who see it in the list later.

    Returns:
      The dataset as it is then, and what was dropped.

    Raises:
      DamagedDatasetError: a shard that must be rewritten is damaged.
      StoreWriteError: the operating system refused to write.
    """
    new: list[DroppedEpisode] = []
    shards: dict[Path, ShardContent] = {}
    with changing(opened.directory, f"{len(ordinals)} episode(s) were dropped") as change:
        for index, shard, positions in _by_shard(as_dataset(opened), ordinals):
            dropper = _Dropper(opened, change, shard, index, reason)
            shards[shard.path] = write_shard(change, shard.path.name, dropper.keep(positions, new))
        dropped = dataclasses.replace(opened.dropped, episodes=(*opened.dropped.episodes, *new))
        files = with_shards_replaced(opened, shards)
        stage_files(change, opened, files, dropped)
    return dataclasses.replace(opened, files=files, dropped=dropped), new


@dataclasses.dataclass
class _Dropper:
    """Reads a shard, passes on what is kept and writes the rest to `dropped/`."""

    opened: OpenedDirectory
    change: Change
    shard: Shard
    index: int
    reason: str

    def keep(self, positions: Sequence[int], new: list[DroppedEpisode]) -> Iterator[bytes]:
        """The records that stay; those at `positions` are written and added to `new`."""
        taken = self.opened.dropped.places(self.shard.split, self.index)
        gone, found = set(positions), 0
        for position, payload in enumerate(read_records(self.shard.path)):
            found += 1
            if position not in gone:
                yield payload
                continue
            one = DroppedEpisode(
                number=self.opened.dropped.next_number + len(new),
                episode_id=_episode_id(payload, self.opened.schema),
                split=self.shard.split,
                shard=self.index,
                record=live_place(taken, position),
                reason=self.reason,
                dropped_utc=utc_now_text(),
            )
            with self.change.replacing(one.file) as file:
                file.write(frame_record(payload))
            new.append(one)
        if found != self.shard.num_episodes:
            raise DamagedDatasetError(
                f"{self.shard.path}: expected {self.shard.num_episodes} records as "
                f"dataset_info.json says, found {found}"
            )


def _by_shard(dataset: Dataset, ordinals: Sequence[int]) -> Iterator[tuple[int, Shard, list[int]]]:
    """For each shard with a chosen episode: its index in its split, itself, their positions."""
    remaining = iter(ordinals)
    ordinal = next(remaining, None)
    for split in dataset.splits:
        for index, shard in enumerate(dataset.shards(split)):
            positions = []
            while ordinal is not None and ordinal < shard.first_episode + shard.num_episodes:
                positions.append(ordinal - shard.first_episode)
                ordinal = next(remaining, None)
            if positions:
                yield index, shard, positions


def _episode_id(payload: bytes, schema: Schema) -> str:
    return decode_episode(payload, metadata_schema(schema)).episode_id
