"""What happens when a store is opened: created if new, checked if not, put right after a crash."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from . import keys
from .appending import check_same_environment, check_same_schema, require_recording
from .dataset_files import (
    FEATURES_FILE,
    INFO_FILE,
    DatasetCard,
    DatasetFiles,
    SplitFiles,
    read_dataset_files,
    write_dataset_info,
    write_metadata,
)
from .errors import DamagedDatasetError, SerldsError
from .paths import DatasetPath
from .provenance import Provenance, read_provenance, write_provenance
from .recovery import check_shards_present, clear_temporaries, recover_orphans
from .schema import Schema, read_schema

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class OpenedDirectory:
    """A dataset directory that is whole and ready for one more episode.

    Attributes:
      schema: as recorded in `features.json`.
      provenance: as recorded in `serlds.json`.
      files: as recorded in `dataset_info.json`.
      notices: what had to be put right, one line each.
    """

    schema: Schema
    provenance: Provenance
    files: DatasetFiles
    notices: tuple[str, ...]


def open_directory(
    path: DatasetPath, schema: Schema, offered: Provenance, description: str
) -> OpenedDirectory:
    """Makes a dataset directory ready for appending; the caller holds its lock.

    Args:
      path: the dataset.
      schema: of the episodes to come.
      offered: their environment.
      description: for the card of a new dataset; empty for a standard sentence.

    Raises:
      SchemaError, UsageError: the episodes to come do not belong there.
      DamagedDatasetError: recorded episodes are missing or altered.
      OSError: as the operating system reports it.
    """
    directory, card = path.directory, _card(path, offered, description)
    if not (directory / FEATURES_FILE).exists() or _has_nothing_recorded(directory):
        _create(path, schema, offered, card)
    recorded = read_schema(directory)
    notices: list[str] = []
    files = _files_or_none(directory, notices)
    known = files or DatasetFiles(path.name, path.version, (SplitFiles(keys.SPLIT),), card)
    provenance = require_recording(known, read_provenance(directory), directory)
    check_same_schema(recorded, schema, directory)
    check_same_environment(provenance, offered.env_id, offered.env_args, directory)
    clear_temporaries(directory, recorded)
    check_shards_present(directory, known)
    split = recover_orphans(directory, known.name, known.splits[0], recorded, notices.append)
    known = dataclasses.replace(known, splits=(split,))
    if known != files:
        write_dataset_info(directory, known)
    for notice in notices:
        _log.warning("%s: %s", directory, notice)
    return OpenedDirectory(recorded, provenance, known, tuple(notices))


def _has_nothing_recorded(directory: Path) -> bool:
    """Whether a recording was opened there and ended before its first episode did."""
    if any("tfrecord" in child.name for child in directory.iterdir()):
        return False
    try:
        files = read_dataset_files(directory)
        require_recording(files, read_provenance(directory), directory)
    except SerldsError:
        return False  # what is wrong with it is told below
    return not any(split.shard_lengths for split in files.splits)


def _create(path: DatasetPath, schema: Schema, provenance: Provenance, card: DatasetCard) -> None:
    directory = path.directory
    if shards := sorted(child.name for child in directory.glob("*.tfrecord*")):
        raise DamagedDatasetError(
            f"{directory}: there are {len(shards)} shards ({shards[0]}, ...) but no "
            f"{FEATURES_FILE} that describes them; restore it, or record to another dataset"
        )
    write_provenance(directory, provenance)
    files = DatasetFiles(path.name, path.version, (SplitFiles(keys.SPLIT),), card)
    write_metadata(directory, files, schema)


def _card(path: DatasetPath, offered: Provenance, description: str) -> DatasetCard:
    return DatasetCard(
        description or f"Episodes of {offered.env_id or path.name}, recorded by serlds."
    )


def _files_or_none(directory: Path, notices: list[str]) -> DatasetFiles | None:
    try:
        return read_dataset_files(directory)
    except DamagedDatasetError as error:
        notices.append(f"{INFO_FILE} was rebuilt from the shards: {error}")
        return None
