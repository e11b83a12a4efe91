"""Putting another record in the place of a dataset's newest episode."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from .change import changing
from .episode import Episode
from .errors import UsageError
from .opening import OpenedDirectory
from .reading import Shard
from .rearranging import as_dataset, stage_files, with_shards_replaced, write_shard
from .records import encode_episode, read_records


def amend_newest(opened: OpenedDirectory, episode: Episode) -> OpenedDirectory:
    """Replaces the newest episode by `episode`; a crash leaves that done or undone.

    Args:
      opened: a dataset whose lock the caller holds.
      episode: of the same id.

    Returns:
      The dataset as it is then.

    Raises:
      UsageError: the newest episode has another id, or there is none.
      SchemaError: the episode does not fit the schema.
      StoreWriteError: the operating system refused to write.
    """
    source = as_dataset(opened)
    newest = source.episode(source.num_episodes - 1).episode_id
    if newest != episode.episode_id:
        raise UsageError(
            f"{opened.directory}: the newest episode is {newest!r}, not {episode.episode_id!r}"
        )
    shard = next(shard for shard in reversed(source.shards()) if shard.num_episodes)
    with changing(opened.directory, f"episode {newest!r} was amended") as change:
        content = write_shard(change, shard.path.name, _amended(shard, opened, episode))
        files = with_shards_replaced(opened, {shard.path: content})
        stage_files(change, opened, files, opened.dropped)
    return dataclasses.replace(opened, files=files)


def _amended(shard: Shard, opened: OpenedDirectory, episode: Episode) -> Iterator[bytes]:
    yield from itertools.islice(read_records(shard.path), shard.num_episodes - 1)
    yield encode_episode(episode, opened.schema)
