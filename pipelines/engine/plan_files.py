"""The plan as files, one per part, from which workers take what they are to do.

A pipeline itself holds only the numbers of its parts: runners limit the size of a pipeline (Google
Dataflow to 10 MB), and the places of a million records do not fit.
"""

from __future__ import annotations

import json
from pathlib import Path

from .parts import Part, RecordRef


def write_plan(directory: Path, parts: tuple[Part, ...]) -> None:
    """Leaves each part in a file of `directory`."""
    for part in parts:
        files = list(dict.fromkeys(ref.file for ref in part.records))
        number = {file: index for index, file in enumerate(files)}
        records = [(number[ref.file], *ref[1:]) for ref in part.records]
        values = {"split": part.split, "files": files, "records": records}
        _path(directory, part.index).write_text(json.dumps(values))


def read_part(directory: Path, index: int) -> Part:
    """The part with an index.

    Raises:
      FileNotFoundError: this machine does not see the launcher's directory.
    """
    try:
        values = json.loads(_path(directory, index).read_bytes())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{directory} is not seen by this worker; all workers must see the dataset, the "
            f"destination and the scratch directory under the launcher's paths"
        ) from error
    files = values["files"]
    records = tuple(RecordRef(files[file], *place) for file, *place in values["records"])
    return Part(index, values["split"], records)


def _path(directory: Path, index: int) -> Path:
    return directory / f"plan-{index:05d}.json"
