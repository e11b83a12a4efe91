"""Videos that hold one episode after the other, each frame at its exact time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ...datasets.errors import DamagedDatasetError
from ...envs.video import REPEATABLE


def encode_clip(frames: Iterable[np.ndarray], fps: int, crf: int) -> bytes:
    """Encodes (H, W, 3) uint8 RGB frames as H.264 in mp4, frame n at n / fps seconds.

    Every second frame is a keyframe, as in LeRobot: readers pick single frames. One thread, so that
    the bytes do not depend on the machine; parts of a dataset are encoded side by side.
    """
    buffer, stream = io.BytesIO(), None
    options = {"crf": str(crf), "g": "2", "bf": "0", "preset": "veryfast", **REPEATABLE}
    with av.open(buffer, "w", format="mp4") as container:
        for number, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options=options)
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            # Not the stream's time base: muxing changes that one after the first packet.
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())
    return buffer.getvalue()


class VideoFile:
    """An mp4 file made by laying clips of `encode_clip` end to end, without encoding again."""

    def __init__(self, path: Path, fps: int):
        self._fps = fps
        self._container = av.open(str(path), "w", format="mp4")
        self._stream: av.VideoStream | None = None
        self._frames = 0

    def append(self, clip: bytes, frames: int) -> None:
        """Adds a clip of `frames` frames."""
        with av.open(io.BytesIO(clip), format="mp4") as source:
            video = source.streams.video[0]
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(video)
            for packet in source.demux(video):
                if packet.dts is None:  # the end of the clip
                    continue
                shift = int(Fraction(self._frames, self._fps) / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = self._stream
                self._container.mux(packet)
        self._frames += frames

    def close(self) -> None:
        """Writes the index; only then is the file a video."""
        self._container.close()


def decode_frames(
    path: Path, start_s: float, times_s: Iterable[float], tolerance_s: float
) -> Iterator[np.ndarray]:
    """Yields the frames shown at `start_s + time` for ascending times: (H, W, 3) uint8 RGB.

    Decodes from the keyframe at or before the first time, one frame at a time.

    Raises:
      DamagedDatasetError: the file is missing or no video, or it has no frame within `tolerance_s`
        of a time.
    """
    if not path.is_file():
        raise DamagedDatasetError(f"{path}: the video file is missing")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise DamagedDatasetError(f"{path}: there is no video that can be decoded")
            yield from _pick(container, path, start_s, times_s, tolerance_s)
    except av.FFmpegError as error:
        raise DamagedDatasetError(f"{path}: cannot be decoded: {error}") from error


def _pick(
    container: av.container.InputContainer,
    path: Path,
    start_s: float,
    times_s: Iterable[float],
    tolerance_s: float,
) -> Iterator[np.ndarray]:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    wanted = (start_s + time for time in times_s)
    target = next(wanted, None)
    if target is None:
        return
    container.seek(max(0, int(target / stream.time_base) - 1), stream=stream)
    shown_s = None
    for frame in container.decode(stream):
        shown_s = float(frame.pts * stream.time_base)
        if shown_s < target - tolerance_s:
            continue
        if shown_s > target + tolerance_s:
            break
        yield frame.to_ndarray(format="rgb24")
        target = next(wanted, None)
        if target is None:
            return
    found = "the end of the video" if shown_s is None else f"the frame at {shown_s:.6f} s"
    raise DamagedDatasetError(
        f"{path}: there is no frame at {target:.6f} s (within {tolerance_s:g} s), only {found}"
    )
