"""Encoding and size of an encoded image, read from its first bytes without decoding a pixel."""

from __future__ import annotations

from typing import NamedTuple

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
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


def read_image_header(encoded: bytes) -> ImageHeader:
    """The header of a JPEG or PNG image.

    Sources: JPEG: ITU T.81, annex B; PNG: ISO/IEC 15948, clauses 5 and 11.2.

    Raises:
      ValueError: the bytes are neither, or end early.
    """
    if encoded.startswith(_JPEG_START):
        header = _read_jpeg(encoded)
        if _JPEG_END not in encoded[-32:]:
            raise ValueError(f"JPEG of {len(encoded)} bytes has no end marker")
        return header
    if encoded.startswith(_PNG_SIGNATURE):
        if len(encoded) < 33 or not encoded.endswith(_PNG_END):
            raise ValueError(f"PNG of {len(encoded)} bytes has no end chunk")
        width, height = (int.from_bytes(encoded[at : at + 4], "big") for at in (16, 20))
        return ImageHeader("png", height, width, _PNG_CHANNELS.get(encoded[25], 0))
    raise ValueError(f"neither JPEG nor PNG: begins with {encoded[:4].hex() or 'nothing'}")


def _read_jpeg(encoded: bytes) -> ImageHeader:
    at = 2
    while at + 9 < len(encoded):
        if encoded[at] != 0xFF:
            raise ValueError(f"JPEG without a marker at byte {at}")
        marker = encoded[at + 1]
        if marker in _JPEG_FRAMES:
            height = int.from_bytes(encoded[at + 5 : at + 7], "big")
            width = int.from_bytes(encoded[at + 7 : at + 9], "big")
            return ImageHeader("jpeg", height, width, encoded[at + 9])
        # A marker may be preceded by any number of fill bytes FF.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    raise ValueError(f"JPEG of {len(encoded)} bytes ends before its size")
