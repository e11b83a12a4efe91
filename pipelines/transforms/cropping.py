"""Cutting images."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from PIL import Image

from ...datasets.errors import SchemaError
from ...datasets.schema import Field
from .images import ImageTransform


@dataclasses.dataclass(frozen=True)
class CropImages(ImageTransform):
    """Cuts a rectangle out of the images; their encoding stays.

    Attributes:
      height: rows of the rectangle, in pixels.
      width: columns of the rectangle, in pixels.
      top: its first row, counted from 0 at the top; -1: in the middle.
      left: its first column, counted from 0 at the left; -1: in the middle.
    """

    name: ClassVar[str] = "crop_images"
    example: ClassVar[str] = "crop_images:height=96,width=96,top=16,left=0"
    height: int
    width: int
    top: int = -1
    left: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("height", self.height >= 1, "at least 1 pixel")
        self._require("width", self.width >= 1, "at least 1 pixel")
        self._require("top", self.top >= -1, "a row, or -1")
        self._require("left", self.left >= -1, "a column, or -1")

    def map_field(self, field: Field) -> Field:
        if None in field.shape:
            raise SchemaError(f"{self.name}: {field.path}: the size of its images is not declared")
        rows, columns = field.shape[:2]
        if max(self.top, 0) + self.height > rows or max(self.left, 0) + self.width > columns:
            raise SchemaError(
                f"{self.name}: {field.path}: the images have {rows} x {columns} pixels; "
                f"{self.height} x {self.width} from row {max(self.top, 0)} and column "
                f"{max(self.left, 0)} goes beyond"
            )
        return dataclasses.replace(field, shape=(self.height, self.width, field.shape[-1]))

    def edit(self, image: Image.Image) -> Image.Image:
        top = (image.height - self.height) // 2 if self.top < 0 else self.top
        left = (image.width - self.width) // 2 if self.left < 0 else self.left
        return image.crop((left, top, left + self.width, top + self.height))
