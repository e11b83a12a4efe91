"""Arrays as JSON values, every bit kept."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np


def to_json(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """By name: dtype, shape and the bytes in base 64."""
    return {
        name: [array.dtype.str, array.shape, base64.b64encode(array.tobytes()).decode()]
        for name, array in ((name, np.asarray(array)) for name, array in arrays.items())
    }


def from_json(values: dict[str, Any]) -> dict[str, np.ndarray]:
    """Inverse of `to_json`."""
    return {
        name: np.frombuffer(base64.b64decode(data), dtype).reshape(shape)
        for name, (dtype, shape, data) in values.items()
    }
