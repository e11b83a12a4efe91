"""What the files of a dataset may not make serlds do: a dataset may come from anybody."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DamagedDatasetError

_FEATURES_OF_TFDS = "tensorflow_datasets.core.features."
# TFDS imports the modules that these name; `type` is what older versions wrote.
_CLASS_KEYS = ("pythonClassName", "python_class_name", "type")


def is_plain_name(name: object) -> bool:
    """Whether something is the name of a file, without any folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\0")


def check_inside(directory: Path, name: object) -> None:
    """Checks that a name means a file of the dataset, at most one folder deep, and no other.

    Raises:
      DamagedDatasetError: it is absolute, leads out of the dataset or through a symbolic link.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if not 1 <= len(parts) <= 2 or not all(map(is_plain_name, parts)):
        raise DamagedDatasetError(
            f"{directory}: expected the name of a file of the dataset, at most one folder deep, "
            f"found {name!r}; the dataset was damaged or made to do harm"
        )
    if len(parts) == 2:
        check_no_link(directory / parts[0])


def check_no_link(path: Path) -> None:
    """Checks that a place that is to be written is no symbolic link to somewhere else.

    Raises:
      DamagedDatasetError: it is one.
    """
    if path.is_symlink():
        raise DamagedDatasetError(
            f"{path}: is a symbolic link, and serlds writes nothing through it; replace it with "
            f"what it points to, if you trust the dataset"
        )


def check_feature_classes(path: Path) -> None:
    """Checks that `features.json` names classes of TFDS itself: TFDS imports what is named there.

    Raises:
      OSError, ValueError: the file cannot be read.
      DamagedDatasetError: it names another class.
    """
    for name in _class_names(json.loads(path.read_bytes())):
        if not name.startswith(_FEATURES_OF_TFDS):
            raise DamagedDatasetError(
                f"{path}: expected features of TFDS itself ({_FEATURES_OF_TFDS}...), found "
                f"{name!r}, which would be imported to read them"
            )


def _class_names(node: Any) -> Iterator[str]:
    if isinstance(node, str) and node.lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError):
            node = json.loads(node)  # a feature may be described by text that is JSON again
    if isinstance(node, dict):
        yield from (node[key] for key in _CLASS_KEYS if isinstance(node.get(key), str))
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _class_names(child)
