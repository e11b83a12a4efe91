"""Changing how images are encoded."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from ...datasets.schema import Field
from .images import JPEG_QUALITY, ImageTransform


@dataclasses.dataclass(frozen=True)
class EncodeImages(ImageTransform):
    """Encodes images as JPEG of a quality, or as PNG.

    PNG images that shall be PNG pass through as they are. JPEG images are always encoded again,
    since their quality cannot be told: this loses a little each time.

    Attributes:
      encoding: `jpeg` (small, with losses) or `png` (large, exact).
      quality: of JPEG, 1 to 100; colours are kept at full resolution.
    """

    name: ClassVar[str] = "encode_images"
    example: ClassVar[str] = "encode_images:encoding=jpeg,quality=90"
    encoding: Literal["jpeg", "png"]
    quality: int = JPEG_QUALITY

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("quality", 1 <= self.quality <= 100, "1 to 100")

    def map_field(self, field: Field) -> Field:
        return dataclasses.replace(field, encoding=self.encoding)

    def changes(self, field: Field) -> bool:
        return self.encoding == "jpeg" or field.encoding != "png"

    def quality_after(self, quality: int) -> int:
        return self.quality
