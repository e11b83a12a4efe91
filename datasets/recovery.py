"""Putting a store right after a crash: what is whole is kept, what is torn is set aside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .dataset_files import DatasetFiles, SplitFiles, shard_name
from .dropped import DroppedList
from .durable_files import final_name, leftover_temporaries, sync_directory
from .errors import DamagedDatasetError
from .records import decode_episode, read_records
from .schema import Schema
from .untrusted import check_no_link

SET_ASIDE_DIRECTORY = "set-aside"


def check_shards_present(directory: Path, files: DatasetFiles) -> None:
    """Checks that the shards that `dataset_info.json` names are there, with their total size.

    Raises:
      DamagedDatasetError: naming the missing shards, or both sizes.
    """
    for split in files.splits:
        sizes = {path: _size_or_none(path) for path in files.shard_paths(directory, split)}
        if missing := [path.name for path, size in sizes.items() if size is None]:
            raise DamagedDatasetError(
                f"{directory}: {len(missing)} recorded shards are missing: "
                f"{', '.join(missing[:5])}; restore them from a copy, or let "
                f"`serlds recover {directory} --salvage` go on without them"
            )
        found = sum(size for size in sizes.values() if size is not None)
        if found != split.num_bytes:
            raise DamagedDatasetError(
                f"{directory}: the shards of {split.name} hold {found} bytes, but "
                f"dataset_info.json says {split.num_bytes}; a shard was altered: "
                f"`serlds recover {directory}` finds it"
            )


def _size_or_none(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def clear_temporaries(directory: Path, schema: Schema) -> None:
    """Names the staged shards that are whole, and removes all other staged files.

    A recorder that dies between writing a shard and naming it leaves such a one. Named, it is an
    orphan like others.

    Args:
      directory: the dataset's directory, which nobody else writes.
      schema: what each record must fit.
    """
    for temporary in leftover_temporaries(directory):
        path = final_name(temporary)
        if ".tfrecord-" in path.name and not path.exists() and _is_whole(temporary, schema):
            temporary.replace(path)
        else:
            temporary.unlink()
    sync_directory(directory)


def recover_orphans(
    directory: Path,
    dataset: str,
    split: SplitFiles,
    schema: Schema,
    dropped: DroppedList,
    notice: Callable[[str], None],
) -> tuple[SplitFiles, DroppedList]:
    """Adopts or sets aside each shard that lies in `directory` beyond those of `split`.

    A shard becomes an orphan when its recorder dies between naming it and noting it in
    `dataset_info.json`, or when that file is lost.

    Args:
      directory: the dataset's directory, which nobody else writes.
      dataset: name of the dataset.
      split: the shards that are accounted for.
      schema: what each record must fit.
      dropped: the episodes that were dropped: a shard may be empty because of them.
      notice: called with one line about each orphan.

    Returns:
      `split` with the adopted shards at its end, and `dropped` with their new indices.
    """
    indices: dict[int, int] = {}
    for index, orphan in _orphans(directory, dataset, split):
        try:
            episodes = _count_episodes(
                orphan, schema, may_be_empty=bool(dropped.places(split.name, index))
            )
        except DamagedDatasetError as error:
            notice(f"a torn shard was set aside as {_set_aside(orphan)}: {error}")
            continue
        indices[index] = len(split.shard_lengths)
        adopted = directory / shard_name(dataset, split, indices[index])
        orphan.replace(adopted)
        split = split.with_shard(episodes, adopted.stat().st_size)
        notice(f"adopted {adopted.name}: {episodes} whole episode(s) of an interrupted run")
    sync_directory(directory)
    return split, dropped.moved(lambda one: (indices.get(one.shard, one.shard), one.record))


def _count_episodes(shard: Path, schema: Schema, may_be_empty: bool = False) -> int:
    """Number of episodes in a shard that is whole; raises DamagedDatasetError for any other."""
    count = 0
    for payload in read_records(shard):
        decode_episode(payload, schema)
        count += 1
    if not count and not may_be_empty:
        raise DamagedDatasetError(f"{shard}: holds no record")
    return count


def _is_whole(shard: Path, schema: Schema) -> bool:
    try:
        return _count_episodes(shard, schema) > 0
    except DamagedDatasetError:
        return False


def _orphans(directory: Path, dataset: str, split: SplitFiles) -> list[tuple[int, Path]]:
    prefix = shard_name(dataset, split, 0).removesuffix("00000")
    known = len(split.shard_lengths)
    indexed = {
        int(path.name.removeprefix(prefix)): path
        for path in directory.glob(f"{prefix}*")
        if path.name.removeprefix(prefix).isdecimal()
    }
    return [(index, path) for index, path in sorted(indexed.items()) if index >= known]


def _set_aside(shard: Path) -> Path:
    directory = shard.parent / SET_ASIDE_DIRECTORY
    check_no_link(directory)
    directory.mkdir(exist_ok=True)
    target = free_name(directory / f"{shard.name}.torn")
    shard.replace(target)
    sync_directory(directory)
    return target


def free_name(path: Path) -> Path:
    """`path`, with a number at its end where there is such a file already."""
    target, attempt = path, 1
    while target.exists():
        target, attempt = path.with_name(f"{path.name}-{attempt}"), attempt + 1
    return target
