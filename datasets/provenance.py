"""Where a dataset comes from (`serlds.json` in its directory) and the digest that identifies it."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import __version__
from .durable_files import write_durably
from .errors import DamagedDatasetError
from .records import record_spans

PROVENANCE_FILE = "serlds.json"
_LENGTH_AND_CRC = struct.Struct("<QI")


def utc_now_text() -> str:
    """The time now, ISO 8601 in UTC with microseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


@dataclasses.dataclass(frozen=True)
class Parent:
    """A dataset that another one was made from, as it was then."""

    path: str
    name: str
    version: str
    digest: str


@dataclasses.dataclass(frozen=True)
class Provenance:
    """The origin of a dataset.

    Attributes:
      env_id: Gymnasium id of the environment it was recorded in; empty where unknown.
      env_args: the arguments that environment was made with.
      parents: the datasets it was derived from; none for a recording.
      transform: what made it from its parents, as the verb and its options; empty for a recording.
      created_utc: ISO 8601.
      serlds_version: the version that created it.
    """

    env_id: str = ""
    env_args: dict[str, Any] = dataclasses.field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    transform: dict[str, Any] = dataclasses.field(default_factory=dict)
    created_utc: str = dataclasses.field(default_factory=utc_now_text)
    serlds_version: str = __version__

    @property
    def is_derived(self) -> bool:
        """Made from other datasets rather than recorded."""
        return bool(self.parents or self.transform)


def write_provenance(directory: Path, provenance: Provenance) -> None:
    """Writes `serlds.json` durably; all values must be JSON."""
    text = json.dumps(dataclasses.asdict(provenance), indent=2) + "\n"
    write_durably(directory / PROVENANCE_FILE, text.encode())


def read_provenance(directory: Path) -> Provenance | None:
    """Reads `serlds.json`; None where serlds did not write the dataset.

    Raises:
      DamagedDatasetError: the file is there but is not what `write_provenance` writes.
    """
    path = directory / PROVENANCE_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_bytes())
        parents = tuple(Parent(**parent) for parent in values.pop("parents"))
        provenance = Provenance(parents=parents, **values)
        _check_types(provenance)
        return provenance
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedDatasetError(f"{path}: not a readable provenance file: {error}") from error


def _check_types(provenance: Provenance) -> None:
    for one in (provenance, *provenance.parents):
        for name, value in vars(one).items():
            expected = {"env_args": dict, "transform": dict, "parents": tuple}.get(name, str)
            if not isinstance(value, expected):
                raise TypeError(f"{name}: expected {expected.__name__}, found {value!r}")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dataset_digest(shards: Iterable[Path]) -> str:
    """SHA-256 over the length and masked CRC-32C of each record, in order, as 64 hex digits.

    It tells datasets apart by content without reading the content again, and does not change when
    the same records in the same order are spread over other shards.

    Raises:
      DamagedDatasetError: a shard ends inside a record.
    """
    digest = hashlib.sha256()
    for shard in shards:
        for _, length, masked_crc in record_spans(shard):
            digest.update(_LENGTH_AND_CRC.pack(length, masked_crc))
    return digest.hexdigest()
