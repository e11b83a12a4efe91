"""Decoding images for a look at their pixels: few of them, and small, where that is enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...datasets.episode import reading_image

Images = Literal["headers", "sampled", "all"]
IMAGE_MODES: tuple[Images, ...] = ("headers", "sampled", "all")
SAMPLED_FRAMES = 4
"""Frames of an episode and camera that the mode `sampled` decodes: first, last and between."""
_SMALL = 32
"""Pixels of the shorter side that a sampled JPEG is decoded to at least."""


@dataclasses.dataclass(frozen=True)
class Frames:
    """Decoded frames of one camera in one episode.

    Attributes:
      steps: which steps they are of.
      pixels: of each, (h, w, C) uint8; JPEGs may be reduced in size.
      damaged: step of the first that cannot be decoded and what is wrong with it, if any.
    """

    steps: tuple[int, ...] = ()
    pixels: tuple[np.ndarray, ...] = ()
    damaged: tuple[int, str] | None = None


def decode_frames(column: Sequence[bytes], images: Images) -> Frames:
    """Decodes the frames that a mode asks for; those after a damaged one are left out."""
    pixels: list[np.ndarray] = []
    steps = _chosen(len(column), images)
    for step in steps:
        try:
            pixels.append(_decode(column[step], reduced=images != "all"))
        except OSError as error:
            return Frames(steps[: len(pixels)], tuple(pixels), (step, str(error)))
    return Frames(steps, tuple(pixels))


def _chosen(count: int, images: Images) -> tuple[int, ...]:
    if images == "headers" or not count:
        return ()
    if images == "all":
        return tuple(range(count))
    spread = np.linspace(0, count - 1, min(count, SAMPLED_FRAMES))
    return tuple(dict.fromkeys(round(float(step)) for step in spread))


def _decode(encoded: bytes, reduced: bool) -> np.ndarray:
    with reading_image(encoded) as image:
        if reduced:
            # libjpeg decodes to 1/2, 1/4 or 1/8 for a fraction of the cost; PNG knows no such mode.
            image.draft(None, (_SMALL, _SMALL))
        array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]
