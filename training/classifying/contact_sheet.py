"""A picture of the frames that a classifier judged worst."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from ...datasets.episode import resize_image
from .examples import Examples
from .measuring import Judgement

_SIDE = 112
_GAP = 6
_TEXT = 30
_COLUMNS_PX = 960
_BACKGROUND = (250, 250, 250)
_WRONG = (190, 20, 20)
_RIGHT = (40, 90, 40)


def contact_sheet(judgements: Sequence[Judgement], examples: Examples) -> bytes:
    """A PNG with the cameras of each frame side by side; under it what was said and where it is.

    Args:
        judgements: At least one; in the order of the tiles.
        examples: What they are about; with images.
    """
    from PIL import Image, ImageDraw

    cameras = list(examples.images)
    width, height = len(cameras) * _SIDE + _GAP, _SIDE + _TEXT + _GAP
    columns = max(_COLUMNS_PX // width, 1)
    rows = -(-len(judgements) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, judgement in enumerate(judgements):
        x, y = number % columns * width + _GAP, number // columns * height + _GAP
        frames = [examples.images[name][judgement.row] for name in cameras]
        tile = np.concatenate([resize_image(frame, (_SIDE, _SIDE)) for frame in frames], axis=1)
        sheet.paste(Image.fromarray(tile), (x, y))
        colour = _WRONG if judgement.is_wrong else _RIGHT
        draw.rectangle((x - 1, y - 1, x + tile.shape[1], y + _SIDE), outline=colour)
        shown = "success" if judgement.is_success else "other"
        place = examples.places[judgement.row]
        where = f"d{place.dataset} ep {place.episode} step {place.step}"
        draw.text((x, y + _SIDE + 2), f"{shown}, p {judgement.probability:.2f}", fill=colour)
        draw.text((x, y + _SIDE + 14), where, fill=(60, 60, 60))
    buffer = io.BytesIO()
    sheet.save(buffer, format="png")
    return buffer.getvalue()
