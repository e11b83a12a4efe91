"""Putting a dataset right without recording to it, and going on without what is damaged."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from .change import changing
from .damage import ShardDamage, find_damage, whole_records
from .dataset_files import DatasetFiles, write_dataset_info
from .opening import OpenedDirectory
from .rearranging import (
    ShardContent,
    as_dataset,
    curating,
    stage_files,
    with_shards_replaced,
    write_shard,
)
from .recovery import SET_ASIDE_DIRECTORY, free_name

Progress = Callable[[int, int], None]
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class RecoveryReport:
    """What was found and done.

    Attributes:
      directory: of the dataset.
      notices: what was put right, one line each.
      damage: the shards that do not hold what they should.
      is_salvaged: whether the dataset goes on without the damaged records.
      num_episodes: how many it holds now.
    """

    directory: Path
    notices: tuple[str, ...]
    damage: tuple[ShardDamage, ...]
    is_salvaged: bool
    num_episodes: int

    @property
    def lost(self) -> int:
        """How many episodes are damaged."""
        return sum(one.lost for one in self.damage)

    @property
    def exit_code(self) -> int:
        """1 while there is damage in the dataset."""
        return 1 if self.damage and not self.is_salvaged else 0

    def to_text(self) -> str:
        """For the terminal."""
        messages = [message for one in self.damage for message in one.messages]
        lines = [*self.notices, *messages[:_SHOWN]]
        if len(messages) > _SHOWN:
            lines.append(f"and {len(messages) - _SHOWN} more")
        if self.is_salvaged:
            lines.append(
                f"{self.directory}: {len(self.damage)} damaged shard(s) are kept in "
                f"{SET_ASIDE_DIRECTORY}/, the dataset goes on without {self.lost} episode(s); it "
                f"holds {self.num_episodes}"
            )
        elif self.damage:
            lines.append(
                f"{self.directory}: {self.lost} of {self.num_episodes} episode(s) cannot be read; "
                f"restore the file(s) from a copy, or run\n"
                f"  serlds recover {self.directory} --salvage\n"
                f"which keeps all whole episodes and sets the damaged file(s) aside"
            )
        else:
            state = "put right" if self.notices else "nothing to put right"
            lines.append(f"{self.directory}: {state}; all {self.num_episodes} episodes are whole")
        return "\n".join(lines)


def recover(
    dataset: str | Path, *, salvage: bool = False, progress: Progress | None = None
) -> RecoveryReport:
    """Does what opening for recording does, and reads every record against its CRC.

    An interrupted change is finished, whole shards that a recorder could not note any more are
    adopted, torn ones set aside, a lost `dataset_info.json` is rebuilt.

    Args:
      dataset: one that serlds wrote.
      salvage: where recorded shards are damaged, keep their whole records and go on without the
        others; the damaged files are kept in `set-aside/`.
      progress: called with (shards read, shards).

    Raises:
      UsageError: serlds did not write the dataset.
      StoreLockedError: a recorder writes it.
      DamagedDatasetError: a description is damaged that cannot be rebuilt.
      StoreWriteError: the operating system refused to write.
    """
    with curating(dataset, check_shards=False) as opened:
        shards = as_dataset(opened).shards()
        damage = []
        for done, shard in enumerate(shards, 1):
            if found := find_damage(shard):
                damage.append(found)
            if progress:
                progress(done, len(shards))
        notices, files = list(opened.notices), opened.files
        if damage and salvage:
            files = _salvage(opened, damage)
        elif not damage and (right := with_shards_replaced(opened, {})) != files:
            write_dataset_info(opened.directory, right)
            notices.append("dataset_info.json gave another size than the shards have: corrected")
        return RecoveryReport(
            opened.directory,
            tuple(notices),
            tuple(damage),
            bool(damage) and salvage,
            sum(split.num_episodes for split in files.splits),
        )


def _salvage(opened: OpenedDirectory, damage: Sequence[ShardDamage]) -> DatasetFiles:
    directory = opened.directory
    shards: dict[Path, ShardContent] = {}
    with changing(directory, f"{len(damage)} damaged shard(s) were set aside") as change:
        for one in damage:
            path, records = one.shard.path, iter(())
            if path.is_file():
                kept = free_name(directory / SET_ASIDE_DIRECTORY / f"{path.name}.damaged")
                with path.open("rb") as source, change.replacing(_relative(kept)) as copy:
                    shutil.copyfileobj(source, copy)
                records = whole_records(path, lambda message: None)
            shards[path] = write_shard(change, path.name, records)
        files = with_shards_replaced(opened, shards)
        lost = opened.dropped.lost + sum(one.lost for one in damage)
        stage_files(change, opened, files, dataclasses.replace(opened.dropped, lost=lost))
    return files


def _relative(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
