import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from serlds.datasets.episode import decode_image, encode_image
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.convert import Chain
from serlds.pipelines.findings import Finding
from serlds.pipelines.transforms.cropping import CropImages
from serlds.pipelines.transforms.image_encoding import EncodeImages
from serlds.pipelines.transforms.resizing import FITS, ResizeImages, fit_image

FRONT, WRIST = "observation/image/front", "observation/image/wrist"


@pytest.fixture
def png(world):
    return dataclasses.replace(world, encoding="png", cameras=("front", "wrist"))


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_resize_images(world, encoding):
    world = dataclasses.replace(world, encoding=encoding, cameras=("front", "wrist"))
    resize = ResizeImages(height=16, width=24, field=FRONT)
    schema = resize.map_schema(world.schema)
    episode = world.episode(0)
    result = resize(episode, world.schema)
    assert schema[FRONT].shape == (16, 24, 3)
    assert decode_image(result[FRONT][3]).shape == (16, 24, 3)
    assert result[WRIST] is episode[WRIST]
    assert check_one(result, schema) == []
    assert resize(result, schema)[FRONT] is result[FRONT]  # it has the size already


def test_fits_keep_what_they_promise():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200  # a square in the middle
    image = Image.fromarray(pixels)
    images = {fit: np.asarray(fit_image(image, (20, 20), fit)) for fit in FITS}
    assert all(image.shape == (20, 20, 3) for image in images.values())
    assert images["crop"].min() == 200
    assert images["stretch"][10, 10, 0] == 200 and images["stretch"][10, 0, 0] == 0
    assert not images["pad"][:4].any() and images["pad"][10, 10, 0] == 200


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ({}, slice(6, 26), slice(9, 39)),
        ({"top": 0, "left": 0}, slice(0, 20), slice(0, 30)),
        ({"top": 12, "left": 18}, slice(12, 32), slice(18, 48)),
    ],
)
def test_crop_images(png, place, rows, columns):
    crop = CropImages(height=20, width=30, **place)
    episode = png.episode(0)
    schema = crop.map_schema(png.schema)
    result = crop(episode, png.schema)
    expected = episode.pixels(FRONT)[:, rows, columns]
    np.testing.assert_array_equal(result.pixels(FRONT), expected)
    assert check_one(result, schema) == []


def test_encode_images(world):
    to_png = EncodeImages(encoding="png")
    episode = world.episode(0)
    schema = to_png.map_schema(world.schema)
    exact = to_png(episode, world.schema)
    np.testing.assert_array_equal(exact.pixels(FRONT), episode.pixels(FRONT))
    assert check_one(exact, schema) == [] and to_png(exact, schema)[FRONT] is exact[FRONT]

    sizes = {}
    for quality in (10, 95):
        to_jpeg = EncodeImages(encoding="jpeg", quality=quality)
        result = to_jpeg(exact, schema)
        sizes[quality] = sum(map(len, result[FRONT]))
        assert check_one(result, to_jpeg.map_schema(schema)) == []
    assert sizes[10] < sizes[95]


def test_a_chain_encodes_once(png):
    """JPEG loses a little each time; in a chain an image is decoded and encoded once."""
    transforms = [
        EncodeImages(encoding="jpeg", quality=5),
        CropImages(height=20, width=30),
        ResizeImages(height=10, width=10, field=FRONT),
        EncodeImages(encoding="png", field=FRONT),
    ]
    episode = png.episode(0)
    chain = Chain.over(transforms, png.schema)
    result = chain(episode, None)
    cropped = episode.pixels(FRONT)[:, 6:26, 9:39]
    expected = [fit_image(Image.fromarray(frame), (10, 10), "stretch") for frame in cropped]
    np.testing.assert_array_equal(result.pixels(FRONT), expected)
    assert check_one(result, chain.schema) == []
    # The other camera is cropped and keeps the quality it was given.
    wrist = episode.pixels(WRIST)[0, 6:26, 9:39]
    assert result[WRIST][0] == encode_image(wrist, "jpeg", 5)


def test_grey_images(world):
    schema = world.schema
    field = dataclasses.replace(schema[FRONT], shape=(32, 48, 1))
    schema = type(schema)(tuple(field if one.path == FRONT else one for one in schema.steps))
    episode = world.episode(0)
    buffer = io.BytesIO()
    Image.new("L", (48, 32), 90).save(buffer, "jpeg")
    episode.columns[FRONT] = [buffer.getvalue()] * len(episode)
    resize = ResizeImages(height=8, width=8, fit="pad")
    result = resize(episode, schema)
    assert result.pixels(FRONT).shape == (13, 8, 8, 1)
    assert check_one(result, resize.map_schema(schema)) == []


@pytest.mark.parametrize("both", [False, True])
def test_image_that_cannot_be_decoded_is_named(world, both):
    transforms = [CropImages(height=20, width=20)]
    transforms += [ResizeImages(height=8, width=8)] if both else []
    episode = world.episode(0)
    episode[FRONT][6] = b"\xff\xd8 nothing"
    found = Chain.over(transforms, world.schema)(episode, None)
    assert isinstance(found, Finding) and (found.step, found.field) == (6, FRONT)
    name = "transform:crop_images+resize_images" if both else "transform:crop_images"
    assert found.check == name
