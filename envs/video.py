"""Videos of episodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import dm_env
import numpy as np

from ..datasets.errors import SerldsError

REPEATABLE = {"x264-params": "cpu-independent=1"}
"""Without it some of x264's routines (AVX-512) read memory that nobody wrote, and the same pictures
give other bytes."""


class Film:
    """Collects a picture of every step; pass it as `on_step` to the rollout loop.

    Attributes:
      frames: the pictures so far, each uint8 (H, W, 3).
    """

    def __init__(self, render: Callable[[], np.ndarray | None], hold_frames: int = 5) -> None:
        """`render` makes a picture, e.g. `env.render`; the last one of an episode is held."""
        self._render = render
        self._hold_frames = hold_frames
        self.frames: list[np.ndarray] = []

    def __call__(self, timestep: dm_env.TimeStep, action: np.ndarray | None) -> None:
        frame = self._render()
        if frame is None:
            raise SerldsError(
                "the environment renders no pictures; make it with render_mode='rgb_array'"
            )
        self.frames.extend([frame] * (1 + self._hold_frames * timestep.last()))


def write_video(path: Path, frames: Iterable[np.ndarray], frames_per_s: float) -> None:
    """Writes an MP4 that browsers play: H.264, 4:2:0.

    Args:
      path: of the file; it is replaced at once when the video is complete.
      frames: pictures of one size, uint8 (H, W, 3); an odd last row or column is cut off.
      frames_per_s: speed of playback.

    Raises:
      SerldsError: there are no frames, or they cannot be encoded or written.
    """
    import av

    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as file:
            _encode(file, frames, Fraction(frames_per_s).limit_denominator(1000))
        os.replace(partial, path)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SerldsError(f"{path}: the video cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _encode(file: Any, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    import av

    stream = None
    for frame in frames:
        height, width = (side - side % 2 for side in frame.shape[:2])
        if stream is None:
            stream = file.add_stream("libx264", rate=rate, options={"crf": "23", **REPEATABLE})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if (stream.width, stream.height) != (width, height):
            raise ValueError(
                f"frames differ in size: {stream.height} x {stream.width}, then {height} x {width}"
            )
        even = np.ascontiguousarray(frame[:height, :width])
        file.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
    if stream is None:
        raise ValueError("there are no frames")
    file.mux(stream.encode())
