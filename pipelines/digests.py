"""The digest of a dataset that may be damaged."""

from __future__ import annotations

from ..datasets.errors import DamagedDatasetError
from ..datasets.reading import Dataset


def digest_or_empty(dataset: Dataset) -> str:
    """The dataset's digest, or nothing where its files are too damaged to have one."""
    try:
        return dataset.digest
    except DamagedDatasetError:
        return ""
