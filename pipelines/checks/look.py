"""One episode as the checks see it: what several of them need is worked out once."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Schema
from ..action_rows import num_action_rows
from .fields import Columns, Fields
from .frames import Frames, Images, decode_frames


@dataclasses.dataclass(frozen=True)
class Look:
    """An episode that fits its schema.

    Attributes:
      episode: the episode.
      fields: which of its fields are what.
      images: how much of its images may be decoded.
    """

    episode: Episode
    fields: Fields
    images: Images = "headers"

    @property
    def schema(self) -> Schema:
        return self.fields.schema

    @functools.cached_property
    def action_rows(self) -> int:
        """Number of rows that hold an action: see `num_action_rows`."""
        return num_action_rows(self.episode)

    @functools.cached_property
    def transitions(self) -> int:
        """Number of actions whose outcome was observed."""
        return min(self.action_rows, len(self.episode) - 1)

    @functools.cached_property
    def actions(self) -> np.ndarray:
        """(action rows, A) float64, as stored; (0, 0) where there is no action vector."""
        if self.fields.action is None:
            return np.zeros((0, 0))
        return np.asarray(self.episode.columns[keys.ACTION], np.float64)[: self.action_rows]

    @functools.cached_property
    def position(self) -> np.ndarray | None:
        """Positions of the tool: (T, 3) in m; None without a field of them."""
        columns = self.fields.position
        return columns.physical(self.episode) if columns else None

    @functools.cached_property
    def control_hz(self) -> float:
        """Rate of the steps that the episode declares; 0 where it declares none."""
        value = self.episode.metadata.get(keys.CONTROL_HZ, 0.0)
        return float(value) if np.isscalar(value) and np.isfinite(value) and value > 0 else 0.0

    @functools.cached_property
    def frames(self) -> dict[str, Frames]:
        """The decoded frames of each camera: by path of the field."""
        cameras = (field.path for field in self.schema.image_fields)
        return {path: decode_frames(self.episode.columns[path], self.images) for path in cameras}

    @functools.cached_property
    def travel(self) -> np.ndarray | None:
        """How far the arm went between steps: (T - 1,) in m of the tool, else rad of the joints."""
        columns: Columns | None = self.fields.position or self.fields.joints
        if columns is None:
            return None
        return np.linalg.norm(np.diff(columns.physical(self.episode), axis=0), axis=1)
