"""A video of the last online episode, for the live page; made when it is asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from threading import Lock

from ...datasets import keys
from ...datasets.dataset_files import FEATURES_FILE, INFO_FILE
from ...datasets.reading import open_dataset
from ...datasets.schema import read_schema
from ...envs.video import write_video
from ..run_directory import RunDirectory

_HOLD_FRAMES = 5


class EpisodeVideo:
    """Films the newest episode of `RUN/episodes` where its schema has a camera."""

    def __init__(self, directory: RunDirectory) -> None:
        """Of the run in `directory`."""
        self._episodes = directory.episodes
        self._lock = Lock()
        self._schema_ns = -1
        self._has_images = False
        self._number = -1
        self._content = b""

    def newest(self) -> str | None:
        """What changes with each new video to see; None when the episodes have no images."""
        directory = self._episodes.directory
        try:
            features_ns = (directory / FEATURES_FILE).stat().st_mtime_ns
            info_ns = (directory / INFO_FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return None  # no episode yet
        with self._lock:
            if features_ns != self._schema_ns:
                self._has_images = bool(read_schema(directory).image_fields)
                self._schema_ns = features_ns
            return str(info_ns) if self._has_images else None

    def read(self) -> bytes | None:
        """The video of the newest episode, MP4; None when there is none.

        Raises:
            SerldsError: The episode cannot be read or encoded.
        """
        if self.newest() is None:
            return None
        with self._lock:
            dataset = open_dataset(self._episodes)
            number = dataset.num_episodes - 1
            if number < 0 or not dataset.schema.image_fields:
                return None
            if number != self._number:
                episode = dataset.episode(number)
                frames = episode.pixels(dataset.schema.image_fields[0].path)
                rate_hz = float(episode.metadata.get(keys.CONTROL_HZ) or 10.0)
                self._content = _encode([*frames, *[frames[-1]] * _HOLD_FRAMES], rate_hz)
                self._number = number
            return self._content


def _encode(frames: list, rate_hz: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "episode.mp4"
        write_video(path, frames, rate_hz)
        return path.read_bytes()
