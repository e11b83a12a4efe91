"""Cameras as environments see them; a process of its own captures each of them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from types import TracebackType

import numpy as np

from ...datasets.errors import UsageError
from ..errors import CameraError, RobotError
from ..shared_slots import SharedSlots, Slot
from .capture import KINDS
from .frame_ring import PLACES, STATUS, frame_ring

STALE_S = 0.5
_START_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 3.0
_POLL_S = 0.002
_REMEDY = "look at it and its cable, then close() and open it again"


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
      image: uint8 RGB (H, W, 3), a copy of one's own.
      seq: number of the picture since the camera was opened, from 1.
      device_s: when it was taken by the device's own clock, s; NaN where the device does not say.
      received_s: when it arrived, s of `time.monotonic`.
    """

    image: np.ndarray
    seq: int
    device_s: float
    received_s: float

    @property
    def age_s(self) -> float:
        """How long ago it arrived."""
        return time.monotonic() - self.received_s


@dataclasses.dataclass(frozen=True)
class CameraStats:
    """What became of a camera's pictures since it was opened.

    Attributes:
      frames: pictures that arrived.
      dropped: pictures that the device numbered and that never arrived; only RealSense says.
      stale: how often `read` refused, because the newest picture was too old.
      repeated: pictures with the very bytes of the one before: a device that is stuck.
    """

    frames: int
    dropped: int
    stale: int
    repeated: int


def open_camera(source: str, size: tuple[int, int] | None = None, name: str = "") -> Camera:
    """Opens a camera and waits for its first picture.

    Args:
      source: `opencv:` and the number of a camera, the path of a video or a URL; or `realsense:`
        and a serial number or the path of a recording. Files are played again and again.
      size: (height, width) of the frames; the process of the camera resizes what the device gives,
        by `datasets.episode.resize_image`. None: as the device gives them.
      name: what messages call it besides its source, e.g. `front`.

    Raises:
      UsageError: an unknown kind, a missing library, file or device; the message says what to do.
      CameraError: it gives no pictures. Nothing keeps running.
    """
    kind, _, where = source.partition(":")
    if kind not in KINDS or not where:
        raise UsageError(
            f"camera {name or source!r}: {source!r} names no camera; expected opencv:0, "
            "opencv:/path.mp4, opencv:http://..., realsense:SERIAL or realsense:/path.db3"
        )
    return Camera(source, size, name)


class Camera:
    """A camera that a process captures; see `open_camera`."""

    def __init__(self, source: str, size: tuple[int, int] | None, name: str) -> None:
        self.source = source
        self._called = f"camera {name!r} ({source})" if name else f"camera {source}"
        self._stale = 0
        self._places: list[Slot] = []
        shared = SharedSlots(STATUS)
        (self._status,) = shared.slots
        ring_fd = os.memfd_create("serlds-camera")
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"{__package__}.capture",
                *(str(shared.fd), str(ring_fd), str(os.getpid()), source),
                *map(str, size or ()),
            ],
            pass_fds=(shared.fd, ring_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which decides what it means
        )
        try:
            status = self._first_status()
            height, width = int(status["height"][0]), int(status["width"][0])
            ring = frame_ring(ring_fd, height, width)
            self._places = ring.slots
        except BaseException:
            self.close()
            raise
        finally:
            shared.close()
            os.close(ring_fd)

    @property
    def pid(self) -> int | None:
        """The process that captures; None after `close`."""
        return self._process.pid if self._process else None

    def read(self, newer_than: int = 0) -> Frame:
        """The newest picture, at once; or as soon as there is one that is newer than another.

        Args:
          newer_than: the `seq` of a picture; waits for a later one, for as long as the newest is
            not stale.

        Raises:
          CameraError: the newest picture is older than 0.5 s, or the process of the camera ended;
            names the camera, the age of its newest picture, and what to do.
        """
        while True:
            status = self._alive()
            frame = self._frame(int(status["seq"][0]))
            if frame is None:
                continue
            age_s = frame.age_s
            if age_s > STALE_S:
                self._stale += 1
                raise CameraError(
                    f"{self._called}: its newest picture is {age_s:.2f} s old, at most "
                    f"{STALE_S} s are allowed; {_REMEDY}"
                )
            if frame.seq > newer_than:
                return frame
            time.sleep(_POLL_S)

    def stats(self) -> CameraStats:
        """Counts since it was opened."""
        status = self._status.read()
        return CameraStats(
            frames=int(status["seq"][0]),
            dropped=int(status["dropped"][0]),
            stale=self._stale,
            repeated=int(status["repeated"][0]),
        )

    def close(self) -> None:
        """Ends the process; again and again is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _first_status(self) -> np.ndarray:
        end_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            status = self._alive()
            if status["seq"][0]:
                return status
            if time.monotonic() > end_s:
                raise CameraError(
                    f"{self._called}: no picture within {_START_TIMEOUT_S:.0f} s; {_REMEDY}"
                )
            time.sleep(_POLL_S)

    def _alive(self) -> np.ndarray:
        """The status of a camera that works."""
        if self._process is None:
            raise CameraError(f"{self._called}: it was closed; open it again")
        code = self._process.poll()
        try:
            status = self._status.read()
        except RobotError as error:
            if code is None:
                raise CameraError(f"{self._called}: its process hangs; {_REMEDY}") from error
            status = np.zeros(1, STATUS)  # it died while it wrote
        if code is None:
            return status
        text = status["error"][0].decode(errors="replace")
        if status["misused"][0]:
            raise UsageError(f"{self._called}: {text}")
        how = f"signal {-code}" if code < 0 else f"code {code}"
        seq = int(status["seq"][0])
        newest = self._frame(seq) if self._places else None
        age = f"; its newest picture is {newest.age_s:.2f} s old" if newest else ""
        text = text or f"its process ended with {how}"
        raise CameraError(f"{self._called}: {text}{age}; {_REMEDY}")

    def _frame(self, seq: int) -> Frame | None:
        """A picture, or one that came after it; None while its place is written anew."""
        place = self._places[seq % PLACES].try_read()
        if place is None:
            return None
        record = place[0]
        return Frame(
            image=record["image"],
            seq=int(record["seq"]),
            device_s=float(record["device_s"]),
            received_s=float(record["received_s"]),
        )
