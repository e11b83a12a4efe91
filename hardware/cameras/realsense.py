"""Colour pictures of Intel RealSense cameras, and of files that one was recorded to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...datasets.errors import UsageError
from ..errors import CameraError
from .captured import Captured

_RATE_HZ = 30
_TIMEOUT_MS = 5000


def frames(where: str) -> Iterator[Captured]:
    """Pictures of a camera, for ever; a file is played at its own rate, again and again.

    Args:
      where: the serial number of a camera, or the path of a recording (.db3, .bag).

    Raises:
      UsageError: the library is not installed, or there is no such file or camera.
      CameraError: it cannot be started, or stops giving pictures.
    """
    rs = _library()
    config = rs.config()
    is_file = Path(where).suffix in (".db3", ".bag")
    if is_file:
        if not Path(where).is_file():
            raise UsageError(f"{where!r} is no file; expected a recording of a RealSense camera")
        config.enable_device_from_file(where, True)
        config.enable_stream(rs.stream.color)
    else:
        _check_serial(rs, where)
        config.enable_device(where)
        config.enable_stream(rs.stream.color, rs.format.rgb8, _RATE_HZ)
    pipeline = rs.pipeline()
    try:
        pipeline.start(config)
    except RuntimeError as error:
        raise CameraError(f"it cannot be started: {error}; is another program using it?") from error
    try:
        yield from _colour(rs, pipeline)
    finally:
        pipeline.stop()


def _library():  # type: ignore[no-untyped-def]
    try:
        import pyrealsense2
    except ImportError as error:
        if "libusb" in str(error):
            remedy = "it needs libusb: sudo apt-get install libusb-1.0-0"
        else:
            remedy = "run: pip install 'serlds[realsense]'"
        raise UsageError(f"pyrealsense2 cannot be loaded ({error}); {remedy}") from error
    return pyrealsense2


def _check_serial(rs, serial: str) -> None:  # type: ignore[no-untyped-def]
    try:
        devices = list(rs.context().query_devices())
        found = [device.get_info(rs.camera_info.serial_number) for device in devices]
    except RuntimeError as error:
        raise CameraError(f"RealSense cameras cannot be listed: {error}") from error
    if serial not in found:
        raise UsageError(
            f"no RealSense camera has the serial number {serial!r}; connected: "
            f"{', '.join(found) or 'none'}"
        )


def _colour(rs, pipeline) -> Iterator[Captured]:  # type: ignore[no-untyped-def]
    last = None
    while True:
        try:
            frame = pipeline.wait_for_frames(_TIMEOUT_MS).get_color_frame()
        except RuntimeError as error:
            raise CameraError(f"it stopped giving pictures: {error}; look at its cable") from error
        if not frame:
            continue
        kind = frame.get_profile().format()
        if kind not in (rs.format.rgb8, rs.format.bgr8):
            raise CameraError(f"its pictures are {kind.name}; expected rgb8 or bgr8")
        number = frame.get_frame_number()
        missed = number - last - 1 if last is not None and number > last else 0
        last = number
        image = np.asanyarray(frame.get_data())
        if kind == rs.format.bgr8:
            image = image[..., ::-1]
        yield Captured(image, frame.get_timestamp() / 1e3, missed)
