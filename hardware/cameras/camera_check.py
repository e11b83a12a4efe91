"""What `serlds robot check` looks at in cameras: do they open, how fast are they, are they well?"""

from __future__ import annotations

from collections.abc import Sequence

from ...datasets.errors import SerldsError, UsageError
from ..robot_check import Check
from .camera import Camera, open_camera

_WATCH_S = 2.0
_ENOUGH_HZ = 10.0


def check_cameras(cameras: Sequence[str], check: Check) -> None:
    """Opens cameras one after the other, and adds to `check` what is found.

    Args:
      cameras: `NAME=SOURCE` each, see `open_camera`.
      check: gets a finding per camera.

    Raises:
      UsageError: something that is not `NAME=SOURCE`.
    """
    for text in cameras:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise UsageError(f"camera {text!r}: expected NAME=SOURCE, e.g. front=opencv:0")
        try:
            with open_camera(source, name=name) as camera:
                _watch(name, camera, check)
        except SerldsError as error:
            check.note(f"camera {name}", False, str(error), f"mend camera {name}, or leave it away")


def _watch(name: str, camera: Camera, check: Check) -> None:
    first = frame = camera.read()
    oldest_s, before = 0.0, camera.stats()
    while frame.received_s < first.received_s + _WATCH_S:
        frame = camera.read(newer_than=frame.seq)
        oldest_s = max(oldest_s, frame.age_s)
    after = camera.stats()
    rate_hz = (frame.seq - first.seq) / (frame.received_s - first.received_s)
    height, width, _ = frame.image.shape
    repeated, dropped = after.repeated - before.repeated, after.dropped - before.dropped
    check.note(
        f"camera {name}",
        rate_hz >= _ENOUGH_HZ and repeated < after.frames - before.frames,
        f"{width} x {height}, {rate_hz:.1f} pictures a second, seen after at most "
        f"{oldest_s * 1e3:.0f} ms, {dropped} dropped, {repeated} repeated",
        f"camera {name}: fewer than {_ENOUGH_HZ:.0f} pictures a second, or always the same one: "
        "use a port of its own, more light, a smaller picture",
    )
