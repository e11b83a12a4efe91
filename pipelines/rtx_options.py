"""What a person can choose about an RT-X export."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..datasets.errors import UsageError
from .resizing import FITS


@dataclasses.dataclass(frozen=True)
class RtxOptions:
    """Options of `export_rtx`."""

    images: tuple[str, ...] = ("front=image", "wrist=wrist_image")
    """Names of the cameras in the export, CAMERA=NAME; other cameras become CAMERA_image."""

    state: tuple[str, ...] = ()
    """State fields to put into `observation/state`, in this order; none given: all, by name."""

    image_size: int = 256
    """Height and width of the exported images, in pixels."""

    image_fit: Literal["stretch", "crop", "pad"] = "pad"
    """How images that are not square become so: pad with black, crop, or stretch."""

    actions: Literal["flat", "rt1"] = "flat"
    """`flat`: (7,) vector; `rt1`: the dictionary of RT-1 (world_vector, rotation_delta, ...)."""

    val_share: float = 0.05
    """Share of the episodes that go to the split `val`; at least one where there are two."""

    instruction: str = ""
    """Language instruction of steps that have none."""

    description: str = ""
    """What the dataset is; by default the description of the source."""

    citation: str = ""
    """BibTeX entry for the dataset."""

    homepage: str = ""
    """Address of the dataset's or the project's page."""

    license: str = "CC BY 4.0"
    """Licence under which the dataset is given away."""

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise UsageError(f"image size: expected at least 1 pixel, found {self.image_size}")
        if self.image_fit not in FITS:
            raise UsageError(
                f"image fit: expected one of {', '.join(FITS)}, found {self.image_fit!r}"
            )
        if self.actions not in ("flat", "rt1"):
            raise UsageError(f"actions: expected flat or rt1, found {self.actions!r}")
        if not 0 <= self.val_share < 1:
            raise UsageError(f"val share: expected from 0 to less than 1, found {self.val_share}")
        for item in self.images:
            camera, equals, name = item.partition("=")
            if not (camera and equals and name) or "/" in name:
                raise UsageError(f"images: expected CAMERA=NAME, found {item!r}")
        names = list(self.image_names.values())
        if len(set(names)) < len(names):
            raise UsageError(f"images: two cameras have the same name: {', '.join(names)}")

    @property
    def image_names(self) -> dict[str, str]:
        """Name in the export by camera."""
        return {item.partition("=")[0]: item.partition("=")[2] for item in self.images}
