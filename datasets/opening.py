"""Opening a dataset to change it: created if new, checked if not, put right after a crash."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from . import keys
from .appending import check_same_environment, check_same_schema, require_recording
from .change import finish_change
from .dataset_files import (
    FEATURES_FILE,
    INFO_FILE,
    MANY_SHARDS,
    DatasetCard,
    DatasetFiles,
    SplitFiles,
    read_dataset_files,
    write_dataset_info,
    write_metadata,
)
from .dropped import DROPPED_LIST, DroppedList, read_dropped
from .durable_files import write_durably
from .errors import DamagedDatasetError, SerldsError, UsageError
from .paths import DatasetPath
from .provenance import Provenance, read_provenance, write_provenance
from .rebuilding import name_in_shards, rebuilt_files
from .recovery import check_shards_present, clear_temporaries, recover_orphans
from .schema import Schema, read_schema

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class OpenedDirectory:
    """A dataset directory that is whole, and that its opener may change.

    Attributes:
      path: which dataset.
      schema: as recorded in `features.json`.
      provenance: as recorded in `serlds.json`.
      files: as recorded in `dataset_info.json`.
      dropped: the episodes that were dropped from it.
      notices: what had to be put right, one line each.
    """

    path: DatasetPath
    schema: Schema
    provenance: Provenance
    files: DatasetFiles
    dropped: DroppedList
    notices: tuple[str, ...]

    @property
    def directory(self) -> Path:
        return self.path.directory


def open_for_appending(
    path: DatasetPath, schema: Schema, offered: Provenance, description: str
) -> OpenedDirectory:
    """Makes a dataset directory ready for more episodes; the caller holds its lock.

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
    notices = _finish_change(directory)
    if not (directory / FEATURES_FILE).exists() or _has_nothing_recorded(directory):
        _create(path, schema, offered, card)
    recorded = read_schema(directory)
    files = _files_or_none(directory, notices)
    known = files or _nothing_recorded(path, card)
    provenance = require_recording(known, read_provenance(directory), directory)
    check_same_schema(recorded, schema, directory)
    check_same_environment(provenance, offered.env_id, offered.env_args, directory)
    opened = _put_right(path, recorded, provenance, files, known, notices, check_shards=True)
    shards = len(opened.files.splits[0].shard_lengths)
    if shards < MANY_SHARDS:
        return opened
    advice = f"it has {shards} shards: `serlds compact {directory}` makes few large ones of them"
    return dataclasses.replace(opened, notices=(*opened.notices, advice))


def open_for_curation(path: DatasetPath, check_shards: bool = True) -> OpenedDirectory:
    """Makes a dataset that serlds wrote ready to be rearranged; the caller holds its lock.

    Args:
      path: the dataset, which must be there.
      check_shards: whether missing or altered shards are an error.

    Raises:
      UsageError: serlds did not write it.
      DamagedDatasetError: episodes are missing or altered, or its files cannot be rebuilt.
      OSError: as the operating system reports it.
    """
    directory = path.directory
    notices = _finish_change(directory)
    recorded, provenance = read_schema(directory), read_provenance(directory)
    if provenance is None:
        raise UsageError(
            f"{directory}: serlds did not write this dataset and leaves it as it is; bring it in "
            f"with `serlds convert` or `serlds import rlds`, and change that one"
        )
    files = _files_or_none(directory, notices)
    if provenance.is_derived:
        known = files or rebuilt_files(path)
        if known != files:
            write_dataset_info(directory, known)
        if check_shards:
            check_shards_present(directory, known)
        dropped = read_dropped(directory)
        return OpenedDirectory(path, recorded, provenance, known, dropped, tuple(notices))
    card = _card(path, provenance, "")
    known = files or _nothing_recorded(path, card)
    require_recording(known, provenance, directory)
    return _put_right(path, recorded, provenance, files, known, notices, check_shards)


def _put_right(
    path: DatasetPath,
    schema: Schema,
    provenance: Provenance,
    files: DatasetFiles | None,
    known: DatasetFiles,
    notices: list[str],
    check_shards: bool,
) -> OpenedDirectory:
    """Recovers a recording: `files` is what its info file says, `known` what is to begin from."""
    directory = path.directory
    dropped = read_dropped(directory)
    clear_temporaries(directory, schema)
    if check_shards:
        check_shards_present(directory, known)
    split, moved = recover_orphans(
        directory, known.name, known.splits[0], schema, dropped, notices.append
    )
    known = dataclasses.replace(known, splits=(split,))
    if moved != dropped:
        write_durably(directory / DROPPED_LIST, moved.to_json())
    if known != files:
        write_dataset_info(directory, known)
    for notice in notices:
        _log.warning("%s: %s", directory, notice)
    return OpenedDirectory(path, schema, provenance, known, moved, tuple(notices))


def _finish_change(directory: Path) -> list[str]:
    done = finish_change(directory)
    return [f"a change that was interrupted is finished: {done}"] if done else []


def _has_nothing_recorded(directory: Path) -> bool:
    """Whether a recording was opened there and ended before its first episode did."""
    if any("tfrecord" in child.name for child in directory.iterdir()):
        return False
    if (directory / DROPPED_LIST).exists():
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
    write_metadata(directory, _nothing_recorded(path, card), schema)


def _nothing_recorded(path: DatasetPath, card: DatasetCard) -> DatasetFiles:
    return DatasetFiles(name_in_shards(path), path.version, (SplitFiles(keys.SPLIT),), card)


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
