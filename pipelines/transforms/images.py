"""Transforms that look at pixels: each image is decoded once and encoded once."""

from __future__ import annotations

import abc
import dataclasses
import itertools
from collections.abc import Callable, Sequence

from PIL import Image

from ...datasets.episode import Column, Episode, open_image, save_image
from ...datasets.errors import SchemaError
from ...datasets.schema import Field, Schema
from ..findings import ERROR, BadEpisodeError, Finding
from .schema_edits import replace_fields
from .transform import Transform

JPEG_QUALITY = 95
"""Of images whose quality nobody chose."""

Edit = Callable[[Image.Image], Image.Image]


@dataclasses.dataclass(frozen=True)
class ImageTransform(Transform):
    """A change of images, frame by frame.

    Attributes:
      field: path of the only image field to change; empty: all of them.
    """

    field: str = dataclasses.field(default="", kw_only=True)

    def map_schema(self, schema: Schema) -> Schema:
        changed = {field.path: self.map_field(field) for field in self.chosen(schema)}
        return replace_fields(schema, changed)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        return edit_images((self,), episode, schema)

    def chosen(self, schema: Schema) -> tuple[Field, ...]:
        """The image fields that it is for.

        Raises:
          SchemaError: there is none, or not the one asked for; names those there are.
        """
        fields = schema.image_fields
        chosen = tuple(field for field in fields if self.field in ("", field.path))
        if not chosen:
            raise SchemaError(
                f"{self.name}: there is no image field {self.field!r}; the image fields are "
                f"{', '.join(field.path for field in fields) or 'none'}"
            )
        return chosen

    @abc.abstractmethod
    def map_field(self, field: Field) -> Field:
        """The field of the results; raises SchemaError where it cannot be."""

    def changes(self, field: Field) -> bool:
        """Whether the images of a field come out otherwise than they went in."""
        return self.map_field(field) != field

    def edit(self, image: Image.Image) -> Image.Image:
        """The changed image; grey stays grey and RGB stays RGB."""
        return image

    def quality_after(self, quality: int) -> int:
        """The quality at which to encode as JPEG, from that which held before."""
        return quality


def edit_images(transforms: Sequence[ImageTransform], episode: Episode, schema: Schema) -> Episode:
    """Applies image transforms in order; between them the images stay decoded.

    Args:
      transforms: in the order to apply them.
      episode: that is to be changed.
      schema: of the episode.

    Raises:
      BadEpisodeError: an image cannot be decoded, naming field and step.
    """
    schemas = [schema]
    for transform in transforms:
        schemas.append(transform.map_schema(schemas[-1]))
    columns = dict(episode.columns)
    for field in schema.image_fields:
        edits, quality = [], JPEG_QUALITY
        for transform, before in zip(transforms, schemas, strict=False):
            now = before[field.path]
            if now in transform.chosen(before) and transform.changes(now):
                edits.append(transform.edit)
                quality = transform.quality_after(quality)
        if edits:
            encoding = schemas[-1][field.path].encoding or "png"
            columns[field.path] = edit_column(
                episode.columns[field.path], field.path, edits, encoding, quality
            )
    return Episode(columns, episode.metadata)


def edit_column(
    images: Column, path: str, edits: Sequence[Edit], encoding: str, quality: int = JPEG_QUALITY
) -> list[bytes]:
    """The images of the field `path`, decoded, changed by each of `edits`, encoded.

    Raises:
      BadEpisodeError: an image cannot be decoded, naming field and step.
    """
    edited = []
    for step, encoded in enumerate(images):
        try:
            image = open_image(encoded)
        except OSError as error:
            message = "the image cannot be decoded"
            found = f"{len(encoded)} bytes: {error}"
            raise BadEpisodeError(
                Finding("images", ERROR, message, step, path, "an image", found)
            ) from error
        for edit in edits:
            image = edit(image)
        edited.append(save_image(image, encoding, quality))
    return edited


def image_runs(transforms: Sequence[Transform]) -> list[tuple[Transform, ...]]:
    """The transforms in order, with image transforms that follow each other together."""
    runs: list[tuple[Transform, ...]] = []
    for is_image, group in itertools.groupby(transforms, _is_image_transform):
        members = tuple(group)
        runs += [members] if is_image else [(member,) for member in members]
    return runs


def _is_image_transform(transform: Transform) -> bool:
    return isinstance(transform, ImageTransform)
