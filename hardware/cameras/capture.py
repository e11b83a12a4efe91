"""The process of a camera: started by `Camera`, ends with it or with the process that opened it.

`python -m serlds.hardware.cameras.capture STATUS_FD RING_FD PARENT SOURCE [HEIGHT WIDTH]`
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

import numpy as np

from ...datasets.episode import resize_image
from ...datasets.errors import UsageError
from ..errors import CameraError
from ..shared_slots import SharedSlots
from . import opencv, realsense
from .frame_ring import PLACES, STATUS, TEXT_BYTES, frame_ring

KINDS = {"opencv": opencv.frames, "realsense": realsense.frames}


def main() -> None:
    """Captures until the parent is gone or the camera fails."""
    status_fd, ring_fd, parent, source, *size = sys.argv[1:]
    threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    (slot,) = SharedSlots(STATUS, fd=int(status_fd)).slots
    status = np.zeros(1, STATUS)
    try:
        _capture(int(ring_fd), source, (int(size[0]), int(size[1])) if size else None, status, slot)
    except Exception as error:  # the process that opened the camera raises it
        known = isinstance(error, UsageError | CameraError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        status["error"] = text.encode()[:TEXT_BYTES]
        status["misused"] = isinstance(error, UsageError)
        slot.write(status)
        # Threads of vendors' libraries may keep an interpreter from ending.
        os._exit(1)


def _capture(fd, source, size, status, slot) -> None:  # type: ignore[no-untyped-def]
    kind, _, where = source.partition(":")
    ring = record = None
    with contextlib.closing(KINDS[kind](where)) as pictures:
        for picture in pictures:
            received_s = time.monotonic()
            # Here and not in the control loop, which it would take many milliseconds from.
            image = picture.image if size is None else resize_image(picture.image, size)
            if ring is None:
                height, width = image.shape[:2]
                ring = frame_ring(fd, height, width)
                record = np.zeros(1, ring.slots[0].dtype)
                status["height"], status["width"] = height, width
            elif image.shape != record["image"].shape[1:]:
                raise CameraError(
                    f"its pictures changed from {record['image'].shape[1:]} to {image.shape}"
                )
            elif np.array_equal(image, record["image"][0]):
                status["repeated"] += 1
            status["dropped"] += picture.dropped
            status["seq"] += 1
            record["seq"] = status["seq"]
            record["device_s"], record["received_s"] = picture.device_s, received_s
            record["image"][0] = image
            ring.slots[int(status["seq"][0]) % PLACES].write(record)
            slot.write(status)


def _end_with(parent: int) -> None:
    """Ends this process, whatever its other threads wait for, when the parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(0)


if __name__ == "__main__":
    main()
