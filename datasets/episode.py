"""One RLDS episode in memory, column by column."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import keys
from .errors import DamagedDatasetError

if TYPE_CHECKING:
    from PIL import Image

Column = np.ndarray | Sequence[bytes] | list[str]


@dataclasses.dataclass(frozen=True)
class Episode:
    """The steps of one episode and its metadata.

    An episode of N actions has T = N + 1 steps: the last one holds the final observation, and its
    action, reward and discount carry no meaning. Images stay encoded until `pixels` is called.

    Attributes:
      columns: by field path: numeric and bool fields as arrays (T, ...); images as T encoded
        byte strings; text as T strings.
      metadata: by name, as Python scalars and strings.
    """

    columns: dict[str, Column]
    metadata: dict[str, Any]

    def __len__(self) -> int:
        """Number of steps T."""
        return len(self.columns[keys.IS_FIRST])

    def __getitem__(self, path: str) -> Column:
        return self.columns[path]

    @property
    def num_transitions(self) -> int:
        """Number of actions N = T - 1."""
        return len(self) - 1

    @property
    def episode_id(self) -> str:
        return str(self.metadata.get(keys.EPISODE_ID, ""))

    @property
    def success(self) -> bool:
        return bool(self.metadata.get(keys.SUCCESS, False))

    def episode_return(self) -> float:
        """Undiscounted sum of the rewards of the N transitions."""
        return float(np.sum(self.columns[keys.REWARD][:-1], dtype=np.float64))

    def state_matrix(self) -> np.ndarray:
        """All state fields side by side, in the order of their paths: (T, S) float32."""
        paths = sorted(path for path in self.columns if path.startswith(keys.STATE_PREFIX))
        columns = [np.asarray(self.columns[path]).reshape(len(self), -1) for path in paths]
        return np.concatenate(columns, axis=1).astype(np.float32)

    def pixels(self, path: str) -> np.ndarray:
        """The decoded frames of an image field: (T, H, W, C) uint8.

        Raises:
          DamagedDatasetError: a frame that cannot be decoded, naming episode, field and step.
        """
        return np.stack([self._decode(path, step) for step in range(len(self))])

    def _decode(self, path: str, step: int) -> np.ndarray:
        try:
            return decode_image(self.columns[path][step])
        except OSError as error:
            raise DamagedDatasetError(
                f"episode {self.episode_id!r}, field {path}, step {step}: the image cannot be "
                f"decoded: {error}"
            ) from error


def encode_image(pixels: np.ndarray, encoding: str, quality: int = 95) -> bytes:
    """Encodes (H, W, 3) or (H, W, 1) uint8 pixels as `jpeg` (at `quality`) or `png`."""
    from PIL import Image

    array = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    return save_image(Image.fromarray(array), encoding, quality)


def save_image(image: Image.Image, encoding: str, quality: int = 95) -> bytes:
    """Encodes a Pillow image as `jpeg` (at `quality`, without subsampling of colours) or `png`."""
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if encoding == "jpeg" else {}
    image.save(buffer, format=encoding, **options)
    return buffer.getvalue()


@contextlib.contextmanager
def reading_image(encoded: bytes) -> Iterator[Image.Image]:
    """A Pillow image of JPEG or PNG bytes, to decode inside; raises OSError on damage."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            yield image
    except (OSError, MemoryError):
        raise
    except Exception as error:  # SyntaxError, ValueError, struct.error, DecompressionBombError
        raise OSError(str(error)) from error


def open_image(encoded: bytes) -> Image.Image:
    """Decodes JPEG or PNG bytes to a Pillow image, grey or RGB; raises OSError on damage."""
    from PIL import Image

    with reading_image(encoded) as image:
        if image.mode in ("L", "RGB"):
            image.load()
            image.info.clear()  # what a saved image would carry along
            return image
        return Image.fromarray(np.asarray(image))


def decode_image(encoded: bytes) -> np.ndarray:
    """Decodes JPEG or PNG bytes to (H, W, C) uint8; raises OSError where they are damaged."""
    with reading_image(encoded) as image:
        array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def resize_image(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes (H, W, C) uint8 pixels, C 1 or 3, to `size` (height, width) with a Lanczos filter.

    The proportions change where those of `size` differ; pixels of that size come back as they are.
    """
    from PIL import Image

    if pixels.shape[:2] == size:
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    resized = np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))
    return resized if resized.ndim == 3 else resized[..., None]
