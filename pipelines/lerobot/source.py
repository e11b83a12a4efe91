"""The episodes of a LeRobot dataset as RLDS."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ... import __version__
from ...datasets import keys
from ...datasets.episode import Column, Episode, decode_image, encode_image
from ...datasets.errors import DamagedDatasetError, SerldsError
from ...datasets.schema import Schema
from ..engine.parts import RecordRef
from ..findings import ERROR, Finding
from . import layout
from .fields import ImportLayout
from .metadata import LeRobotInfo, read_episode_file
from .parquet import open_frames
from .video import decode_frames

# What LeRobot itself allows between a row's timestamp and its frame.
_TOLERANCE_S = 1e-4


@dataclasses.dataclass(frozen=True)
class LeRobotSource:
    """Reads episodes; a reference names a file of `meta/episodes`, and `offset` the row in it.

    Attributes:
      info: of the dataset.
      layout: how features map.
      name: of the dataset, for the ids of its episodes.
      instruction: in place of what the dataset says; empty: as it says.
      all_successful: a person says so of every episode.
      collector: who drove.
    """

    info: LeRobotInfo
    layout: ImportLayout
    name: str
    instruction: str
    all_successful: bool
    collector: str

    @property
    def schema(self) -> Schema:
        """The schema of the episodes."""
        return self.layout.schema

    def load(self, ref: RecordRef) -> Episode | Finding:
        """The episode, or a finding that names the file and the frame that is wrong."""
        try:
            return self._episode(read_episode_file(Path(ref.file))[ref.offset])
        except SerldsError as error:
            message = str(error)
        except Exception as error:  # a file may hold anything: one bad episode must not end a run
            message = f"{type(error).__name__}: {error!s:.300}"
        return Finding("lerobot", ERROR, message).at("", ref.file, ref.record)

    def _episode(self, row: dict[str, Any]) -> Episode:
        table = self._table(row)
        rows = table.num_rows
        reward, success = _outcome(table, self.all_successful)
        terminal = _terminal(table, success)
        flags = np.arange(rows + 1)
        columns: dict[str, Column] = {
            keys.ACTION: _with_void(_numbers(table, layout.ACTION, self.schema.action.size)),
            keys.REWARD: _with_void(reward),
            keys.DISCOUNT: _with_void(1 - (terminal & (np.arange(rows) == rows - 1))),
            keys.IS_FIRST: flags == 0,
            keys.IS_LAST: flags == rows,
            keys.IS_TERMINAL: (flags == rows) & terminal,
            keys.LANGUAGE_INSTRUCTION: self._texts(table),
            keys.TIMESTAMP_S: (flags / self.info.fps).astype(np.float32),
        }
        for name, cut in self.layout.states.items():
            size = sum(field.size for field in cut)
            values, first = _repeated(_numbers(table, name, size)), 0
            for field in cut:
                part = values[:, first : first + field.size]
                columns[field.path] = part.reshape(rows + 1, *field.shape)
                first += field.size
        for name, path in self.layout.images.items():
            images = self._images(name, path, row, table)
            columns[path] = [*images, images[-1]]
        return Episode(columns, self._metadata(row, success))

    def _table(self, row: dict[str, Any]) -> pa.Table:
        path, index = self.info.data_file(row), row["episode_index"]
        table = open_frames(path).frames(index, self._columns())
        if table.num_rows != row["length"]:
            raise DamagedDatasetError(
                f"{path}: episode {index}: expected {row['length']} frames as meta/episodes says, "
                f"found {table.num_rows}"
            )
        frames = _numbers(table, layout.FRAME_INDEX, 1)[:, 0]
        if not np.array_equal(frames, np.arange(table.num_rows)):
            raise DamagedDatasetError(f"{path}: episode {index}: frame_index is not 0, 1, 2, ...")
        return table

    def _columns(self) -> list[str]:
        features = self.info.features
        left_out = {*self.layout.left_out, *self.info.videos}
        return [name for name in features if name not in left_out]

    def _images(self, name: str, path: str, row: dict[str, Any], table: pa.Table) -> list[bytes]:
        field = self.schema[path]
        encoding, shape = field.encoding or "png", field.shape
        if name in self.info.videos:
            times = _numbers(table, layout.TIMESTAMP, 1)[:, 0].astype(np.float64)
            steps = np.round(times * self.info.fps)
            if (
                not np.isfinite(times).all()
                or np.abs(steps / self.info.fps - times).max() > _TOLERANCE_S
                or np.any(np.diff(steps) <= 0)
            ):
                raise DamagedDatasetError(
                    f"{self.info.data_file(row)}: episode {row['episode_index']}: the timestamps "
                    f"are not ascending multiples of 1/{self.info.fps:g} s"
                )
            start = float(row[f"videos/{name}/from_timestamp"])
            frames = decode_frames(
                self.info.video_file(row, name), start, steps / self.info.fps, _TOLERANCE_S
            )
        else:
            frames = (decode_image(one["bytes"]) for one in table[name].to_pylist())
        encoded = []
        for pixels in frames:
            if pixels.shape != shape:
                raise DamagedDatasetError(
                    f"feature {name}: info.json says {shape}, the frames are {pixels.shape}"
                )
            encoded.append(encode_image(pixels, encoding))
        return encoded

    def _texts(self, table: pa.Table) -> list[str]:
        if self.instruction:
            return [self.instruction] * (table.num_rows + 1)
        numbers = _numbers(table, layout.TASK_INDEX, 1)[:, 0]
        unknown = numbers[~np.isin(numbers, np.arange(len(self.info.tasks)))]
        if unknown.size:
            raise DamagedDatasetError(
                f"task_index {unknown[0]}: there are {len(self.info.tasks)} tasks"
            )
        texts = [self.info.tasks[int(number)] for number in numbers]
        return [*texts, texts[-1]]

    def _metadata(self, row: dict[str, Any], success: bool) -> dict[str, Any]:
        tasks = row.get("tasks") or [""]
        return {
            keys.EPISODE_ID: row.get("episode_id") or f"{self.name}-{row['episode_index']:06d}",
            keys.TASK: self.instruction or str(tasks[0]),
            keys.ENV_ID: "",
            keys.ROBOT: self.info.robot_type,
            keys.COLLECTOR: self.collector,
            keys.POLICY_CHECKPOINT: "",
            keys.SUCCESS: success,
            keys.SEED: 0,
            keys.CONTROL_HZ: self.info.fps,
            keys.CREATED_UTC: "",
            keys.SERLDS_VERSION: __version__,
        }


def _outcome(table: pa.Table, all_successful: bool) -> tuple[np.ndarray, bool]:
    """Rewards (N,) and success, as the dataset or the person says; without either 0 and False.

    Success without rewards becomes a reward of 1 for the last action.
    """
    rows, names = table.num_rows, table.column_names
    reward = np.zeros(rows)
    if layout.REWARD in names:
        reward = _numbers(table, layout.REWARD, 1)[:, 0].astype(np.float64)
    success = all_successful
    if layout.SUCCESS in names:
        success |= bool(_numbers(table, layout.SUCCESS, 1).any())
    elif np.isin(reward, (0, 1)).all() and reward.any():
        success = True
    if success and not reward.any():
        reward[-1] = 1
    return reward, success


def _terminal(table: pa.Table, success: bool) -> bool:
    """Whether the episode terminated: it says so, or else it succeeded."""
    if layout.TRUNCATED in table.column_names:
        done = layout.DONE not in table.column_names or _numbers(table, layout.DONE, 1)[-1, 0]
        return bool(done) and not _numbers(table, layout.TRUNCATED, 1)[-1, 0]
    return success


def _numbers(table: pa.Table, name: str, size: int) -> np.ndarray:
    """A column as (N, size) float32, or int64 where it holds whole numbers."""
    array = table[name].combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    flat = array.flatten() if pa.types.is_nested(array.type) else array
    if flat.null_count or len(flat) != len(array) * size:
        raise DamagedDatasetError(
            f"feature {name}: expected {size} numbers in each of {len(array)} frames, found "
            f"{len(flat) - flat.null_count} in all"
        )
    values = flat.to_numpy(zero_copy_only=False).reshape(len(array), size)
    return values if values.dtype.kind in "iub" else values.astype(np.float32)


def _with_void(values: np.ndarray) -> np.ndarray:
    """(N, ...) of actions with a row of zeros for the last observation, float32."""
    return np.concatenate([values, np.zeros_like(values[:1])]).astype(np.float32)


def _repeated(values: np.ndarray) -> np.ndarray:
    """(N, D) of observations with the last one twice, float32."""
    return np.concatenate([values, values[-1:]]).astype(np.float32)
