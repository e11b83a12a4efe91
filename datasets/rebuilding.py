"""What a lost `dataset_info.json` said, found out from the shards."""

from __future__ import annotations

import collections
import re
from pathlib import Path

from . import keys
from .dataset_files import (
    COUNTED_TEMPLATE,
    LICENSE_FILE,
    DatasetCard,
    DatasetFiles,
    SplitFiles,
)
from .errors import DamagedDatasetError
from .paths import DatasetPath
from .records import record_spans

_SHARD = re.compile(
    r"(?P<name>[^.].*)-(?P<split>\w+)\.tfrecord-(?P<index>\d{5})(?:-of-(?P<count>\d{5}))?"
)


def name_in_shards(path: DatasetPath) -> str:
    """The name that the shards of a dataset begin with, whose info file is lost.

    It is that of the folder unless somebody renamed the folder.

    Raises:
      DamagedDatasetError: shards of several other names lie there.
    """
    names = {match["name"] for match in _shards(path.directory).values()}
    if not names or path.name in names:
        return path.name
    if len(names) > 1:
        raise DamagedDatasetError(
            f"{path.directory}: there are shards of several datasets, {', '.join(sorted(names))}; "
            f"leave those of one there, or rename the folder to the name that is meant"
        )
    return names.pop()


def rebuilt_files(path: DatasetPath) -> DatasetFiles:
    """The splits and shard lengths of a derived dataset whose info file is lost.

    The splits come in alphabetical order, `train` first. The text of the card is lost with the
    file; the licence has one of its own.

    Raises:
      DamagedDatasetError: there are no shards, some are missing, or one is torn.
    """
    directory, dataset = path.directory, name_in_shards(path)
    found: dict[str, dict[int, Path]] = collections.defaultdict(dict)
    counts: dict[str, int] = {}
    for shard, match in _shards(directory).items():
        if match["name"] == dataset and match["count"]:
            found[match["split"]][int(match["index"])] = shard
            counts[match["split"]] = int(match["count"])
    if not found:
        raise DamagedDatasetError(f"{directory}: there are no shards to rebuild anything from")
    splits = []
    for name in sorted(found, key=lambda split: (split != keys.SPLIT, split)):
        shards = [found[name][index] for index in sorted(found[name])]
        if len(shards) != counts[name]:
            raise DamagedDatasetError(
                f"{directory}: of the {counts[name]} shards of {name} only {len(shards)} are "
                f"there; restore the others from a copy"
            )
        lengths = tuple(sum(1 for _ in record_spans(shard)) for shard in shards)
        size = sum(shard.stat().st_size for shard in shards)
        splits.append(SplitFiles(name, lengths, size, COUNTED_TEMPLATE))
    licence = directory / LICENSE_FILE
    card = DatasetCard(
        f"Episodes of {dataset}; the first description was lost with dataset_info.json.",
        license=licence.read_text() if licence.is_file() else "",
    )
    return DatasetFiles(dataset, path.version, tuple(splits), card)


def _shards(directory: Path) -> dict[Path, re.Match[str]]:
    files = sorted(directory.glob("*.tfrecord-*"))
    return {file: match for file in files if (match := _SHARD.fullmatch(file.name))}
