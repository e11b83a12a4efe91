"""What dropping, restoring, compacting and salvaging share: a dataset held and its shards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .change import Change
from .dataset_files import FEATURES_FILE, INFO_FILE, DatasetFiles, dataset_info_json
from .dropped import DROPPED_LIST, DroppedList
from .errors import StoreWriteError
from .opening import OpenedDirectory, open_for_curation
from .paths import DatasetPath
from .reading import Dataset, open_dataset
from .records import frame_record
from .store_lock import StoreLock


@dataclasses.dataclass(frozen=True)
class ShardContent:
    """How many episodes a shard holds, and its size."""

    episodes: int
    num_bytes: int


@contextlib.contextmanager
def curating(dataset: str | Path, check_shards: bool = True) -> Iterator[OpenedDirectory]:
    """Opens a dataset to rearrange it, with its lock held; see `open_for_curation`.

    Raises:
      StoreLockedError: another process writes it.
      DatasetNotFoundError, DamagedDatasetError, UsageError: as `open_for_curation`.
      StoreWriteError: the operating system refused to write.
    """
    path = DatasetPath.parse(dataset)
    if not (path.directory / FEATURES_FILE).is_file():
        open_dataset(path)  # says what is missing, and what there is nearby
    try:
        lock = StoreLock(path.directory)
    except OSError as error:
        raise StoreWriteError(f"{path}: cannot be changed: {error}") from error
    try:
        try:
            opened = open_for_curation(path, check_shards)
        except OSError as error:
            raise StoreWriteError(f"{path}: cannot be put right: {error}") from error
        yield opened
    finally:
        lock.release()


def as_dataset(opened: OpenedDirectory) -> Dataset:
    """The opened dataset for reading."""
    return Dataset(opened.directory, opened.files, opened.schema, opened.provenance)


def write_shard(change: Change, name: str, payloads: Iterable[bytes]) -> ShardContent:
    """Stages a shard of the records; one of them is in memory at a time."""
    episodes = size = 0
    with change.replacing(name) as file:
        for payload in payloads:
            size += file.write(frame_record(payload))
            episodes += 1
    return ShardContent(episodes, size)


def with_shards_replaced(opened: OpenedDirectory, new: Mapping[Path, ShardContent]) -> DatasetFiles:
    """The dataset's files when the shards at some paths hold something else."""
    directory, files = opened.directory, opened.files
    splits = []
    for split in files.splits:
        paths = list(files.shard_paths(directory, split))
        lengths = tuple(
            new[path].episodes if path in new else length
            for path, length in zip(paths, split.shard_lengths, strict=True)
        )
        size = sum(new[path].num_bytes if path in new else path.stat().st_size for path in paths)
        splits.append(dataclasses.replace(split, shard_lengths=lengths, num_bytes=size))
    return dataclasses.replace(files, splits=tuple(splits))


def stage_files(
    change: Change, opened: OpenedDirectory, files: DatasetFiles, dropped: DroppedList
) -> None:
    """Stages `dataset_info.json` and the list of dropped episodes, after all shards."""
    with change.replacing(INFO_FILE) as file:
        file.write(dataset_info_json(files))
    if dropped != opened.dropped:
        with change.replacing(DROPPED_LIST) as file:
            file.write(dropped.to_json())
