"""How pictures go from the process of a camera to the one that opened it.

One record tells how the camera is; a ring of records holds its last pictures. The writer fills the
place of the oldest picture and then names it the newest, so that a reader who takes the newest is
hardly ever disturbed, and never sees a picture whose writer died half-way.
"""

from __future__ import annotations

import numpy as np

from ..shared_slots import SharedSlots

PLACES = 4
TEXT_BYTES = 2000

STATUS = np.dtype(
    [
        ("seq", np.int64),  # of the newest picture; 0: none yet
        ("height", np.int64),
        ("width", np.int64),
        ("dropped", np.int64),
        ("repeated", np.int64),
        ("misused", np.bool_),  # the error is one of how it was asked for
        ("error", f"S{TEXT_BYTES}"),
    ]
)


def frame_dtype(height: int, width: int) -> np.dtype:
    """One picture with its times."""
    return np.dtype(
        [
            ("seq", np.int64),
            ("device_s", np.float64),
            ("received_s", np.float64),
            ("image", np.uint8, (height, width, 3)),
        ]
    )


def frame_ring(fd: int, height: int, width: int) -> SharedSlots:
    """The ring of pictures in the memory `fd`, which the process of the camera uses first."""
    return SharedSlots(*[frame_dtype(height, width)] * PLACES, fd=fd)
