"""Encoding and size of an encoded image, read from its first bytes without decoding a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_PNG_HEADER_BYTES = 33
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers; C4, C8 and CC among them mean something else (ITU T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageHeader(NamedTuple):
    """What an image says about itself."""

    encoding: str
    height: int
    width: int
    channels: int


class HeaderReader:
    """Reads the headers of images of which many begin alike, as those of one camera do."""

    def __init__(self):
        self._start, self._header = b"", None

    def read(self, encoded: bytes) -> ImageHeader:
        """The header of a JPEG or PNG image.

        Sources: JPEG: ITU T.81, annex B; PNG: ISO/IEC 15948, clauses 5 and 11.2.

        Raises:
          ValueError: the bytes are neither, or end early.
        """
        if self._header is None or not encoded.startswith(self._start):
            self._header, length = _read_start(encoded)
            self._start = encoded[:length]
        if self._header.encoding == "jpeg" and encoded.find(_JPEG_END, -32) < 0:
            raise ValueError(f"JPEG of {len(encoded)} bytes has no end marker")
        if self._header.encoding == "png" and not encoded.endswith(_PNG_END):
            raise ValueError(f"PNG of {len(encoded)} bytes has no end chunk")
        return self._header

    def unlike(self, images: Sequence[bytes]) -> list[int]:
        """Indices of the images that do not begin as the last one read, or may end early."""
        start, ends = self._start, (_JPEG_END, _PNG_END)
        return [
            index
            for index, encoded in enumerate(images)
            if not (encoded.startswith(start) and encoded.endswith(ends))
        ]


def read_image_header(encoded: bytes) -> ImageHeader:
    """The header of one image: see `HeaderReader.read`."""
    return HeaderReader().read(encoded)


def _read_start(encoded: bytes) -> tuple[ImageHeader, int]:
    """What an image says about itself, and with how many bytes."""
    if encoded.startswith(_JPEG_START):
        return _read_jpeg(encoded)
    if encoded.startswith(_PNG_SIGNATURE):
        if len(encoded) < _PNG_HEADER_BYTES:
            raise ValueError(f"PNG of {len(encoded)} bytes has no end chunk")
        width, height = (int.from_bytes(encoded[at : at + 4], "big") for at in (16, 20))
        channels = _PNG_CHANNELS.get(encoded[25], 0)
        return ImageHeader("png", height, width, channels), _PNG_HEADER_BYTES
    raise ValueError(f"neither JPEG nor PNG: begins with {encoded[:4].hex() or 'nothing'}")


def _read_jpeg(encoded: bytes) -> tuple[ImageHeader, int]:
    at = 2
    while at + 9 < len(encoded):
        if encoded[at] != 0xFF:
            raise ValueError(f"JPEG without a marker at byte {at}")
        marker = encoded[at + 1]
        if marker in _JPEG_FRAMES:
            height = int.from_bytes(encoded[at + 5 : at + 7], "big")
            width = int.from_bytes(encoded[at + 7 : at + 9], "big")
            return ImageHeader("jpeg", height, width, encoded[at + 9]), at + 10
        # A marker may be preceded by any number of fill bytes FF.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    raise ValueError(f"JPEG of {len(encoded)} bytes ends before its size")
