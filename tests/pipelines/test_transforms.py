import dataclasses

import numpy as np
import pytest

from serlds.datasets.episode import Episode, decode_image
from serlds.datasets.errors import SchemaError, UsageError
from serlds.datasets.records import check_episode
from serlds.pipelines.checks import check_one
from serlds.pipelines.noops import DropNoops
from serlds.pipelines.resizing import FITS, ResizeImages, fit_image
from serlds.pipelines.transform_text import (
    describe_transforms,
    parse_transform,
    parse_transforms,
    transform_to_text,
)
from serlds.pipelines.transforms import TRANSFORMS, DropField, OnlySuccessful, RenameField

FRONT = "observation/image/front"


def with_still_steps(episode, still):
    """The episode with no-op actions, gripper as before, at the given steps."""
    action = np.array(episode["action"])
    for step in still:
        action[step, :6] = 0
        action[step, 6] = action[step - 1, 6] if step else 1
    return Episode({**episode.columns, "action": action}, episode.metadata)


def test_drop_noops_drops_still_steps_only(world):
    episode = with_still_steps(world.episode(0), [0, 1, 4, 8])
    result = DropNoops()(episode, world.schema)
    kept = [2, 3, 5, 6, 7, 9, 10, 11]
    np.testing.assert_array_equal(result["action"][:-1], episode["action"][kept])
    assert result[FRONT] == [episode[FRONT][step] for step in (*kept, 12)]
    np.testing.assert_array_equal(result["timestamp_s"], episode["timestamp_s"][[*kept, 12]])
    assert check_one(result, world.schema) == []


def test_drop_noops_keeps_a_still_step_that_changes_the_gripper(world):
    episode = with_still_steps(world.episode(0), [4])
    episode["action"][4, 6] = -1  # the steps before it command +1
    result = DropNoops()(episode, world.schema)
    assert len(result) == len(episode)


@pytest.mark.parametrize(
    "still, last_step",
    [([11], 9), ([9, 10, 11], 8), ([0, 1, 2], 8)],
    ids=["last", "several last", "first"],
)
def test_drop_noops_loses_no_reward_and_no_termination(world, still, last_step):
    episode = world.episode(0)
    episode["reward"][:-1] = np.arange(12)
    episode = with_still_steps(episode, still)
    result = DropNoops()(episode, world.schema)
    assert result.episode_return() == episode.episode_return()
    assert result.num_transitions == 12 - len(still)
    assert result["discount"][-2] == 0 and result["is_terminal"][-1] and result["is_first"][0]
    assert not np.any(result["discount"][:-2] == 0)
    assert result["reward"][-1] == 0 and not result["action"][-1].any()


def test_drop_noops_keeps_truncation(world):
    episode = with_still_steps(world.episode(0, success=False), [11])
    result = DropNoops()(episode, world.schema)
    assert result["discount"][-2] == 1 and not result["is_terminal"].any() and result["is_last"][-1]


def test_drop_noops_leaves_out_an_episode_that_never_moves(world):
    episode = with_still_steps(world.episode(0), range(12))
    episode["action"][:-1, 6] = 1
    assert DropNoops()(episode, world.schema) is None


@pytest.mark.parametrize("threshold, dropped", [(1e-4, 0), (1e-2, 1)])
def test_drop_noops_threshold(world, threshold, dropped):
    episode = with_still_steps(world.episode(0), [4])
    episode["action"][4, 0] = 1e-3
    result = DropNoops(threshold)(episode, world.schema)
    assert len(episode) - len(result) == dropped


def test_only_successful(world):
    keep = OnlySuccessful()
    assert keep(world.episode(0), world.schema) is not None
    assert keep(world.episode(0, success=False), world.schema) is None


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_resize_images(world, encoding):
    world = dataclasses.replace(world, encoding=encoding, cameras=("front", "wrist"))
    resize = ResizeImages(height=16, width=24, field=FRONT)
    schema = resize.map_schema(world.schema)
    result = resize(world.episode(0), world.schema)
    assert schema[FRONT].shape == (16, 24, 3)
    assert decode_image(result[FRONT][3]).shape == (16, 24, 3)
    assert result["observation/image/wrist"] == world.episode(0)["observation/image/wrist"]
    assert check_one(result, schema) == []


def test_fits_keep_what_they_promise():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200  # a square in the middle
    images = {fit: fit_image(pixels, (20, 20), fit) for fit in FITS}
    assert all(image.shape == (20, 20, 3) for image in images.values())
    assert images["crop"].min() == 200
    assert images["stretch"][10, 10, 0] == 200 and images["stretch"][10, 0, 0] == 0
    assert not images["pad"][:4].any() and images["pad"][10, 10, 0] == 200


def test_rename_and_drop_map_episode_and_schema_alike(world):
    rename = RenameField(old=FRONT, new="observation/image/main")
    drop = DropField(path="intervened")
    schema = drop.map_schema(rename.map_schema(world.schema))
    episode = drop(rename(world.episode(0), world.schema), schema)
    check_episode(episode, schema)
    assert episode["observation/image/main"] == world.episode(0)[FRONT]
    assert "intervened" not in schema and FRONT not in schema


@pytest.mark.parametrize(
    "transform",
    [
        RenameField(old="no/such", new="x"),
        RenameField(old=FRONT, new="action"),
        RenameField(old=FRONT, new="action/x"),
        RenameField(old=FRONT, new="observation"),
        RenameField(old="is_last", new="x"),
        DropField(path="is_first"),
        DropField(path="no_such"),
        ResizeImages(height=8, width=8, field="observation/image/no_such"),
    ],
)
def test_transform_that_cannot_be_applied(world, transform):
    with pytest.raises(SchemaError):
        transform.map_schema(world.schema)


@pytest.mark.parametrize(
    "text",
    [
        "only_successful",
        "drop_noops:threshold=0.001",
        "resize_images:height=64,width=48,fit=crop,field=observation/image/front",
        "rename_field:old=a/b,new=c",
        "drop_field:path=intervened",
    ],
)
def test_text_reads_back(text):
    transform = parse_transform(text)
    assert transform_to_text(transform) == text
    assert parse_transform(transform_to_text(transform)) == transform


def test_defaults_are_written_out():
    assert transform_to_text(parse_transform("drop_noops")) == "drop_noops:threshold=0.0001"


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("mirror", "there is no transform 'mirror'; known are"),
        ("drop_noops:treshold=1", "threshold=0.0001"),
        ("drop_noops:threshold", "expected parameter=value"),
        ("drop_noops:threshold=1,threshold=2", "each once"),
        ("drop_noops:threshold=low", "expected float, found 'low'"),
        ("drop_noops:threshold=0", "expected above 0"),
        ("resize_images:height=64", "missing: width"),
        ("resize_images:height=64,width=0", "at least 1 pixel"),
        ("resize_images:height=64,width=64,fit=squeeze", "stretch, crop, pad"),
        ("rename_field:old=a,new=b//c", "expected a path"),
    ],
)
def test_wrong_text_is_refused_with_help(text, complaint):
    with pytest.raises(UsageError) as error:
        parse_transforms([text])
    assert complaint in str(error.value)


def test_every_transform_is_described():
    assert all(name in describe_transforms() for name in TRANSFORMS)
