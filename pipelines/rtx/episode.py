"""An episode of RLDS proper as an episode of an Open X-Embodiment dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ...datasets import keys
from ...datasets.episode import Column, Episode
from ...datasets.schema import Schema
from ..action_rows import num_action_rows
from ..engine.parts import RecordRef
from ..findings import ERROR, BadEpisodeError, Finding
from ..instructions import instructions
from ..transforms.resizing import resize_column
from .actions import end_effector_deltas, physical_action, rt1_dictionary
from .options import RtxOptions
from .schema import (
    ACTION_CONVENTION,
    FILE_PATH,
    LANGUAGE_EMBEDDING,
    LANGUAGE_ENCODER,
    STATE,
    RtxLayout,
    action_convention,
)


@dataclasses.dataclass(frozen=True)
class RtxMap:
    """Maps episodes; see `rtx.export_rtx` for the format.

    Attributes:
      source: schema of the episodes it gets.
      layout: how fields map.
      options: what the person chose.
      embeddings: (512,) float32 by instruction.
      encoder: name of what made them.
    """

    source: Schema
    layout: RtxLayout
    options: RtxOptions
    embeddings: dict[str, np.ndarray]
    encoder: str

    @property
    def schema(self) -> Schema:
        """The schema of the results."""
        return self.layout.schema

    def __call__(self, episode: Episode, ref: RecordRef) -> Episode | Finding:
        """The exported episode, or why there is none."""
        try:
            return self._map(episode, ref)
        except BadEpisodeError as error:
            return dataclasses.replace(error.finding, check="transform:rtx")
        except Exception as error:  # one bad episode must not end a run
            return Finding("transform:rtx", ERROR, f"{type(error).__name__}: {error}")

    def _map(self, episode: Episode, ref: RecordRef) -> Episode:
        rows = num_action_rows(episode)
        terminal = bool(episode.columns[keys.IS_TERMINAL][-1])
        steps = np.arange(rows)
        texts = instructions(episode, self.options.instruction)[:rows]
        columns: dict[str, Column] = {
            keys.REWARD: episode.columns[keys.REWARD][:rows],
            keys.DISCOUNT: episode.columns[keys.DISCOUNT][:rows],
            keys.IS_FIRST: steps == 0,
            keys.IS_LAST: steps == rows - 1,
            keys.IS_TERMINAL: (steps == rows - 1) & terminal,
            keys.LANGUAGE_INSTRUCTION: texts,
            LANGUAGE_EMBEDDING: np.stack([self.embeddings[text] for text in texts]),
        }
        columns |= self._actions(episode, rows, terminal)
        columns |= self._images(episode, rows)
        columns |= {new: episode.columns[old][:rows] for old, new in self.layout.others.items()}
        if self.layout.states:
            columns[STATE] = self._state(episode)[:rows]
        return Episode(columns, self._metadata(episode, ref))

    def _state(self, episode: Episode) -> np.ndarray:
        columns = (np.asarray(episode.columns[path]) for path in self.layout.states)
        flat = [column.reshape(len(episode), -1) for column in columns]
        return np.concatenate(flat, axis=1).astype(np.float32)

    def _actions(self, episode: Episode, rows: int, terminal: bool) -> dict[str, Column]:
        field, action = self.source.action, np.asarray(episode.columns[keys.ACTION])[:rows]
        if self.options.actions == "as_is":
            return {keys.ACTION: physical_action(action, field)}
        deltas = end_effector_deltas(action, field, self.options)
        if self.options.actions == "flat":
            return {keys.ACTION: deltas}
        dictionary = rt1_dictionary(deltas, terminal)
        return {f"{keys.ACTION}/{name}": column for name, column in dictionary.items()}

    def _images(self, episode: Episode, rows: int) -> dict[str, Column]:
        size = (self.options.image_size, self.options.image_size)
        images: dict[str, Column] = {}
        for old, new in self.layout.images.items():
            field = self.source[old]
            shown = episode.columns[old][:rows]
            if field.shape[:2] == size and field.encoding == "jpeg":
                images[new] = shown
            else:
                images[new] = resize_column(shown, old, size, self.options.image_fit, "jpeg")
        return images

    def _metadata(self, episode: Episode, ref: RecordRef) -> dict[str, object]:
        file = Path(ref.file)
        return {
            **episode.metadata,
            # As it is named below the data directory: no path of this machine goes into the export.
            FILE_PATH: "/".join((*file.parent.parts[-2:], file.name)),
            ACTION_CONVENTION: action_convention(self.options, self.source.action),
            LANGUAGE_ENCODER: self.encoder,
        }
