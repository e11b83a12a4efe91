"""What must hold before episodes may be appended to a dataset that exists already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import keys
from .dataset_files import APPENDABLE_TEMPLATE, DatasetFiles
from .errors import SchemaError, UsageError
from .provenance import Provenance
from .schema import Schema
from .schema_differences import schema_differences


def check_same_schema(recorded: Schema, offered: Schema, dataset: Path) -> None:
    """Checks that both schemas have the same fields, meaning the same.

    Dtype, shape, encoding, unit, frame and scale must be equal; only the wording may differ.

    Raises:
      SchemaError: naming each field that differs, with what the dataset has and what was offered.
    """
    problems = [
        difference.to_text("recorded", "offered")
        for difference in schema_differences(recorded, offered)
    ]
    if problems:
        raise SchemaError(
            f"{dataset}: the new episodes do not fit the recorded ones:\n  "
            + "\n  ".join(problems)
            + "\nRecord to another dataset, or with the environment arguments of this one."
        )


def require_recording(
    files: DatasetFiles, provenance: Provenance | None, dataset: Path
) -> Provenance:
    """The provenance of a dataset that serlds recorded, and neither derived nor found elsewhere.

    Raises:
      UsageError: saying what it is instead.
    """
    if provenance is None:
        raise UsageError(f"{dataset}: serlds did not record this dataset; record to another one")
    if provenance.is_derived:
        raise UsageError(
            f"{dataset}: this dataset was derived from {_parents(provenance)}; record to a parent "
            f"and derive it again, or record to another dataset"
        )
    layouts = [(split.name, split.template) for split in files.splits]
    if layouts != [(keys.SPLIT, APPENDABLE_TEMPLATE)]:
        raise UsageError(
            f"{dataset}: expected one split {keys.SPLIT!r} with shards {APPENDABLE_TEMPLATE}, "
            f"found {layouts}; record to another dataset"
        )
    return provenance


def check_same_environment(
    provenance: Provenance, env_id: str, env_args: Mapping[str, Any], dataset: Path
) -> None:
    """Checks that the episodes come from the environment that the dataset was begun with.

    Raises:
      UsageError: naming what differs.
    """
    recorded = {"env_id": provenance.env_id, **provenance.env_args}
    offered = {"env_id": env_id, **env_args}
    problems = [
        f"{name}: recorded {recorded.get(name)!r}, now {offered.get(name)!r}"
        for name in sorted(recorded.keys() | offered.keys())
        if (name in recorded, recorded.get(name)) != (name in offered, offered.get(name))
    ]
    if problems:
        raise UsageError(
            f"{dataset}: was recorded in another environment:\n  "
            + "\n  ".join(problems)
            + "\nRecord to another dataset, or with the environment arguments of this one."
        )


def _parents(provenance: Provenance) -> str:
    return ", ".join(f"{parent.name} {parent.version}" for parent in provenance.parents) or "data"
