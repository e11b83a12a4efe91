"""What a LeRobot v3.0 dataset says about itself, read from `meta/`, checked."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...datasets.errors import DamagedDatasetError, DatasetNotFoundError, SchemaError
from . import layout
from .parquet import read_rows

_LARGEST_SIDE = 2**20
_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")


@dataclasses.dataclass(frozen=True)
class LeRobotInfo:
    """`meta/info.json` and the instructions.

    Attributes:
      root: directory of the dataset.
      fps: frames per second.
      robot_type: name of the robot; empty where it is not said.
      features: feature by name.
      data_path, video_path: templates of file names below `root`.
      num_episodes, num_frames: how many there are.
      splits: name and first and last index, `first:end`.
      tasks: instruction by `task_index`.
    """

    root: Path
    fps: float
    robot_type: str
    features: dict[str, dict[str, Any]]
    data_path: str
    video_path: str
    num_episodes: int
    num_frames: int
    splits: dict[str, str]
    tasks: tuple[str, ...]

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the features that are videos."""
        return tuple(key for key, one in self.features.items() if one["dtype"] == "video")

    def data_file(self, row: dict[str, Any]) -> Path:
        """The parquet file with the frames of an episode."""
        return self._file(self.data_path, row, "data")

    def video_file(self, row: dict[str, Any], key: str) -> Path:
        """The mp4 file with the frames of an episode."""
        return self._file(self.video_path, row, f"videos/{key}", video_key=key)

    def _file(self, template: str, row: dict[str, Any], prefix: str, **values: str) -> Path:
        place = {name: int(row[f"{prefix}/{name}"]) for name in ("chunk_index", "file_index")}
        path = (self.root / template.format(**place, **values)).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise DamagedDatasetError(f"{self.root}: info.json names a file outside of it: {path}")
        return path


def read_info(root: Path) -> LeRobotInfo:
    """Reads `meta/info.json` and `meta/tasks.parquet`.

    Raises:
      DatasetNotFoundError: there is no LeRobot dataset in `root`.
      SchemaError: it is of another version of the format.
      DamagedDatasetError: a file is missing, torn, or lacks what it must say.
    """
    path = root / layout.INFO_FILE
    if not path.is_file():
        raise DatasetNotFoundError(
            f"no LeRobot dataset in {root}: there is no {layout.INFO_FILE}; give the directory "
            f"that holds data/, meta/ and videos/"
        )
    try:
        info = json.loads(path.read_bytes())
        version = str(info["codebase_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDatasetError(f"{path}: not a readable info file: {error}") from error
    if not version.startswith("v3."):
        raise SchemaError(
            f"{path}: the dataset is of LeRobot's format {version}; serlds reads v3.0. Bring it "
            f"there with LeRobot's own converter, `python -m lerobot.scripts."
            f"convert_dataset_v21_to_v30`, first"
        )
    try:
        return LeRobotInfo(
            root=root,
            fps=_positive(info["fps"]),
            robot_type=str(info.get("robot_type") or ""),
            features=_features(info["features"]),
            data_path=str(info.get("data_path") or layout.DATA_PATH),
            video_path=str(info.get("video_path") or layout.VIDEO_PATH),
            num_episodes=int(info["total_episodes"]),
            num_frames=int(info["total_frames"]),
            splits=dict(info.get("splits") or {}),
            tasks=_read_tasks(root / layout.TASKS_FILE),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise DamagedDatasetError(f"{path}: a value is missing or wrong: {detail}") from error


def episode_rows(info: LeRobotInfo) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """All episodes: the file of `meta/episodes`, the row in it, what it says but for statistics.

    Raises:
      DamagedDatasetError: a file is missing, torn or lacks a column, the numbers of the episodes
        are not 0, 1, 2, ..., or the counts differ from those of `info.json`.
    """
    files = sorted((info.root / "meta" / "episodes").glob("*/*.parquet"))
    episodes = frames = 0
    for path in files:
        for number, row in enumerate(read_episode_file(path)):
            if row["episode_index"] != episodes:
                raise DamagedDatasetError(
                    f"{path}: row {number}: expected episode_index {episodes}, found "
                    f"{row['episode_index']}"
                )
            yield path, number, row
            episodes += 1
            frames += row["length"]
    for what, said, found in (
        ("episodes", info.num_episodes, episodes),
        ("frames", info.num_frames, frames),
    ):
        if said != found:
            raise DamagedDatasetError(
                f"{info.root}: info.json says {said} {what}, meta/episodes lists {found}; copy "
                f"the dataset again from where it came from"
            )


@functools.lru_cache(maxsize=2)
def read_episode_file(path: Path) -> tuple[dict[str, Any], ...]:
    """The rows of a file of `meta/episodes`, without statistics.

    Raises:
      DamagedDatasetError: it is missing, torn or lacks a column.
    """
    rows = read_rows(path, leave_out="stats/")
    missing = [name for name in _NEEDED if rows and name not in rows[0]]
    if missing:
        raise DamagedDatasetError(f"{path}: there is no column {', '.join(missing)}")
    for number, row in enumerate(rows):
        if any(not isinstance(row[name], int) for name in _NEEDED) or row["length"] < 1:
            raise DamagedDatasetError(f"{path}: row {number}: not whole numbers: {row}")
    return tuple(rows)


def _read_tasks(path: Path) -> tuple[str, ...]:
    """Instructions by index; pandas names the column of an unnamed index `__index_level_0__`."""
    rows = read_rows(path)
    columns = rows[0] if rows else {layout.TASK_INDEX: 0, "": ""}
    text = next((name for name, value in columns.items() if isinstance(value, str)), None)
    if text is None or layout.TASK_INDEX not in columns:
        raise DamagedDatasetError(
            f"{path}: expected a column of texts and `task_index`, found {list(columns)}"
        )
    by_index = {row[layout.TASK_INDEX]: row[text] for row in rows}
    if any(index not in by_index for index in range(len(rows))):
        raise DamagedDatasetError(f"{path}: task_index is not 0, 1, 2, ...")
    return tuple(str(by_index[index] or "") for index in range(len(rows)))


def _features(features: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The features, checked as far as serlds uses them; raises ValueError naming the wrong one."""
    for name, one in features.items():
        known = (
            isinstance(one["dtype"], str)
            and _is_shape(one["shape"])
            and isinstance(one.get("names"), list | dict | None)
            and isinstance(one.get("doc", ""), str)
            and isinstance(one.get("fields", {}), dict)
            and all(_is_shape(shape) for shape in one.get("fields", {}).values())
        )
        if not known:
            raise ValueError(f"feature {name}: {one}")
    return features


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(
        type(side) is int and 0 < side <= _LARGEST_SIDE for side in shape
    )


def _positive(value: Any) -> float:
    if not 0 < float(value) < 1e6:
        raise ValueError(f"fps: expected a positive rate, found {value}")
    return float(value)
