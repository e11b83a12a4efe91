"""Reading datasets: episodes as numpy columns without TensorFlow, or as RLDS in `tf.data`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .change import finish_for_reading
from .dataset_files import FEATURES_FILE, DatasetFiles, read_dataset_files
from .episode import Episode
from .errors import DamagedDatasetError, DatasetNotFoundError, UsageError
from .paths import DatasetPath
from .provenance import Provenance, dataset_digest, read_provenance
from .records import decode_episode, read_record_at, read_records, record_spans
from .schema import Schema, read_schema

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file of a dataset.

    Attributes:
      path: the file.
      split: name of its split.
      first_episode: ordinal in the dataset of its first episode.
      num_episodes: how many it holds.
    """

    path: Path
    split: str
    first_episode: int
    num_episodes: int


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An RLDS dataset on disk as it was when it was opened.

    Episodes that a recorder appends later are seen after opening it again. Episodes are numbered
    through all splits, in the order of `splits`.
    """

    directory: Path
    files: DatasetFiles
    schema: Schema
    provenance: Provenance | None

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def version(self) -> str:
        return self.files.version

    @property
    def splits(self) -> dict[str, int]:
        """Number of episodes by split."""
        return {split.name: split.num_episodes for split in self.files.splits}

    @property
    def num_episodes(self) -> int:
        return sum(self.splits.values())

    @property
    def size_bytes(self) -> int:
        """Size of all shards on the disk."""
        return sum(shard.path.stat().st_size for shard in self._shards)

    @functools.cached_property
    def digest(self) -> str:
        """Identity of the content: see `dataset_digest`."""
        return dataset_digest(shard.path for shard in self.shards())

    def shards(self, split: str | None = None) -> list[Shard]:
        """The files of one split, or of all, in order.

        Raises:
          UsageError: there is no such split.
        """
        self._check_split(split)
        return [shard for shard in self._shards if split in (None, shard.split)]

    def episodes(self, split: str | None = None) -> Iterator[Episode]:
        """The episodes of one split, or of all, in order.

        Raises:
          UsageError: there is no such split.
          DamagedDatasetError: naming the file and the record.
        """
        for shard in self.shards(split):
            found = 0
            for payload in read_records(shard.path):
                yield self._decode(payload, shard, found)
                found += 1
            _check_count(shard, found)

    def episode(self, index: int) -> Episode:
        """The episode with ordinal `index`, counted from 0 through all splits.

        Raises:
          UsageError: there is no such episode.
          DamagedDatasetError: naming the file and the record.
        """
        for shard in self._shards:
            position = index - shard.first_episode
            if 0 <= position < shard.num_episodes:
                return self._decode(_payload(shard, position), shard, position)
        raise UsageError(
            f"{self.directory}: there is no episode {index}; it holds {self.num_episodes}, "
            f"numbered from 0"
        )

    def as_tf_data(self, split: str | None = None) -> tf.data.Dataset:
        """The episodes in order, as TFDS gives them: `{steps: tf.data.Dataset, ...}`.

        Raises:
          UsageError: there is no such split, or it has no episodes, which TFDS cannot express.
        """
        import tensorflow_datasets as tfds

        if not sum(shard.num_episodes for shard in self.shards(split)):
            raise UsageError(f"{self.directory}: no episodes yet in {split or 'any split'}")
        builder = tfds.builder_from_directory(str(self.directory))
        # One shard after the other: interleaving would change the order of the episodes.
        config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        return builder.as_dataset(split=split or "all", read_config=config, shuffle_files=False)

    @functools.cached_property
    def _shards(self) -> list[Shard]:
        shards, first = [], 0
        for split in self.files.splits:
            paths = self.files.shard_paths(self.directory, split)
            for path, length in zip(paths, split.shard_lengths, strict=True):
                shards.append(Shard(path, split.name, first, length))
                first += length
        return shards

    def _check_split(self, split: str | None) -> None:
        if split is not None and split not in self.splits:
            raise UsageError(
                f"{self.directory}: there is no split {split!r}; the splits are "
                f"{', '.join(self.splits) or 'none'}"
            )

    def _decode(self, payload: bytes, shard: Shard, position: int) -> Episode:
        try:
            return decode_episode(payload, self.schema)
        except DamagedDatasetError as error:
            ordinal = shard.first_episode + position
            raise DamagedDatasetError(
                f"{shard.path}: record {position} (episode {ordinal} of the dataset): {error}"
            ) from error


def open_dataset(dataset: str | Path | DatasetPath) -> Dataset:
    """Opens a dataset for reading: `<data_dir>/<name>[/<version>]`.

    Raises:
      DatasetNotFoundError: there is none; the message lists those in the same data directory.
      DamagedDatasetError: its files are unreadable or missing.
      SchemaError: it is not RLDS, or has a feature that serlds cannot read.
      UsageError: the path cannot name a dataset.
    """
    path = dataset if isinstance(dataset, DatasetPath) else DatasetPath.parse(dataset)
    directory = path.directory
    if not (directory / FEATURES_FILE).is_file():
        if any(directory.glob("*.tfrecord*")):
            raise DamagedDatasetError(
                f"{directory}: there are shards but no {FEATURES_FILE} that describes them; "
                f"restore it from a copy"
            )
        raise DatasetNotFoundError(f"no dataset in {path}; {_what_is_nearby(path)}")
    finish_for_reading(directory)
    schema, provenance = read_schema(directory), read_provenance(directory)
    try:
        files = read_dataset_files(directory)
    except DamagedDatasetError as error:
        raise DamagedDatasetError(
            f"{error}; `serlds recover {directory}` rebuilds the file from the shards"
        ) from error
    opened = Dataset(directory, files, schema, provenance)
    _check_present(opened)
    return opened


def list_datasets(data_dir: Path) -> list[Path]:
    """The directories `<data_dir>/<name>/<version>` that hold a dataset, sorted."""
    return sorted(path.parent for path in data_dir.glob(f"*/*.*.*/{FEATURES_FILE}"))


def _what_is_nearby(path: DatasetPath) -> str:
    found = [
        str(directory.relative_to(path.data_dir)) for directory in list_datasets(path.data_dir)
    ]
    if not found:
        return f"there are no datasets in {path.data_dir}; record one with `serlds record`"
    listed = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
    return f"in {path.data_dir} there are: {listed}"


def _check_present(dataset: Dataset) -> None:
    names = {path.name for path in dataset.directory.iterdir()}
    missing = [shard.path.name for shard in dataset.shards() if shard.path.name not in names]
    if missing:
        listed = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise DamagedDatasetError(
            f"{dataset.directory}: {len(missing)} of {len(dataset.shards())} shards that "
            f"dataset_info.json names are missing: {listed}; restore them from a copy"
        )


def _payload(shard: Shard, position: int) -> bytes:
    spans = list(record_spans(shard.path))
    _check_count(shard, len(spans))
    return read_record_at(shard.path, spans[position][0])


def _check_count(shard: Shard, found: int) -> None:
    if found != shard.num_episodes:
        raise DamagedDatasetError(
            f"{shard.path}: expected {shard.num_episodes} records as dataset_info.json says, "
            f"found {found}"
        )
