"""Many small shards made into few large ones, in place."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .change import Change, changing
from .dataset_files import SplitFiles, shard_name
from .dropped import DroppedEpisode
from .errors import DamagedDatasetError, UsageError
from .opening import OpenedDirectory
from .provenance import dataset_digest
from .rearranging import ShardContent, as_dataset, curating, stage_files, write_shard
from .records import read_records

DEFAULT_SHARD_MB = 128
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class CompactionReport:
    """What compaction did.

    Attributes:
      directory: of the dataset.
      before, after: number of shards.
      num_episodes: how many the dataset holds.
      digest: of the dataset, before and after.
      notices: what opening the dataset had to put right.
    """

    directory: Path
    before: int
    after: int
    num_episodes: int
    digest: str
    notices: tuple[str, ...]

    def to_text(self) -> str:
        """For the terminal."""
        line = f"{self.directory}: {self.before} shards became {self.after}"
        if self.before == self.after:
            line = f"{self.directory}: nothing to do, the {self.before} shards are large enough"
        return "\n".join(
            [*self.notices, f"{line}; {self.num_episodes} episodes, digest {self.digest[:12]}"]
        )


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which shards of a split become one: `groups[g]` are the indices that make shard g."""

    split: SplitFiles
    groups: tuple[tuple[int, ...], ...]

    @property
    def is_needed(self) -> bool:
        return len(self.groups) < len(self.split.shard_lengths)

    def is_untouched(self, group: int) -> bool:
        """Whether the new shard is the old one under the same name."""
        same_names = not self.is_needed or self.split.is_appendable
        return same_names and self.groups[group] == (group,)


def compact(
    dataset: str | Path, shard_mb: float = DEFAULT_SHARD_MB, progress: Progress | None = None
) -> CompactionReport:
    """Joins neighbouring shards as long as they stay within a size.

    Records are copied as they are, one in memory at a time, each checked against its CRC. Their
    order stays, so the digest stays. The disk must hold what is copied twice.

    Args:
      dataset: one that serlds wrote; a recording can be appended to afterwards as before.
      shard_mb: largest size of a joined shard, in millions of bytes.
      progress: called with (episodes copied, episodes to copy).

    Raises:
      UsageError: a size that is not positive, or a dataset that serlds did not write.
      StoreLockedError: a recorder writes the dataset.
      DamagedDatasetError: a record is damaged; nothing was changed.
      StoreWriteError: the operating system refused to write.
    """
    if not shard_mb > 0:
        raise UsageError(f"shard size: expected a positive number of MB, found {shard_mb}")
    with curating(dataset) as opened:
        old = as_dataset(opened)
        digest, before = old.digest, len(old.shards())
        plans = [_plan(opened, split, shard_mb * 1e6) for split in opened.files.splits]
        if not any(plan.is_needed for plan in plans):
            return CompactionReport(
                opened.directory, before, before, old.num_episodes, digest, opened.notices
            )
        with changing(opened.directory, f"{before} shards were compacted") as change:
            splits, paths = [], []
            for plan in plans:
                split, shards = _join(change, opened, plan, progress)
                splits.append(split)
                paths += shards
            if dataset_digest(paths) != digest:
                raise DamagedDatasetError(
                    f"{opened.directory}: the dataset changed while it was read; nothing was "
                    f"changed by compacting"
                )
            files = dataclasses.replace(opened.files, splits=tuple(splits))
            stage_files(change, opened, files, opened.dropped.moved(_new_places(opened, plans)))
        after = sum(len(plan.groups) for plan in plans)
        return CompactionReport(
            opened.directory, before, after, old.num_episodes, digest, opened.notices
        )


def group_sizes(sizes: Sequence[int], most: float) -> tuple[tuple[int, ...], ...]:
    """Cuts indices into runs of neighbours whose sizes add up to at most `most`.

    A size above `most` stays alone, but for empty neighbours behind it.
    """
    groups: list[list[int]] = []
    total = 0
    for index, size in enumerate(sizes):
        if groups and (total + size <= most or not size or not total):
            groups[-1].append(index)
            total += size
        else:
            groups.append([index])
            total = size
    return tuple(tuple(group) for group in groups)


def _plan(opened: OpenedDirectory, split: SplitFiles, most: float) -> _Plan:
    paths = opened.files.shard_paths(opened.directory, split)
    return _Plan(split, group_sizes([path.stat().st_size for path in paths], most))


def _join(
    change: Change, opened: OpenedDirectory, plan: _Plan, progress: Progress | None
) -> tuple[SplitFiles, list[Path]]:
    """Stages the new shards of a split; gives it, and where its shards lie before the change."""
    old = list(opened.files.shard_paths(opened.directory, plan.split))
    lengths = plan.split.shard_lengths
    new = dataclasses.replace(
        plan.split, shard_lengths=tuple(sum(lengths[i] for i in group) for group in plan.groups)
    )
    total, done = sum(lengths), 0
    paths, names = [], set()
    for index, group in enumerate(plan.groups):
        name = shard_name(opened.files.name, new, index)
        names.add(name)
        done += new.shard_lengths[index]
        if plan.is_untouched(index):
            paths.append(old[index])
            continue
        content = write_shard(change, name, _records([old[i] for i in group]))
        _check_count(content, new.shard_lengths[index], [old[i] for i in group])
        paths.append(change.staged(name))
        if progress:
            progress(done, total)
    for path in old:
        if path.name not in names:
            change.remove(path.name)
    return new, paths


def _records(shards: Sequence[Path]) -> Iterator[bytes]:
    for shard in shards:
        yield from read_records(shard)


def _check_count(content: ShardContent, expected: int, shards: Sequence[Path]) -> None:
    if content.episodes != expected:
        raise DamagedDatasetError(
            f"{shards[0]} to {shards[-1].name}: expected {expected} records as dataset_info.json "
            f"says, found {content.episodes}"
        )


def _new_places(
    opened: OpenedDirectory, plans: Sequence[_Plan]
) -> Callable[[DroppedEpisode], tuple[int, int]]:
    """Where the place of a dropped episode is after its shard was joined with others."""
    homes: dict[tuple[str, int], tuple[int, int]] = {}
    dropped = Counter((one.split, one.shard) for one in opened.dropped.episodes)
    for plan in plans:
        name = plan.split.name
        for new, group in enumerate(plan.groups):
            before = 0
            for shard in group:
                homes[name, shard] = new, before
                before += plan.split.shard_lengths[shard] + dropped[name, shard]

    def place(episode: DroppedEpisode) -> tuple[int, int]:
        shard, before = homes.get((episode.split, episode.shard), (episode.shard, 0))
        return shard, before + episode.record

    return place
