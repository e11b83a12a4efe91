"""Where things are in a LeRobot dataset, format v3.0.

Format: https://github.com/huggingface/lerobot, the documentation page "LeRobotDataset v3.0".
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ...datasets import keys
from ...datasets.errors import SchemaError, UsageError
from ...datasets.schema import Field, Schema

CODEBASE_VERSION = "v3.0"
INFO_FILE = "meta/info.json"
STATS_FILE = "meta/stats.json"
TASKS_FILE = "meta/tasks.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000

STATE = "observation.state"
IMAGE_PREFIX = "observation.images."
ACTION = "action"
REWARD = "next.reward"
DONE = "next.done"
TRUNCATED = "next.truncated"
SUCCESS = "next.success"
TIMESTAMP = "timestamp"
FRAME_INDEX = "frame_index"
EPISODE_INDEX = "episode_index"
INDEX = "index"
TASK_INDEX = "task_index"

# Every LeRobot dataset has these columns.
BOOKKEEPING = {
    TIMESTAMP: "float32",
    FRAME_INDEX: "int64",
    EPISODE_INDEX: "int64",
    INDEX: "int64",
    TASK_INDEX: "int64",
}


def file_place(number: int) -> dict[str, int]:
    """The chunk and the file within it of the `number`-th file of a kind."""
    return {
        "chunk_index": number // FILES_PER_CHUNK,
        "file_index": number % FILES_PER_CHUNK,
    }


@dataclasses.dataclass(frozen=True)
class ExportLayout:
    """How the fields of a dataset become LeRobot features.

    Attributes:
      cameras: feature of the video by path of the image field.
      states: paths of the state fields, in the order of `observation.state`.
      features: feature by name, as `info.json` lists them.
    """

    cameras: dict[str, str]
    states: tuple[str, ...]
    features: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, source: Schema, state: tuple[str, ...], fps: int) -> ExportLayout:
        """Maps a schema.

        Args:
          source: of the episodes to export; `observation/state/<name>` fields are joined,
            `observation/image/<camera>` become videos.
          state: names of the state fields to take; none: all.
          fps: frames per second.

        Raises:
          SchemaError: there is no flat action, or an image that a video cannot hold.
          UsageError: `state` names a field that is not there.
        """
        cameras = {field.path: _video_key(field) for field in source.image_fields}
        states = _state_fields(source, state)
        features: dict[str, dict[str, Any]] = {}
        if states:
            features[STATE] = _vector(states)
            # What `serlds import lerobot` cuts the vector into again.
            features[STATE]["fields"] = {_short(field): list(field.shape) for field in states}
        features[ACTION] = _vector([_flat_action(source)])
        for field in source.image_fields:
            features[cameras[field.path]] = _video(field, fps)
        if keys.REWARD in source:
            features[REWARD] = _scalar("float32")
        for name in (DONE, TRUNCATED, SUCCESS):
            features[name] = _scalar("bool")
        features |= {name: _scalar(dtype) for name, dtype in BOOKKEEPING.items()}
        return cls(cameras, tuple(field.path for field in states), features)


def _state_fields(source: Schema, asked: tuple[str, ...]) -> list[Field]:
    fields = source.state_fields
    if not fields and (whole := f"{keys.OBSERVATION}/{keys.STATE}") in source:
        fields = (source[whole],)
    have = {_short(field): field for field in fields if field.dtype != "string"}
    if unknown := [name for name in asked if name not in have]:
        raise UsageError(
            f"state: there is no field {', '.join(unknown)}; the state fields are {', '.join(have)}"
        )
    return [have[name] for name in asked or have]


def _flat_action(source: Schema) -> Field:
    field = source.action
    if len(field.shape) != 1 or not field.dtype.startswith("float"):
        raise SchemaError(
            f"field {field.path}: LeRobot needs a vector of floats, found {field.describe()}"
        )
    return field


def _video_key(field: Field) -> str:
    height, width, channels = field.shape
    name = field.path.removeprefix(keys.IMAGE_PREFIX).removeprefix(f"{keys.OBSERVATION}/")
    if channels != 3:
        raise SchemaError(
            f"field {field.path}: a video holds 3 channels, found {channels}; leave it out with "
            f"`serlds convert --apply drop_field:path={field.path}`"
        )
    if height % 2 or width % 2:
        raise SchemaError(
            f"field {field.path}: a video needs an even height and width, found {height}x{width}; "
            f"change it with `serlds convert --apply resize_images:height={height + height % 2},"
            f"width={width + width % 2},field={field.path}`"
        )
    return IMAGE_PREFIX + name.replace("/", "_")


def _short(field: Field) -> str:
    return field.path.removeprefix(keys.STATE_PREFIX).removeprefix(f"{keys.OBSERVATION}/")


def _vector(fields: list[Field]) -> dict[str, Any]:
    names, docs = [], []
    for field in fields:
        name = _short(field)
        names += [f"{name}.{index}" for index in range(field.size)] if field.size > 1 else [name]
        docs.append(f"{name}: {text}" if (text := field.about.to_text()) else "")
    vector = {"dtype": "float32", "shape": [len(names)], "names": names}
    return vector | {"doc": "; ".join(filter(None, docs))}


def _video(field: Field, fps: int) -> dict[str, Any]:
    height, width, channels = field.shape
    return {
        "dtype": "video",
        "shape": [height, width, channels],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.channels": channels,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.fps": fps,
            "video.is_depth_map": False,
            "has_audio": False,
        },
    }


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}
