"""Actions in chunks, as policies predict them that look several steps ahead."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Field, FieldDoc, Schema
from ..action_rows import num_action_rows
from .rows import with_void_rows
from .schema_edits import add_fields, replace_fields, vector_field
from .transform import Transform


@dataclasses.dataclass(frozen=True)
class ChunkActions(Transform):
    """Gives each step the actions of `horizon` steps from it on, and a mask of the padding.

    (A,) becomes (horizon, A). After the last action of the episode the last one is repeated, and
    `<into>_is_pad` (horizon,) is true there. Source: Zhao et al. 2023, "Learning Fine-Grained
    Bimanual Manipulation with Low-Cost Hardware"; the mask is named as in LeRobot. With
    `into=action` the action itself becomes a chunk; most other tools, `train` among them, then
    cannot read it. Another name leaves `action` as it is.

    Attributes:
      horizon: number of actions in a chunk.
      into: path of the field that holds the chunks; `action` replaces the action.
    """

    name: ClassVar[str] = "chunk_actions"
    example: ClassVar[str] = "chunk_actions:horizon=8,into=action_chunk"
    horizon: int
    into: str = keys.ACTION

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("horizon", self.horizon >= 1, "at least 1")
        self._require("into", all(self.into.split("/")), "a path")

    def map_schema(self, schema: Schema) -> Schema:
        action = vector_field(self.name, schema, keys.ACTION)
        note = f"Chunk of {self.horizon} actions from this step on; the last is repeated."
        about = dataclasses.replace(action.about, doc=f"{action.about.doc} {note}".strip())
        shape = (self.horizon, action.size)
        chunk = dataclasses.replace(action, path=self.into, shape=shape, about=about)
        doc = FieldDoc("True where the chunk goes beyond the last action.")
        mask = Field(self._mask, "bool", (self.horizon,), None, doc)
        if self.into == keys.ACTION:
            return add_fields(self.name, replace_fields(schema, {keys.ACTION: chunk}), mask)
        return add_fields(self.name, schema, chunk, mask)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        rows = num_action_rows(episode)
        actions = np.asarray(episode.columns[keys.ACTION])[:rows]
        ahead = np.arange(rows)[:, None] + np.arange(self.horizon)  # (N, H)
        chunks = actions[np.minimum(ahead, rows - 1)]  # (N, H, A)
        is_pad = np.ones((len(episode), self.horizon), bool)
        is_pad[:rows] = ahead >= rows
        columns = {
            **episode.columns,
            self.into: with_void_rows(chunks, len(episode)),
            self._mask: is_pad,
        }
        return Episode(columns, episode.metadata)

    @property
    def _mask(self) -> str:
        return f"{self.into}_is_pad"
