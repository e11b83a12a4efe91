"""Schemas and episodes that the tests of the datasets folder share."""

import gymnasium as gym
import numpy as np
import pytest

from serlds.datasets import keys
from serlds.datasets.episode import Episode, encode_image
from serlds.datasets.schema import STRING, FieldDoc, Schema


def build_schema(cameras=(), image_size=16, encoding="jpeg", action_scale=(0.05,) * 7):
    box, group = gym.spaces.Box, gym.spaces.Dict
    spaces = {
        "state": group(tcp_pos=box(-1, 1, (3,), np.float32), gripper=box(0, 1, (1,), np.float32))
    }
    if cameras:
        frame = box(0, 255, (image_size, image_size, 3), np.uint8)
        spaces["image"] = group({camera: frame for camera in cameras})
    docs = {
        "observation/state/tcp_pos": FieldDoc("Tool position.", "m", "robot base"),
        "action": FieldDoc("Tool delta.", "m, m, m, rad, rad, rad, 1", "robot base", action_scale),
    }
    return Schema.from_spaces(group(spaces), box(-1, 1, (7,), np.float32), docs, encoding)


def build_episode(schema, index, actions=4):
    """An episode whose content follows from `index`."""
    rng, steps = np.random.default_rng(index), actions + 1
    columns = {}
    for field in schema.steps:
        if field.is_image:
            frames = rng.integers(0, 255, (steps, *field.shape), np.uint8)
            columns[field.path] = [encode_image(frame, field.encoding) for frame in frames]
        elif field.dtype == STRING:
            columns[field.path] = [f"pick the cube ä{step}" for step in range(steps)]
        else:
            values = rng.normal(size=(steps, *field.shape))
            columns[field.path] = (values > 0 if field.dtype == "bool" else values).astype(
                field.dtype
            )
    columns[keys.IS_FIRST] = np.arange(steps) == 0
    columns[keys.IS_LAST] = np.arange(steps) == actions
    columns[keys.IS_TERMINAL] = columns[keys.IS_LAST].copy()
    columns[keys.REWARD] = (np.arange(steps) == actions - 1).astype(np.float32)
    columns[keys.DISCOUNT] = 1.0 - columns[keys.REWARD]
    metadata = {
        keys.EPISODE_ID: f"episode-{index:05d}",
        keys.TASK: "pick_cube",
        keys.ENV_ID: "serlds/Test-v0",
        keys.ROBOT: "widowx",
        keys.COLLECTOR: "scripted" if index % 2 == 0 else "policy",
        keys.POLICY_CHECKPOINT: "",
        keys.SUCCESS: index % 3 != 0,
        keys.SEED: 2**40 + index,
        keys.CONTROL_HZ: 10.0,
        keys.CREATED_UTC: f"2026-01-01T00:00:{index:02d}.000000+00:00",
        keys.SERLDS_VERSION: "0.1.0",
    }
    return Episode(columns, metadata)


def _assert_same_episode(found, expected):
    assert found.metadata == expected.metadata
    assert found.columns.keys() == expected.columns.keys()
    for path, column in expected.columns.items():
        np.testing.assert_array_equal(found.columns[path], column, err_msg=path)
        if isinstance(column, np.ndarray):
            assert found.columns[path].dtype == column.dtype, path


@pytest.fixture
def make_schema():
    return build_schema


@pytest.fixture
def make_episode():
    return build_episode


@pytest.fixture
def assert_same_episode():
    return _assert_same_episode


@pytest.fixture
def schema():
    """State only."""
    return build_schema()
