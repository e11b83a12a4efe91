"""The append-only, crash-safe store that all recordings go through."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .amending import amend_newest
from .dataset_files import INFO_FILE, MAX_SHARDS, SplitFiles, dataset_info_json, shard_name
from .dropping import drop_from
from .durable_files import commit, create_directory, stage
from .episode import Episode
from .errors import SerldsError, StoreWriteError, UsageError
from .opening import OpenedDirectory, open_for_appending
from .paths import DatasetPath
from .provenance import Provenance
from .rearranging import as_dataset
from .records import encode_episode, frame_record
from .schema import Schema
from .store_lock import StoreLock

# Readers hold a whole record in memory, and protocol buffers end at 2 GiB.
MAX_EPISODE_BYTES = 2**30


class EpisodeStore:
    """A TFDS dataset directory that grows by one episode, which is one shard, at a time.

    When `append` returns, the episode is on the disk and part of the dataset, whatever happens to
    the process or the machine afterwards. The directory can be loaded by TFDS at every moment.

    Attributes:
      path: where the dataset is.
      schema: what every episode has.
      provenance: the environment it was begun with.
      notices: what opening it had to put right, one line each.
    """

    def __init__(self, path: DatasetPath, opened: OpenedDirectory, lock: StoreLock):
        """Use `EpisodeStore.open`."""
        self.path = path
        self.schema = opened.schema
        self.provenance = opened.provenance
        self.notices = opened.notices
        self._opened = opened
        self._lock = lock
        self._is_open = True

    @classmethod
    def open(
        cls,
        dataset: str | Path | DatasetPath,
        schema: Schema,
        *,
        env_id: str = "",
        env_args: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> EpisodeStore:
        """Opens a dataset for appending; creates it where there is none; recovers it if needed.

        Args:
          dataset: `<data_dir>/<name>[/<version>]`.
          schema: of the episodes to come.
          env_id: Gymnasium id of the environment they come from.
          env_args: what that environment was made with, as JSON values.
          description: for the people who will read the dataset; kept from its creation.

        Raises:
          StoreLockedError: another process writes it.
          SchemaError: its episodes have other fields; the message names them.
          UsageError: it was recorded in another environment, is derived, or is not serlds' own.
          DamagedDatasetError: recorded episodes are missing or altered.
          StoreWriteError: the operating system refused to write.
        """
        path = dataset if isinstance(dataset, DatasetPath) else DatasetPath.parse(dataset)
        offered = Provenance(env_id, _as_json(env_args or {}))
        try:
            create_directory(path.directory)
            lock = StoreLock(path.directory)
            try:
                return cls(path, open_for_appending(path, schema, offered, description), lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise StoreWriteError(f"{path}: cannot be opened for recording: {error}") from error

    @property
    def directory(self) -> Path:
        return self.path.directory

    @property
    def num_episodes(self) -> int:
        return self._split.num_episodes

    @property
    def num_recorded(self) -> int:
        """How many episodes were ever recorded, those dropped since included."""
        return self.num_episodes + self._opened.dropped.num_gone

    def append(self, episode: Episode) -> int:
        """Adds an episode durably and returns its ordinal, counted from 0.

        Raises:
          SchemaError: the episode does not fit the schema; nothing was written.
          StoreWriteError: the operating system refused; all earlier episodes are intact, and the
            next `append` may succeed.
          SerldsError: the store is closed, full, or the episode is too large.
        """
        self._check_can_append()
        record = frame_record(encode_episode(episode, self.schema))
        if len(record) > MAX_EPISODE_BYTES:
            raise SerldsError(
                f"{self.directory}: episode {episode.episode_id!r} has {len(record)} bytes; at "
                f"most {MAX_EPISODE_BYTES} can be stored: end episodes earlier or use jpeg images"
            )
        ordinal = self.num_episodes
        self._write(record, episode.episode_id)
        return ordinal

    def newest(self) -> Episode:
        """The newest episode, read from the disk; raises UsageError where there is none."""
        return as_dataset(self._opened).episode(self.num_episodes - 1)

    def amend_newest(self, episode: Episode) -> None:
        """Replaces the newest episode durably; see `amending.amend_newest`."""
        self._change(lambda: amend_newest(self._opened, episode))

    def drop_newest(self, reason: str) -> None:
        """Drops the newest episode, reversibly as `serlds drop` does.

        It may be the only one: the dataset then waits for its first, as after `open`.

        Args:
          reason: for people who see it in the list later.

        Raises:
          UsageError: there is none.
          SerldsError: the store is closed.
          StoreWriteError: the operating system refused to write.
        """
        if not self.num_episodes:
            raise UsageError(f"{self.directory}: there is no episode to drop")
        newest = [self.num_episodes - 1]
        self._change(lambda: drop_from(self._opened, newest, reason)[0])

    def close(self) -> None:
        """Releases the lock; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _split(self) -> SplitFiles:
        return self._opened.files.splits[0]

    def _change(self, change: Callable[[], OpenedDirectory]) -> None:
        self._check_is_open()
        try:
            self._opened = change()
        except UsageError:
            raise
        except BaseException:
            self.close()  # a change half made is for the next `open` to finish
            raise

    def _check_is_open(self) -> None:
        if not self._is_open:
            raise SerldsError(f"{self.directory}: the store is closed; open it again to append")

    def _check_can_append(self) -> None:
        self._check_is_open()
        if len(self._split.shard_lengths) >= MAX_SHARDS:
            raise UsageError(
                f"{self.directory}: holds {MAX_SHARDS} shards, the most that TFDS can number; "
                f"`serlds compact {self.directory}` makes few of them"
            )

    def _write(self, record: bytes, episode_id: str) -> None:
        files = self._opened.files
        shard = self.directory / shard_name(files.name, self._split, len(self._split.shard_lengths))
        info = self.directory / INFO_FILE
        split = self._split.with_shard(1, len(record))
        files = dataclasses.replace(files, splits=(split,))
        try:
            staged = stage({shard: record, info: dataset_info_json(files)})
        except OSError as error:
            raise StoreWriteError(
                f"{self.directory}: episode {episode_id!r} ({len(record)} bytes) could not be "
                f"written: {error}; the {self.num_episodes} episodes before it are intact"
            ) from error
        try:
            # In this order; file systems keep the order of renames, so one sync makes both durable.
            staged[0].replace(shard)
            commit(staged[1], info)
        except BaseException as error:
            # Between the two the directory is for `open` to put right, so no append may follow.
            self.close()
            if isinstance(error, OSError):
                raise StoreWriteError(
                    f"{self.directory}: episode {episode_id!r} could not be named: {error}; the "
                    f"{self.num_episodes} episodes before it are intact; open the store again"
                ) from error
            raise
        self._opened = dataclasses.replace(self._opened, files=files)


def _as_json(env_args: Mapping[str, Any]) -> dict[str, Any]:
    # What JSON makes of them (a list of a tuple), so that they compare equal to those on disk.
    try:
        return json.loads(json.dumps(dict(env_args)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"environment arguments {env_args!r} are not JSON: {error}") from error
