"""Bringing images to a given size."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ..datasets.episode import Column, Episode, decode_image, encode_image
from ..datasets.errors import SchemaError, UsageError
from ..datasets.schema import Field, Schema
from .findings import ERROR, BadEpisodeError, Finding
from .transform import Transform, replace_fields

FITS = ("stretch", "crop", "pad")


@dataclasses.dataclass(frozen=True)
class ResizeImages(Transform):
    """Decodes, resizes (Lanczos) and encodes the images again, in the same encoding.

    Attributes:
      height: rows of the new images, in pixels.
      width: columns of the new images, in pixels.
      fit: `stretch` changes the proportions, `crop` cuts the longer side, `pad` adds black.
      field: path of the only image field to resize; empty: all of them.
    """

    name: ClassVar[str] = "resize_images"
    height: int
    width: int
    fit: str = "stretch"
    field: str = ""

    def __post_init__(self) -> None:
        for side in ("height", "width"):
            if getattr(self, side) < 1:
                raise UsageError(
                    f"{self.name}: {side}: expected at least 1 pixel, found {getattr(self, side)}"
                )
        if self.fit not in FITS:
            raise UsageError(
                f"{self.name}: fit: expected one of {', '.join(FITS)}, found {self.fit!r}"
            )

    def map_schema(self, schema: Schema) -> Schema:
        size = (self.height, self.width)
        resized = {
            field.path: dataclasses.replace(field, shape=(*size, field.shape[-1]))
            for field in self._chosen(schema)
        }
        return replace_fields(schema, resized)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        columns, size = dict(episode.columns), (self.height, self.width)
        for field in self._chosen(schema):
            if field.shape[:2] != size:
                images = episode.columns[field.path]
                columns[field.path] = resize_column(
                    images, field.path, size, self.fit, field.encoding or "png"
                )
        return Episode(columns, episode.metadata)

    def _chosen(self, schema: Schema) -> tuple[Field, ...]:
        fields = schema.image_fields
        chosen = tuple(field for field in fields if self.field in ("", field.path))
        if not chosen:
            raise SchemaError(
                f"{self.name}: there is no image field {self.field!r}; the image fields are "
                f"{', '.join(field.path for field in fields) or 'none'}"
            )
        return chosen


def resize_column(
    images: Column, path: str, size: tuple[int, int], fit: str, encoding: str
) -> list[bytes]:
    """The images of the field `path`, decoded, brought to `size` (height, width), encoded again.

    Raises:
      BadEpisodeError: an image cannot be decoded, naming field and step.
    """
    resized = []
    for step, encoded in enumerate(images):
        try:
            pixels = decode_image(encoded)
        except (OSError, ValueError) as error:
            message = "the image cannot be decoded"
            found = f"{len(encoded)} bytes: {error}"
            raise BadEpisodeError(
                Finding("images", ERROR, message, step, path, "an image", found)
            ) from error
        resized.append(encode_image(fit_image(pixels, size, fit), encoding))
    return resized


def fit_image(pixels: np.ndarray, size: tuple[int, int], fit: str) -> np.ndarray:
    """Resizes (H, W, C) uint8 pixels to `size` (height, width) with a Lanczos filter.

    Args:
      pixels: (H, W, C) uint8, C 1 or 3.
      size: height and width of the result.
      fit: `stretch` changes the proportions; `crop` keeps them and cuts the longer side about its
        middle; `pad` keeps them and adds black bars.
    """
    if pixels.shape[:2] == size:
        return pixels
    if fit == "crop":
        return _resize(_cropped(pixels, size), size)
    if fit == "pad":
        return _padded(pixels, size)
    return _resize(pixels, size)


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    resized = np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))
    return resized if resized.ndim == 3 else resized[..., None]


def _cropped(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest middle part with the proportions of `size`."""
    height, width = pixels.shape[:2]
    scale = min(height / size[0], width / size[1])
    rows, columns = round(size[0] * scale), round(size[1] * scale)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def _padded(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    result = np.zeros((*size, pixels.shape[-1]), np.uint8)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    result[top : top + rows, left : left + columns] = _resize(pixels, (rows, columns))
    return result
