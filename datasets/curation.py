"""Dropping episodes from a dataset and restoring them."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .change import changing
from .dropped import DroppedEpisode, live_place
from .dropping import drop_from
from .errors import DamagedDatasetError, UsageError
from .opening import OpenedDirectory
from .reading import Dataset
from .rearranging import (
    ShardContent,
    as_dataset,
    curating,
    stage_files,
    with_shards_replaced,
    write_shard,
)
from .records import read_records
from .selecting import parse_numbers, select_episodes

_SHOWN = 10
_DERIVED_FILES = ("validation.json", "statistics.json")


@dataclasses.dataclass(frozen=True)
class CurationReport:
    """What was changed in a dataset.

    Attributes:
      directory: of the dataset.
      verb: `dropped` or `restored`.
      episodes: those concerned.
      num_episodes: how many the dataset holds now.
      num_dropped: how many are dropped now.
      notices: what opening the dataset had to put right.
    """

    directory: Path
    verb: str
    episodes: tuple[DroppedEpisode, ...]
    num_episodes: int
    num_dropped: int
    notices: tuple[str, ...]

    def to_text(self) -> str:
        """For the terminal."""
        shown = [f"  {one.number}  {one.episode_id}" for one in self.episodes[:_SHOWN]]
        if len(self.episodes) > _SHOWN:
            shown.append(f"  and {len(self.episodes) - _SHOWN} more")
        line = (
            f"{self.directory}: {self.verb} {len(self.episodes)} episode(s); it holds "
            f"{self.num_episodes} now, {self.num_dropped} dropped ones lie beside it"
        )
        if stale := [name for name in _DERIVED_FILES if (self.directory / name).is_file()]:
            shown.append(
                f"{' and '.join(stale)} belong to the dataset as it was; `serlds validate` and "
                f"`serlds stats` renew them"
            )
        return "\n".join([*self.notices, line, *shown])


def drop_episodes(
    dataset: str | Path,
    episodes: Sequence[str],
    *,
    where: Mapping[str, str] | None = None,
    reason: str = "",
) -> CurationReport:
    """Takes episodes out of a dataset; no reader sees them any more until they are restored.

    They are on the disk in `dropped/` before they leave their shard. The ordinals of the episodes
    behind them become smaller.

    Args:
      dataset: one that serlds wrote.
      episodes: see `select_episodes`.
      where: see `select_episodes`.
      reason: for people who see it in the list later.

    Raises:
      UsageError: there is no such episode, a split would be left empty, or the dataset is the log
        of a training run, which goes on from all episodes in it.
      StoreLockedError: a recorder writes the dataset.
      DamagedDatasetError: a shard that must be rewritten is damaged.
      StoreWriteError: the operating system refused to write.
    """
    with curating(dataset) as opened:
        _check_no_log_of_a_run(opened.directory)
        source = as_dataset(opened)
        chosen = select_episodes(source, episodes, where)
        if not chosen:
            return _report(opened, "dropped", ())
        _check_nothing_is_emptied(source, chosen)
        now, new = drop_from(opened, chosen, reason)
        return _report(now, "dropped", new)


def restore_episodes(
    dataset: str | Path, episodes: Sequence[str], *, everything: bool = False
) -> CurationReport:
    """Puts dropped episodes back to where they were.

    Args:
      dataset: what they were dropped from.
      episodes: ids, or numbers and ranges of the list of dropped episodes.
      everything: all of them instead.

    Raises:
      UsageError: there is no such dropped episode.
      StoreLockedError, DamagedDatasetError, StoreWriteError: as `drop_episodes`.
    """
    with curating(dataset) as opened:
        chosen = _select_dropped(opened, episodes, everything)
        if not chosen:
            return _report(opened, "restored", ())
        left = tuple(one for one in opened.dropped.episodes if one not in chosen)
        dropped = dataclasses.replace(opened.dropped, episodes=left)
        shards: dict[Path, ShardContent] = {}
        with changing(opened.directory, f"{len(chosen)} episode(s) were restored") as change:
            for path, places, back in _by_home(opened, chosen):
                records = _with_restored(opened.directory, path, places, back)
                shards[path] = write_shard(change, path.name, records)
            files = with_shards_replaced(opened, shards)
            stage_files(change, opened, files, dropped)
            for one in chosen:
                change.remove(one.file)
        now = dataclasses.replace(opened, files=files, dropped=dropped)
        return _report(now, "restored", chosen)


def _check_no_log_of_a_run(directory: Path) -> None:
    run = directory.parents[1]
    is_log = directory.parent.name.partition("-")[0] == "episodes"
    if is_log and (run / "config.json").is_file():
        raise UsageError(
            f"{directory}: this is the log of the training run {run}, which counts its episodes "
            f"and refills its replay from them; copy it, and drop them from the copy:\n"
            f"  serlds convert {directory} DATA_DIR/NAME"
        )


def _check_nothing_is_emptied(dataset: Dataset, chosen: Sequence[int]) -> None:
    first = 0
    for split, count in dataset.splits.items():
        if count and sum(first <= ordinal < first + count for ordinal in chosen) == count:
            raise UsageError(
                f"{dataset.directory}: all {count} episodes of split {split!r} would be dropped, "
                f"and TFDS cannot read a split without episodes; keep one, or remove the dataset"
            )
        first += count


def _select_dropped(
    opened: OpenedDirectory, episodes: Sequence[str], everything: bool
) -> list[DroppedEpisode]:
    dropped = opened.dropped.episodes
    if everything == bool(episodes):
        raise UsageError("give the episodes to restore, or --all")
    if everything:
        return list(dropped)
    numbers, ids = parse_numbers(episodes)
    known_numbers = {one.number for one in dropped}
    known_ids = {one.episode_id for one in dropped}
    unknown = [str(number) for number in sorted(numbers - known_numbers)]
    unknown += [repr(name) for name in ids if name not in known_ids]
    if unknown:
        raise UsageError(
            f"{opened.directory}: no dropped episode {', '.join(unknown[:_SHOWN])}; "
            f"`serlds restore {opened.directory}` lists the {len(dropped)} that there are"
        )
    return [one for one in dropped if one.number in numbers or one.episode_id in ids]


def _by_home(
    opened: OpenedDirectory, chosen: Sequence[DroppedEpisode]
) -> Iterator[tuple[Path, list[int], list[DroppedEpisode]]]:
    """For each shard that gets episodes back: its path, all dropped places in it, and those."""
    homes: dict[tuple[str, int], list[DroppedEpisode]] = {}
    for one in chosen:
        homes.setdefault((one.split, one.shard), []).append(one)
    paths = {
        split.name: list(opened.files.shard_paths(opened.directory, split))
        for split in opened.files.splits
    }
    for (name, index), back in homes.items():
        if index >= len(paths.get(name, ())):
            raise DamagedDatasetError(
                f"{opened.directory}: {back[0].file} was dropped from shard {index} of {name}, "
                f"which is not there any more; the file is an ordinary TFRecord"
            )
        back.sort(key=lambda one: one.record)
        yield paths[name][index], opened.dropped.places(name, index), back


def _with_restored(
    directory: Path, shard: Path, taken: Sequence[int], back: Sequence[DroppedEpisode]
) -> Iterator[bytes]:
    live = (
        (live_place(taken, position), payload)
        for position, payload in enumerate(read_records(shard))
    )
    restored = (
        (one.record, payload) for one in back for payload in read_records(directory / one.file)
    )
    for _, payload in heapq.merge(live, restored, key=lambda item: item[0]):
        yield payload


def _report(
    opened: OpenedDirectory, verb: str, episodes: Sequence[DroppedEpisode]
) -> CurationReport:
    return CurationReport(
        opened.directory,
        verb,
        tuple(episodes),
        sum(split.num_episodes for split in opened.files.splits),
        len(opened.dropped.episodes),
        opened.notices,
    )
