"""The file with the trunk of a frozen ResNet-10: NumPy's npz, nothing in it is executed."""

from __future__ import annotations

import functools
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..datasets.errors import DamagedDatasetError, UsageError
from .config import EncoderConfig
from .encoder_layout import trunk_layout
from .xla_runtime import fast_precision

Arrays = dict[str, np.ndarray]


def read_trunk(encoder: EncoderConfig) -> Arrays:
    """The trunk's arrays by name; none for an encoder without a frozen trunk.

    Raises:
        UsageError: There is no such file, or it is not the one that the run began with.
        DamagedDatasetError: It does not hold a ResNet-10.
    """
    if encoder.kind != "frozen_resnet10":
        return {}
    return dict(_read(encoder.trunk, encoder.trunk_sha256))


def pinned(encoder: EncoderConfig | None) -> EncoderConfig | None:
    """An encoder whose frozen trunk cannot change any more: its file, its digest, its precision.

    Raises:
        UsageError: There is no such file.
        DamagedDatasetError: It does not hold a ResNet-10.
    """
    if encoder is None or encoder.kind != "frozen_resnet10":
        return encoder
    path, precision = Path(encoder.trunk).absolute(), encoder.trunk_precision
    found = replace(
        encoder,
        trunk=str(path),
        trunk_sha256=trunk_digest(path),
        trunk_precision=fast_precision() if precision == "auto" else precision,
    )
    read_trunk(found)
    return found


def trunk_digest(path: str | Path) -> str:
    """The SHA-256 of a trunk's file, in hexadecimal.

    Raises:
        UsageError: There is no such file.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"encoder.trunk: {path} cannot be read ({error}); make it with `serlds import encoder`"
        ) from error


def check_trunk(arrays: Arrays, where: str | Path) -> None:
    """Checks that arrays are those of a ResNet-10.

    Raises:
        DamagedDatasetError: They are not; names the first that is missing or of another shape.
    """
    for name, shape in trunk_layout().items():
        found = arrays[name].shape if name in arrays else "nothing"
        if found != shape:
            raise DamagedDatasetError(
                f"{where}: {name}: expected an array of shape {shape}, found {found}; make the "
                f"file with `serlds import encoder`"
            )


@functools.lru_cache(maxsize=2)
def _read(path: str, sha256: str) -> tuple[tuple[str, np.ndarray], ...]:
    found = trunk_digest(path)
    if sha256 and found != sha256:
        raise UsageError(
            f"encoder.trunk: {path} is not the file that the run began with (SHA-256 "
            f"{sha256[:12]} then, {found[:12]} now); put that one back"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float32) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedDatasetError(
            f"{path}: expected the file of a ResNet-10, as `serlds import encoder` makes it; it "
            f"cannot be read: {error}"
        ) from error
    check_trunk(arrays, path)
    return tuple((name, arrays[name]) for name in trunk_layout())
