"""What a worker does in a LeRobot export: one parquet file and one video per camera for a part."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ...datasets import keys
from ...datasets.episode import Episode, decode_image
from ...datasets.errors import SerldsError
from ..action_rows import num_action_rows
from ..checks.episode_checks import check_one
from ..engine.loading import EpisodeSource
from ..engine.parts import Part, RecordRef
from ..engine.results import unique_name
from ..findings import ERROR, BadEpisodeError, Finding
from ..instructions import instructions
from ..statistics.moments import ColumnStatistics, row_hashes
from . import layout
from .figures import ImageSample, image_figures, number_figures
from .frames import TASK, frame_table
from .layout import ExportLayout
from .video import VideoFile, encode_clip

MEASURED = (layout.STATE, layout.ACTION, layout.REWARD)


@dataclasses.dataclass(frozen=True)
class MadeEpisode:
    """An episode ready to be written: its rows, its videos, their statistics."""

    episode_id: str
    table: Any
    clips: dict[str, bytes]
    columns: dict[str, ColumnStatistics]
    images: dict[str, ImageSample]


@dataclasses.dataclass(frozen=True)
class LeRobotJob:
    """Writes the episodes of a part; their places in the whole dataset are filled in later.

    Attributes:
      source: where the episodes come from.
      layout: how fields map.
      fps: frames per second of the dataset.
      fps_is_given: whether a person chose it; else an episode of another rate ends the run.
      crf: quality of the videos.
      instruction: for steps that have none.
    """

    source: EpisodeSource
    layout: ExportLayout
    fps: int
    fps_is_given: bool
    crf: int
    instruction: str

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """`{"data", "videos", "episodes", "columns", "images", "bad", "findings"}`.

        `data` and `videos` name files in `directory`, empty where no episode is left; `episodes`
        lists `{"id", "length", "tasks", "stats"}`; `columns` and `images` are what the statistics
        of the whole dataset are merged from.
        """
        findings: list[Finding] = []
        episodes: list[dict[str, Any]] = []
        columns: dict[str, ColumnStatistics] = {}
        images: dict[str, list[Any]] = {}
        bad = 0
        with contextlib.ExitStack() as stack:
            files = _PartFiles(directory, part.index, self.fps, stack)
            for ref in part.records:
                made = self._make(ref)
                if isinstance(made, list):
                    findings += made
                    bad += 1
                    continue
                files.add(made)
                episodes.append(_described(made))
                for name, column in made.columns.items():
                    columns[name] = columns[name].merge(column) if name in columns else column
                for name, sample in made.images.items():
                    counts, frames = images.get(name, (0, 0))
                    images[name] = [counts + sample.counts, frames + sample.frames]
        return {
            "data": files.data,
            "videos": files.videos,
            "episodes": episodes,
            "columns": {name: column.to_json() for name, column in columns.items()},
            "images": {name: [counts.tolist(), n] for name, (counts, n) in images.items()},
            "bad": bad,
            "findings": [finding.to_json() for finding in findings],
        }

    def _make(self, ref: RecordRef) -> MadeEpisode | list[Finding]:
        episode = self.source.load(ref)
        if isinstance(episode, Finding):
            return [episode]
        where = (episode.episode_id, ref.file, ref.record)
        wrong = [one for one in check_one(episode, self.source.schema) if one.severity == ERROR]
        if wrong:
            return [finding.at(*where) for finding in wrong]
        self._check_rate(episode)
        try:
            return self._made(episode)
        except BadEpisodeError as error:
            return [dataclasses.replace(error.finding, check="lerobot").at(*where)]

    def _made(self, episode: Episode) -> MadeEpisode:
        rows = num_action_rows(episode)
        if not rows:
            raise BadEpisodeError(Finding("lerobot", ERROR, "the episode has no action"))
        texts = instructions(episode, self.instruction)[:rows]
        table = frame_table(episode, self.layout, rows, self.fps, texts)
        hashes = row_hashes(episode.episode_id, rows)
        columns = {
            name: ColumnStatistics.of_rows(_matrix(table[name]), hashes)
            for name in MEASURED
            if name in table.column_names
        }
        clips, images = {}, {}
        for path, key in self.layout.cameras.items():
            images[key] = ImageSample(rows)
            frames = _seen(_decoded(episode, path, rows), images[key])
            clips[key] = encode_clip(frames, self.fps, self.crf)
        return MadeEpisode(episode.episode_id, table, clips, columns, images)

    def _check_rate(self, episode: Episode) -> None:
        rate = float(episode.metadata.get(keys.CONTROL_HZ, 0))
        if not self.fps_is_given and abs(rate - self.fps) > 1e-3 * self.fps:
            raise SerldsError(
                f"episode {episode.episode_id}: control_hz is {rate:g}, but the first episode has "
                f"{self.fps}; a LeRobot dataset has one rate: bring all to the same one with a "
                f"transform of `serlds convert`, or state it with --fps"
            )


class _PartFiles:
    """The files of a part, made when its first episode comes."""

    def __init__(self, directory: Path, index: int, fps: int, stack: contextlib.ExitStack):
        self._directory, self._index, self._fps, self._stack = directory, index, fps, stack
        self._table: pq.ParquetWriter | None = None
        self._videos: dict[str, VideoFile] = {}
        self.data = ""
        self.videos: dict[str, str] = {}

    def add(self, made: MadeEpisode) -> None:
        """Writes an episode; it becomes a row group of its own."""
        if self._table is None:
            self.data = self._name("data", ".parquet")
            self._table = pq.ParquetWriter(self._directory / self.data, made.table.schema)
            self._stack.callback(self._table.close)
        self._table.write_table(made.table)
        for key, clip in made.clips.items():
            if key not in self._videos:
                self.videos[key] = self._name("video", ".mp4")
                self._videos[key] = VideoFile(self._directory / self.videos[key], self._fps)
                self._stack.callback(self._videos[key].close)
            self._videos[key].append(clip, made.table.num_rows)

    def _name(self, kind: str, suffix: str) -> str:
        return unique_name(f"{kind}-{self._index:05d}", suffix)


def _described(made: MadeEpisode) -> dict[str, Any]:
    stats = {name: number_figures(column) for name, column in made.columns.items()}
    stats |= {
        key: image_figures(sample.counts, sample.frames) for key, sample in made.images.items()
    }
    tasks = list(dict.fromkeys(made.table[TASK].to_pylist()))
    return {"id": made.episode_id, "length": made.table.num_rows, "tasks": tasks, "stats": stats}


def _decoded(episode: Episode, path: str, rows: int) -> Iterator[np.ndarray]:
    for step in range(rows):
        try:
            yield decode_image(episode.columns[path][step])
        except OSError as error:
            message = f"the image cannot be decoded: {error}"
            raise BadEpisodeError(Finding("lerobot", ERROR, message, step, path)) from error


def _seen(frames: Iterator[np.ndarray], sample: ImageSample) -> Iterator[np.ndarray]:
    for step, pixels in enumerate(frames):
        sample.see(step, pixels)
        yield pixels


def _matrix(column: Any) -> np.ndarray:
    """(N, D) numbers of a column of numbers or of lists."""
    array = column.combine_chunks()
    flat = array.flatten() if hasattr(array, "flatten") and array.type.num_fields else array
    return flat.to_numpy(zero_copy_only=False).reshape(len(array), -1)
