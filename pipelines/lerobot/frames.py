"""An episode's rows as a table of a LeRobot dataset, all but what depends on other episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ...datasets import keys
from ...datasets.episode import Episode
from . import layout
from .layout import ExportLayout

# The instruction of each frame, until the tasks of all parts are numbered.
TASK = "task"
# These are known only when the episodes of all parts are counted.
GLOBAL = (layout.EPISODE_INDEX, layout.INDEX, layout.TASK_INDEX)


def frame_table(
    episode: Episode, to: ExportLayout, rows: int, fps: int, instructions: list[str]
) -> pa.Table:
    """The first `rows` steps of an episode.

    Returns:
      a table with the columns of `to.features` but for the videos and `GLOBAL`, then `task`.
    """
    last = np.arange(rows) == rows - 1
    terminal = bool(episode.columns[keys.IS_TERMINAL][-1])
    columns: dict[str, np.ndarray] = {
        layout.ACTION: np.asarray(episode.columns[keys.ACTION])[:rows],
        layout.DONE: last,
        layout.TRUNCATED: last & (not terminal),
        layout.SUCCESS: last & episode.success,
        # Exactly what the video player computes; the clock of the recording would be refused.
        layout.TIMESTAMP: np.arange(rows) / fps,
        layout.FRAME_INDEX: np.arange(rows),
    }
    if to.states:
        flat = [np.asarray(episode.columns[path]).reshape(len(episode), -1) for path in to.states]
        columns[layout.STATE] = np.concatenate(flat, axis=1)[:rows]
    if layout.REWARD in to.features:
        columns[layout.REWARD] = np.asarray(episode.columns[keys.REWARD])[:rows]
    arrays = {
        name: to_arrow(columns[name], feature)
        for name, feature in to.features.items()
        if name in columns
    }
    return pa.table({**arrays, TASK: pa.array(instructions, pa.string())})


def to_arrow(values: np.ndarray, feature: dict[str, Any]) -> pa.Array:
    """(N,) or (N, D) values as LeRobot keeps them: numbers where D is 1, else lists of length D."""
    flat = pa.array(np.ascontiguousarray(values, feature["dtype"]).reshape(-1))
    size = feature["shape"][0]
    return flat if size == 1 else pa.FixedSizeListArray.from_arrays(flat, size)


def numbered(
    table: pa.Table, to: ExportLayout, lengths: list[int], first: int, frame: int, tasks: list[int]
) -> pa.Table:
    """The rows of a part with their places in the whole dataset.

    Args:
      table: the `frame_table`s of the part's episodes, one after the other.
      to: the layout.
      lengths: frames of each episode.
      first: index of the first episode.
      frame: index of the first frame.
      tasks: index of each frame's task.
    """
    episodes = np.repeat(np.arange(first, first + len(lengths)), lengths)
    known = {
        layout.EPISODE_INDEX: episodes,
        layout.INDEX: np.arange(frame, frame + table.num_rows),
        layout.TASK_INDEX: np.array(tasks),
    }
    columns = {
        name: pa.array(known[name].astype(np.int64)) if name in known else table[name]
        for name, feature in to.features.items()
        if feature["dtype"] != "video"
    }
    return pa.table(columns)
