"""What some episodes look like: frames over time, and a small film, for each camera."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ... import page
from ...datasets import keys
from ...datasets.episode import Episode, decode_image
from ...datasets.errors import SerldsError
from ...datasets.schema import Schema
from ...envs.video import write_video
from ..engine.loading import load_episode
from ..findings import Finding
from .survey import FAILURE, SUCCESS, UNKNOWN, Look

FRAMES = 8
_EPISODES, _CAMERAS = 6, 4
_CELL_PX = 192
_FILM_FRAMES, _FILM_S = 120, 8.0
# The page stays light: films are left out from here on.
_FILM_BYTES = 4_000_000


@dataclasses.dataclass(frozen=True)
class CameraStrip:
    """An episode as one camera saw it.

    Attributes:
      camera: its name.
      frames: (step, address of its picture), over time.
      film: address of a video; empty where there is none.
    """

    camera: str
    frames: tuple[tuple[int, str], ...]
    film: str


@dataclasses.dataclass(frozen=True)
class SheetEpisode:
    """One episode of the sheet, with its cameras."""

    look: Look
    cameras: tuple[CameraStrip, ...]


def contact_sheet(looks: Sequence[Look], schema: Schema) -> list[SheetEpisode]:
    """Six episodes, failures and successes alike where there are both; none without cameras."""
    cameras = [field for field in schema.image_fields][:_CAMERAS]
    if not cameras:
        return []
    flags = tuple(field for field in schema.steps if field.path == keys.IS_FIRST)
    needed = Schema((*cameras, *flags), ())
    sheet, budget = [], _FILM_BYTES
    for look in choose(looks, _EPISODES):
        episode = load_episode(look.ref, needed)
        if isinstance(episode, Finding) or not len(episode):
            continue
        strips = []
        for camera in cameras:
            if strip := _strip(episode, camera.path, look.control_hz, budget > 0):
                budget -= len(strip.film)
                strips.append(strip)
        sheet.append(SheetEpisode(look, tuple(strips)))
    return sheet


def choose(looks: Sequence[Look], most: int) -> list[Look]:
    """At most `most` episodes, evenly spread, half of them failures where there are enough."""
    by_outcome = {
        kind: [look for look in looks if look.outcome == kind]
        for kind in (SUCCESS, FAILURE, UNKNOWN)
    }
    failures = min(len(by_outcome[FAILURE]), max(most // 2, most - len(by_outcome[SUCCESS])))
    successes = min(len(by_outcome[SUCCESS]), most - failures)
    unknown = min(len(by_outcome[UNKNOWN]), most - failures - successes)
    chosen = [
        *_spread(by_outcome[SUCCESS], successes),
        *_spread(by_outcome[FAILURE], failures),
        *_spread(by_outcome[UNKNOWN], unknown),
    ]
    return chosen


def _spread(looks: list[Look], number: int) -> list[Look]:
    return [looks[index] for index in _spread_steps(len(looks), number)]


def _spread_steps(length: int, number: int) -> list[int]:
    """`number` of `length` indices, first and last included."""
    return np.linspace(0, length - 1, min(length, number)).round().astype(int).tolist()


def _strip(episode: Episode, path: str, control_hz: float, with_film: bool) -> CameraStrip | None:
    encoded = episode.columns[path]
    small = ((step, _small(encoded[step])) for step in _spread_steps(len(encoded), FRAMES))
    frames = tuple((step, _picture(frame)) for step, frame in small if frame is not None)
    if not frames:
        return None
    film = _film(encoded, control_hz) if with_film and len(encoded) > 1 else ""
    camera = path.removeprefix(keys.IMAGE_PREFIX).removeprefix(f"{keys.OBSERVATION}/")
    return CameraStrip(camera, frames, film)


def _small(encoded: bytes) -> np.ndarray | None:
    """The picture with its longer side at most 192 pixels, (h, w, 3); None where damaged."""
    try:
        pixels = decode_image(encoded)
    except OSError:
        return None
    if pixels.dtype != np.uint8:  # depth and the like: from the least to the greatest value
        values = pixels.astype(np.float64)
        pixels = (255 * (values - values.min()) / max(np.ptp(values), 1)).astype(np.uint8)
    if pixels.shape[-1] not in (3, 4):
        pixels = pixels[..., :1].repeat(3, axis=-1)
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    image.thumbnail((_CELL_PX, _CELL_PX))
    return np.asarray(image)


def _picture(frame: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="jpeg", quality=82)
    return page.data_uri("image/jpeg", buffer.getvalue())


def _film(encoded: Sequence[bytes], control_hz: float) -> str:
    """A video of at most 8 s and 120 frames; empty where it cannot be made."""
    steps = _spread_steps(len(encoded), _FILM_FRAMES)
    frames = [frame for step in steps if (frame := _small(encoded[step])) is not None]
    rate_hz = max((control_hz or 10.0) * len(steps) / len(encoded), len(steps) / _FILM_S)
    held = [frames[-1]] * max(1, round(rate_hz / 2)) if frames else []
    with tempfile.TemporaryDirectory(prefix="serlds-film-") as folder:
        path = Path(folder) / "film.mp4"
        try:
            write_video(path, [*frames, *held], rate_hz)
        except SerldsError:  # frames that differ in size, or none: the strip must do
            return ""
        return page.data_uri("video/mp4", path.read_bytes())
