"""SERL's pretrained ResNet-10 as a file of this project: names, shapes and dtypes checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.errors import DamagedDatasetError, UsageError
from .encoder_layout import trunk_layout
from .encoder_trunk import check_trunk

_RENAMED = (
    (re.compile(r"ResNetBlock_(\d+)"), r"block_\1"),
    (re.compile(r"MyGroupNorm_(\d+)"), r"norm_\1"),
    (re.compile(r"Conv_(\d+)"), r"conv_\1"),
)


def write_trunk(params: Any, source: Path, destination: Path) -> None:
    """Writes the trunk of SERL's `resnet10_params.pkl` as NumPy's npz.

    Args:
        params: The content of the pickle: nested dictionaries of arrays, named as flax names the
            modules of SERL's `serl_launcher/vision/resnet_v1.py`.
        source: Where it comes from, for messages.
        destination: File that does not exist yet.

    Raises:
        UsageError: The destination exists.
        DamagedDatasetError: An array is missing or has another shape.
    """
    if destination.exists():
        raise UsageError(f"{destination}: exists already; give a file that does not exist yet")
    if not isinstance(params, Mapping):
        kind = type(params).__name__
        raise DamagedDatasetError(f"{source}: expected nested dictionaries of arrays, found {kind}")
    found = {_renamed(name): array for name, array in _flat(params)}
    check_trunk(found, source)
    arrays = {name: np.asarray(found[name], np.float32) for name in trunk_layout()}
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.rename(destination)


def _flat(params: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", np.asarray(value)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name
