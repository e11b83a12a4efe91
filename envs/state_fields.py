"""Named state fields that live side by side in one flat vector."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import gymnasium
import numpy as np

from ..datasets.keys import STATE_PREFIX
from ..datasets.schema import FieldDoc


@dataclasses.dataclass(frozen=True)
class StateField:
    """One field of an observation's `state`: float32 (size,), each value in [low, high]."""

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    about: FieldDoc

    @property
    def size(self) -> int:
        return len(self.low)


class StateLayout:
    """Where each field is in the flat vector, the fields' space and their documentation."""

    def __init__(self, fields: Sequence[StateField]) -> None:
        self.size = sum(field.size for field in fields)
        self._low = np.array([value for field in fields for value in field.low])
        self._high = np.array([value for field in fields for value in field.high])
        ends = np.cumsum([field.size for field in fields]).tolist()
        starts = [0, *ends[:-1]]
        self._slices = {
            field.name: slice(start, end)
            for field, start, end in zip(fields, starts, ends, strict=True)
        }
        self.docs = {STATE_PREFIX + field.name: field.about for field in fields}
        self.space = gymnasium.spaces.Dict(
            {
                field.name: gymnasium.spaces.Box(
                    np.array(field.low, np.float32), np.array(field.high, np.float32)
                )
                for field in fields
            }
        )

    def split(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of a flat vector (size,), clipped to their bounds: new float32 arrays."""
        clipped = np.clip(flat, self._low, self._high).astype(np.float32)
        return {name: clipped[where] for name, where in self._slices.items()}
