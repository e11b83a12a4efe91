"""Frames known to have their colours right, to compare a dataset's with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...datasets.episode import decode_image
from ...datasets.errors import UsageError
from ...datasets.schema import Schema
from .images import red_minus_blue
from .options import CheckOptions


def reference_colours(schema: Schema, options: CheckOptions) -> dict[str, np.ndarray]:
    """Red minus blue in the quarters of each reference: (4,), by path of the camera's field.

    Raises:
      UsageError: there is no such camera, or the file is no RGB image.
    """
    cameras = {field.path: field.path for field in schema.image_fields}
    cameras |= {path.rpartition("/")[2]: path for path in cameras}
    found = {}
    for name, file in options.references.items():
        if name not in cameras:
            known = ", ".join(sorted(cameras)) or "none"
            raise UsageError(f"--reference {name}={file}: no such camera; the cameras are {known}")
        try:
            pixels = decode_image(Path(file).read_bytes())
        except OSError as error:
            raise UsageError(f"--reference {name}={file}: not a readable image: {error}") from error
        if pixels.shape[-1] != 3:
            raise UsageError(f"--reference {name}={file}: expected an RGB image")
        found[cameras[name]] = red_minus_blue(pixels)
    return found
