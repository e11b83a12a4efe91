"""What is in the pictures: frames that stand still, black ones, swapped colours, a camera's lag."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...datasets.episode import Column
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits, Measurement, Sums, Threshold, stack_up
from .fields import Fields
from .look import Look

LAGS = tuple(range(-4, 5))
_MIN_STEPS = 100


def find_stale(look: Look, limits: Limits) -> Iterator[Finding]:
    """Identical frames while the arm moves."""
    if look.travel is None or not np.isfinite(look.travel).all():
        return
    moved = np.concatenate([[0.0], np.cumsum(look.travel)])
    metres = look.fields.position is not None
    enough, unit = limits["min_travel_m" if metres else "min_travel_rad"], "m" if metres else "rad"
    for field in look.schema.image_fields:
        for first, last in _runs(look.episode.columns[field.path]):
            travel = moved[last] - moved[first]
            if last - first + 1 >= limits["min_run"] and travel > enough:
                message = f"the same frame {last - first + 1} times while the arm moves"
                expected, found = f"at most {enough:g} {unit} of motion", f"{travel:.2g} {unit}"
                yield Finding("stale_frames", ERROR, message, first, field.path, expected, found)
                break


def find_undecodable(look: Look, limits: Limits) -> Iterator[Finding]:
    """Images whose pixels are damaged behind a good header."""
    for path, frames in look.frames.items():
        if frames.damaged is not None:
            step, why = frames.damaged
            message = "the image cannot be decoded"
            yield Finding("image_content", ERROR, message, step, path, "an image", why)


def find_blank(look: Look, limits: Limits) -> Iterator[Finding]:
    """Frames that show nothing: black, white or one grey."""
    for path, frames in look.frames.items():
        for step, pixels in zip(frames.steps, frames.pixels, strict=False):
            spread = float(pixels.std())
            if spread < limits["min_std"]:
                message = f"the frame shows nothing: all of it is about {pixels.mean():.0f}"
                expected = f"a deviation of at least {limits['min_std']:g}"
                yield Finding("blank_images", ERROR, message, step, path, expected, f"{spread:.2g}")
                break


def take_colours(look: Look) -> Sums:
    """Red minus blue in each quarter of the first frame: (1, cameras, 4) int16, 999 for none."""
    rows = [
        red_minus_blue(frames.pixels[0]) if frames.pixels else np.full(4, 999)
        for frames in look.frames.values()
    ]
    return {"colours": np.array([rows], np.int16)} if rows else {}


COLOURS = Measurement("colours", take_colours, stack_up)


def red_minus_blue(pixels: np.ndarray) -> np.ndarray:
    """Mean of red minus blue in each quarter of an image: (4,); zeros for a grey one."""
    if pixels.shape[-1] != 3:
        return np.zeros(4)
    h, w = pixels.shape[0] // 2, pixels.shape[1] // 2
    difference = pixels[..., 0].astype(np.float64) - pixels[..., 2]
    quarters = (difference[:h, :w], difference[:h, w:], difference[h:, :w], difference[h:, w:])
    return np.array([round(float(quarter.mean())) for quarter in quarters])


def judge_channels(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Episodes whose red and blue are swapped against the others or against a reference."""
    sums = evidence.sums["colours"]
    if not sums:
        return
    for camera, field in enumerate(evidence.schema.image_fields):
        colours = sums["colours"][:, camera].astype(np.float64)
        seen = (colours != 999).all(axis=1)
        reference = evidence.references.get(field.path)
        against = "the reference" if reference is not None else "the other episodes"
        usual = reference if reference is not None else np.median(colours[seen], axis=0)
        if not seen.any() or np.abs(usual).mean() < limits["min_colour"]:
            continue  # too grey to tell red from blue
        straight = np.abs(colours - usual).mean(axis=1)
        swapped = np.abs(colours + usual).mean(axis=1)
        wrong = np.flatnonzero(seen & (swapped < limits["max_ratio"] * straight))
        for place in evidence.name_episodes(wrong[:1000].tolist()):
            message = f"red and blue are swapped, compared with {against}"
            finding = Finding("swapped_channels", ERROR, message, 0, field.path, "RGB", "BGR")
            yield finding.at(*place)


def take_camera_lag(look: Look) -> Sums:
    """Sums of the tool's travel and each camera's change k steps later: (cameras, 9, 6)."""
    frames = list(look.frames.values())
    travel = look.travel
    if travel is None or not frames or any(len(f.pixels) != len(look.episode) for f in frames):
        return {}
    if not np.isfinite(travel).all() or len(travel) < 2 * len(LAGS):
        return {}
    if any(len({picture.shape for picture in f.pixels}) > 1 for f in frames):
        return {}
    sums = np.zeros((len(frames), len(LAGS), 6))
    reach, travel = max(LAGS), _capped(travel)
    x = travel[reach : len(travel) - reach]
    for camera, one in enumerate(frames):
        change = _capped(_changes(one.pixels))
        for at, lag in enumerate(LAGS):
            y = change[reach + lag : len(change) - reach + lag]
            sums[camera, at] = len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y
    return {"sums": sums}


CAMERA_LAG = Measurement("camera_lag", take_camera_lag)


def judge_camera_lag(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Cameras whose pictures change after the arm has moved, or before."""
    sums = evidence.sums["camera_lag"]
    if not sums:
        return
    for camera, field in enumerate(evidence.schema.image_fields):
        n, x, y, xx, yy, xy = sums["sums"][camera].T
        if n[0] < _MIN_STEPS:
            continue
        spread = np.sqrt(np.maximum((xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2), 1e-30))
        correlation = (xy / n - x * y / n**2) / spread
        best, now = int(np.argmax(correlation)), LAGS.index(0)
        if (
            correlation[best] < limits["min_correlation"]
            or correlation[best] - correlation[now] < limits["min_gain"]
        ):
            continue
        lag = LAGS[best]
        message = (
            f"the picture changes {abs(lag)} step(s) {'after' if lag > 0 else 'before'} the arm "
            f"moves (correlation {correlation[best]:.2f}, {correlation[now]:.2f} at the same step)"
        )
        severity = ERROR if abs(lag) >= limits["fail_steps"] else WARNING
        yield Finding(
            "camera_lag", severity, message, None, field.path, "the same step", f"{lag:+d} step(s)"
        )


def _changes(pixels: tuple[np.ndarray, ...]) -> np.ndarray:
    small = [frame[::4, ::4].astype(np.int16) for frame in pixels]
    return np.array([np.abs(b - a).mean() for a, b in itertools.pairwise(small)])


def _capped(values: np.ndarray) -> np.ndarray:
    """Without the largest twentieth: one odd frame must not decide."""
    return np.minimum(values, np.quantile(values, 0.95))


def _runs(images: Column) -> Iterator[tuple[int, int]]:
    """First and last step of each run of equal frames."""
    first = 0
    for step in range(1, len(images) + 1):
        if step == len(images) or images[step] != images[first]:
            if step - 1 > first:
                yield first, step - 1
            first = step


def _no_images(fields: Fields) -> str:
    return "" if fields.schema.image_fields else "no image field"


def _no_arm(fields: Fields) -> str:
    return _no_images(fields) or (
        "" if fields.position or fields.joints else "no position of the tool and no joint positions"
    )


STALE_FRAMES = Check(
    name="stale_frames",
    rule="No camera repeats a frame, byte for byte, while the arm moves.",
    severity="error",
    source="3 cm measured: with 2 mm there were false alarms",
    remedy="Drop these episodes; see why the camera's driver gives an old frame.",
    thresholds=(
        Threshold("min_run", 3, "frames", "equal ones in a row"),
        Threshold("min_travel_m", 0.03, "m", "of the tool during them"),
        Threshold("min_travel_rad", 0.15, "rad", "of the joints, where no position is observed"),
    ),
    missing=_no_arm,
    episode=find_stale,
)
IMAGE_CONTENT = Check(
    name="image_content",
    rule="Images decode: four frames of each episode and camera, or all with `--images all`.",
    severity="error",
    source="the decoder (libjpeg, libpng)",
    remedy="Drop these episodes, or import them again.",
    missing=_no_images,
    images="sampled",
    episode=find_undecodable,
)
BLANK_IMAGES = Check(
    name="blank_images",
    rule="No frame is black, white or of one grey, among those that are decoded.",
    severity="error",
    source="standard deviation over all pixels, of 255; a lens cap gives about 1",
    remedy="Drop these episodes; see whether the camera delivers.",
    thresholds=(Threshold("min_std", 2.0, "of 255", "deviation of the pixels of a frame"),),
    missing=_no_images,
    images="sampled",
    episode=find_blank,
)
SWAPPED_CHANNELS = Check(
    name="swapped_channels",
    rule="Red minus blue in the quarters of each episode's first frame is nearer to that of most "
    "episodes than to its opposite. A dataset that is swapped throughout can only be told with "
    "`--reference CAMERA=IMAGE`, one frame known to be right.",
    severity="error",
    source="four published datasets are BGR (rlds_dataset_mod flips them)",
    remedy="Swap the channels when importing the episodes again.",
    thresholds=(
        Threshold("min_colour", 4, "of 255", "red minus blue below which nothing is said"),
        Threshold("max_ratio", 0.5, "1", "distance swapped by distance straight"),
    ),
    missing=_no_images,
    images="sampled",
    uses=(COLOURS,),
    judge=judge_channels,
)
CAMERA_LAG_CHECK = Check(
    name="camera_lag",
    rule="The picture changes most when the arm moves most, at the same step. Needs every frame: "
    "made with `--images all` only.",
    severity="error, warning",
    source="Bridge's images are 1 to 2 steps late (bridge_data_robot_infra #1)",
    remedy="Measure the camera's delay and shift the images when importing.",
    thresholds=(
        Threshold("min_correlation", 0.4, "1", "of change and travel, to be believed"),
        Threshold("min_gain", 0.15, "1", "over the correlation at the same step"),
        Threshold("fail_steps", 2, "steps", "from here an error"),
    ),
    missing=_no_arm,
    images="all",
    uses=(CAMERA_LAG,),
    judge=judge_camera_lag,
)
