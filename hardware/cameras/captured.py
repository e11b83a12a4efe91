"""What a kind of camera gives for each picture it takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Captured(NamedTuple):
    """One picture as it comes from a device.

    Attributes:
      image: uint8 RGB (H, W, 3), valid until the next one.
      device_s: when it was taken by the device's own clock, in seconds; NaN where it does not say.
      dropped: pictures that the device took since the last one and that never arrived.
    """

    image: np.ndarray
    device_s: float
    dropped: int = 0
