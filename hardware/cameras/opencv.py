"""What OpenCV reads: cameras of this machine, video files, streams of pictures over a network."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

from ...datasets.errors import UsageError
from ..errors import CameraError
from .captured import Captured

_TIMEOUT_MS = 10_000
_USUAL_RATE_HZ = 30.0


def frames(where: str) -> Iterator[Captured]:
    """Pictures of a camera, for ever.

    A file stands in for a camera: it is played at its own rate and starts again after its end.

    Args:
      where: the number of a camera, the path of a video file, or a URL.

    Raises:
      UsageError: OpenCV is not installed, or there is no such file.
      CameraError: it cannot be opened, or stops giving pictures.
    """
    cv2 = _opencv()
    if where.isdecimal():
        camera = cv2.VideoCapture(int(where))
        remedy = f"is it connected, free, and yours to read (ls -l /dev/video{where})?"
        yield from _live(cv2, camera, remedy)
    elif "://" in where:
        patience = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _TIMEOUT_MS,
        ]
        camera = cv2.VideoCapture(where, cv2.CAP_FFMPEG, patience)
        yield from _live(cv2, camera, "does its server run, and does a browser show it?")
    elif Path(where).is_file():
        yield from _played(cv2, where)
    else:
        raise UsageError(
            f"{where!r} is no file; give opencv: the number of a camera (opencv:0), the path of a "
            "video, or a URL (opencv:http://...)"
        )


def _opencv():  # type: ignore[no-untyped-def]
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            f"OpenCV cannot be loaded ({error}); run: pip install 'serlds[cameras]'"
        ) from error
    return cv2


def _live(cv2, camera, remedy: str) -> Iterator[Captured]:  # type: ignore[no-untyped-def]
    try:
        if not camera.isOpened():
            raise CameraError(f"OpenCV cannot open it; {remedy}")
        while True:
            there, image = camera.read()
            if not there:
                raise CameraError(f"it stopped giving pictures; {remedy}")
            taken_s = camera.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            yield Captured(
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB), taken_s if taken_s > 0.0 else math.nan
            )
    finally:
        camera.release()


def _played(cv2, path: str) -> Iterator[Captured]:  # type: ignore[no-untyped-def]
    due_s = time.monotonic()
    while True:
        video = cv2.VideoCapture(path)
        rate_hz = video.get(cv2.CAP_PROP_FPS)
        period_s = 1.0 / (rate_hz if 1.0 <= rate_hz <= 1000.0 else _USUAL_RATE_HZ)
        count = 0
        try:
            while True:
                there, image = video.read()
                if not there:
                    break
                time.sleep(max(0.0, due_s - time.monotonic()))
                due_s = max(due_s, time.monotonic() - period_s) + period_s
                yield Captured(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), count * period_s)
                count += 1
        finally:
            video.release()
        if count == 0:
            raise CameraError("OpenCV finds no picture in this file; does a player show it?")
