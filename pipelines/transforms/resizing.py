"""Bringing images to a given size."""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import ClassVar, Literal

from PIL import Image

from ...datasets.episode import Column
from ...datasets.schema import Field
from .images import ImageTransform, edit_column

Fit = Literal["stretch", "crop", "pad"]
FITS: tuple[str, ...] = typing.get_args(Fit)


@dataclasses.dataclass(frozen=True)
class ResizeImages(ImageTransform):
    """Resizes images (Lanczos); their encoding stays.

    Image transforms that follow each other in a chain decode and encode an image once. Images that
    have the size already pass through as they are.

    Attributes:
      height: rows of the new images, in pixels.
      width: columns of the new images, in pixels.
      fit: `stretch` changes the proportions, `crop` cuts the longer side, `pad` adds black.
    """

    name: ClassVar[str] = "resize_images"
    example: ClassVar[str] = "resize_images:height=64,width=64,fit=crop"
    height: int
    width: int
    fit: Fit = "stretch"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("height", self.height >= 1, "at least 1 pixel")
        self._require("width", self.width >= 1, "at least 1 pixel")

    def map_field(self, field: Field) -> Field:
        return dataclasses.replace(field, shape=(self.height, self.width, field.shape[-1]))

    def edit(self, image: Image.Image) -> Image.Image:
        return fit_image(image, (self.height, self.width), self.fit)


def resize_column(
    images: Column, path: str, size: tuple[int, int], fit: str, encoding: str
) -> list[bytes]:
    """The images of the field `path`, decoded, brought to `size` (height, width), encoded again.

    Raises:
      BadEpisodeError: an image cannot be decoded, naming field and step.
    """
    return edit_column(images, path, [functools.partial(fit_image, size=size, fit=fit)], encoding)


def fit_image(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """Resizes an image to `size` (height, width) with a Lanczos filter.

    Args:
      image: grey or RGB.
      size: height and width of the result.
      fit: `stretch` changes the proportions; `crop` keeps them and cuts the longer side about its
        middle; `pad` keeps them and adds black bars.
    """
    if (image.height, image.width) == size:
        return image
    if fit == "crop":
        return _resized(_cropped(image, size), size)
    if fit == "pad":
        return _padded(image, size)
    return _resized(image, size)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if (image.height, image.width) == size:
        return image
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS)


def _cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest middle part with the proportions of `size`."""
    scale = min(image.height / size[0], image.width / size[1])
    rows, columns = round(size[0] * scale), round(size[1] * scale)
    top, left = (image.height - rows) // 2, (image.width - columns) // 2
    return image.crop((left, top, left + columns, top + rows))


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = min(size[0] / image.height, size[1] / image.width)
    rows, columns = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    result = Image.new(image.mode, (size[1], size[0]))
    corner = (size[1] - columns) // 2, (size[0] - rows) // 2
    result.paste(_resized(image, (rows, columns)), corner)
    return result
