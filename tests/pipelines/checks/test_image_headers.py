import io

import numpy as np
import pytest
from PIL import Image

from serlds.pipelines.checks.image_headers import read_image_header


def encoded(kind, mode="RGB", size=(48, 32), **options):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).convert(mode).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data, header",
    [
        (encoded("jpeg"), ("jpeg", 32, 48, 3)),
        (encoded("jpeg", progressive=True), ("jpeg", 32, 48, 3)),
        (encoded("jpeg", "L"), ("jpeg", 32, 48, 1)),
        (encoded("jpeg", size=(1000, 3), comment=b"x" * 500), ("jpeg", 3, 1000, 3)),
        (encoded("png"), ("png", 32, 48, 3)),
        (encoded("png", "RGBA"), ("png", 32, 48, 4)),
        (encoded("png", "L"), ("png", 32, 48, 1)),
    ],
)
def test_header_is_what_the_encoder_wrote(data, header):
    assert tuple(read_image_header(data)) == header


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_every_cut_is_noticed(kind):
    data = encoded(kind)
    for length in range(0, len(data) - 2, 7):
        with pytest.raises(ValueError):
            read_image_header(data[:length])


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        read_image_header(b"GIF89a")
