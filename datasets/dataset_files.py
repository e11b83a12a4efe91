"""A dataset directory as TFDS sees it: names of the shards, `dataset_info.json`, `features.json`.

Layout: https://www.tensorflow.org/datasets/external_tfrecord. Nothing here loads TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .durable_files import write_durably
from .errors import DamagedDatasetError, DatasetNotFoundError, SchemaError
from .schema import FEATURES_FILE, Schema
from .untrusted import check_feature_classes

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

INFO_FILE = "dataset_info.json"
LICENSE_FILE = "LICENSE"
FILE_FORMAT = "tfrecord"
# A shard's name does not carry the number of shards: appending one renames nothing.
APPENDABLE_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
COUNTED_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
# From 100,000 shards on TFDS writes indices with six digits, which would rename them all.
MAX_SHARDS = 99_999
# From so many on, opening, listing and appending take noticeably longer.
MANY_SHARDS = 5_000


@dataclasses.dataclass(frozen=True)
class DatasetCard:
    """What `dataset_info.json` tells a person; empty where nothing is known."""

    description: str = ""
    citation: str = ""
    license: str = ""
    homepage: str = ""


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The shards of one split.

    Attributes:
      name: `train`, `val`, ...
      shard_lengths: number of episodes in each shard.
      num_bytes: size of all its shards.
      template: how the shards are named.
    """

    name: str
    shard_lengths: tuple[int, ...] = ()
    num_bytes: int = 0
    template: str = APPENDABLE_TEMPLATE

    @property
    def num_episodes(self) -> int:
        return sum(self.shard_lengths)

    @property
    def is_appendable(self) -> bool:
        """Whether the name of a shard stays as it is when others are added."""
        return self.template == APPENDABLE_TEMPLATE

    def with_shard(self, episodes: int, num_bytes: int) -> SplitFiles:
        """The split with one more shard at its end."""
        return dataclasses.replace(
            self,
            shard_lengths=(*self.shard_lengths, episodes),
            num_bytes=self.num_bytes + num_bytes,
        )


@dataclasses.dataclass(frozen=True)
class DatasetFiles:
    """The content of `dataset_info.json`."""

    name: str
    version: str
    splits: tuple[SplitFiles, ...]
    card: DatasetCard = DatasetCard()

    def shard_paths(self, directory: Path, split: SplitFiles) -> Iterator[Path]:
        """The shards of one split, in order."""
        for index in range(len(split.shard_lengths)):
            yield directory / shard_name(self.name, split, index)


def shard_name(dataset: str, split: SplitFiles, index: int) -> str:
    """File name of shard `index` of a split of the dataset called `dataset`."""
    count = None if split.is_appendable else len(split.shard_lengths)
    template = _template(dataset, split.name, split.template)
    return template.relative_filepath(shard_index=index, num_shards=count)


def write_metadata(directory: Path, files: DatasetFiles, schema: Schema) -> None:
    """Writes all that TFDS needs to load the directory's shards.

    `features.json` comes last: only with it does TFDS see a dataset.

    Raises:
      OSError: as the operating system reports it.
    """
    write_dataset_info(directory, files)
    if files.card.license:
        write_durably(directory / LICENSE_FILE, files.card.license.encode())
    features = json.dumps(schema.to_features().to_json(), indent=2, sort_keys=True)
    write_durably(directory / FEATURES_FILE, features.encode())


def write_dataset_info(directory: Path, files: DatasetFiles) -> None:
    """Writes `dataset_info.json` alone; the shards it names must already be durable."""
    write_durably(directory / INFO_FILE, dataset_info_json(files))


def dataset_info_json(files: DatasetFiles) -> bytes:
    """The text of `dataset_info.json`, as TFDS would write it; about 1 ms per 4000 shards."""
    card = files.card
    info = {
        "citation": card.citation,
        "description": card.description,
        "fileFormat": FILE_FORMAT,
        "location": {"urls": [card.homepage]} if card.homepage else {},
        "name": files.name,
        "redistributionInfo": {"license": card.license} if card.license else {},
        "splits": [_split_json(split) for split in files.splits],
        "version": files.version,
    }
    return json.dumps(_without_empty(info), indent=2).encode()


def _split_json(split: SplitFiles) -> dict[str, Any]:
    # 64-bit numbers are texts in the JSON of protocol buffers.
    return _without_empty(
        {
            "filepathTemplate": split.template,
            "name": split.name,
            "numBytes": str(split.num_bytes) if split.num_bytes else "",
            "shardLengths": list(map(str, split.shard_lengths)),
        }
    )


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def read_dataset_files(directory: Path) -> DatasetFiles:
    """Reads `dataset_info.json`, whoever wrote it.

    Raises:
      DatasetNotFoundError: there is no dataset in `directory`.
      DamagedDatasetError: the file is missing beside a `features.json`, cannot be read, or names
        shards outside of `directory`.
      SchemaError: the shards are in another format than TFRecord.
    """
    import tensorflow_datasets as tfds

    path = directory / INFO_FILE
    if not path.is_file():
        if (directory / FEATURES_FILE).is_file():
            raise DamagedDatasetError(f"{directory}: there is a features.json but no {INFO_FILE}")
        raise DatasetNotFoundError(f"no dataset in {directory}: there is no {INFO_FILE}")
    try:
        check_feature_classes(directory / FEATURES_FILE)
        info = tfds.builder_from_directory(str(directory)).info
        splits = tuple(_split_files(split) for split in info.splits.values())
        for split in splits:
            if "/" in info.name + split.name + split.template:
                raise ValueError("the shards' names lead to other folders")
            if split.shard_lengths:
                shard_name(info.name, split, 0)  # a damaged template names no file
        file_format = info.file_format.value if info.file_format else FILE_FORMAT
    except Exception as error:  # TFDS raises what its JSON and proto parsers raise
        raise DamagedDatasetError(f"{path}: cannot be read: {_first_line(error)}") from error
    if file_format != FILE_FORMAT:
        raise SchemaError(f"{path}: the shards are {file_format}; only {FILE_FORMAT} can be read")
    license_text = info.redistribution_info.license
    homepage = next(iter(info.as_proto.location.urls), "")
    card = DatasetCard(info.description, info.citation, license_text, homepage)
    return DatasetFiles(info.name, str(info.version), splits, card)


def _split_files(split: tfds.core.SplitInfo) -> SplitFiles:
    return SplitFiles(
        name=split.name,
        shard_lengths=tuple(split.shard_lengths),
        num_bytes=int(split.num_bytes),
        template=split.filename_template.template,
    )


@functools.lru_cache
def _template(dataset: str, split: str, template: str) -> tfds.core.ShardedFileTemplate:
    import tensorflow_datasets as tfds

    return tfds.core.ShardedFileTemplate(
        data_dir="",
        template=template,
        dataset_name=dataset,
        split=split,
        filetype_suffix=FILE_FORMAT,
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
