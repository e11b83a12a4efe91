"""The files of `meta/` and the page for people of a LeRobot dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets.dataset_files import DatasetCard
from ...datasets.durable_files import write_durably
from . import layout
from .layout import ExportLayout


def write_info(
    directory: Path,
    to: ExportLayout,
    fps: int,
    robot_type: str,
    totals: dict[str, int],
    splits: dict[str, str],
) -> None:
    """Writes `meta/info.json`; `totals` are `total_episodes`, `total_frames`, `total_tasks`."""
    info = {
        "codebase_version": layout.CODEBASE_VERSION,
        "robot_type": robot_type or None,
        **totals,
        "chunks_size": layout.FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": splits,
        "data_path": layout.DATA_PATH,
        "video_path": layout.VIDEO_PATH if to.cameras else None,
        "features": to.features,
    }
    write_json(directory / layout.INFO_FILE, info)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes JSON as a person can read it, and the directory it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, (json.dumps(values, indent=4) + "\n").encode())


def write_tasks(directory: Path, tasks: Sequence[str]) -> None:
    """Writes `meta/tasks.parquet`: `task_index` by text, as pandas writes a frame with an index.

    The readers look texts up in that index; without its metadata they see numbers and no error.
    """
    column = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [
            {"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}}
        ],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **column},
            {"name": "task", "field_name": "task", **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    table = pa.table(
        {
            "task_index": pa.array(range(len(tasks)), pa.int64()),
            "task": pa.array(tasks, pa.string()),
        }
    )
    path = directory / layout.TASKS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def write_episodes(directory: Path, number: int, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the `number`-th file of `meta/episodes`."""
    path = directory / layout.EPISODES_PATH.format(**layout.file_place(number))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def episode_row(
    described: dict[str, Any], to: ExportLayout, fps: int, index: int, number: int, places: tuple
) -> dict[str, Any]:
    """What `meta/episodes` says about an episode.

    Args:
      described: what `LeRobotJob` says about it.
      to: the layout.
      fps: frames per second.
      index: of the episode.
      number: of the data, video and episode files it is in.
      places: its first frame in the dataset, and in the files.
    """
    first, first_in_file = places
    length, place = described["length"], layout.file_place(number)
    row = {
        "episode_index": index,
        "tasks": described["tasks"],
        "length": length,
        "dataset_from_index": first,
        "dataset_to_index": first + length,
        "episode_id": described["id"],
    }
    for key in to.cameras.values():
        row |= {f"videos/{key}/{name}": value for name, value in place.items()}
        row[f"videos/{key}/from_timestamp"] = first_in_file / fps
        row[f"videos/{key}/to_timestamp"] = (first_in_file + length) / fps
    for kind in ("data", "meta/episodes"):
        row |= {f"{kind}/{name}": value for name, value in place.items()}
    for feature, figures in described["stats"].items():
        row |= {f"stats/{feature}/{name}": value for name, value in figures.items()}
    return row


def readme(name: str, card: DatasetCard, to: ExportLayout, fps: int) -> bytes:
    """The card: a page whose head tells hubs the licence and the format."""
    spdx = re.sub(r"[^a-z0-9.]+", "-", card.license.lower()).strip("-")
    rows = [
        f"| `{key}` | {one['dtype']} {tuple(one['shape'])} | {_doc(one)} |"
        for key, one in to.features.items()
    ]
    lines = [
        "---",
        f"license: {spdx}",
        "task_categories: [robotics]",
        "tags: [LeRobot]",
        "configs:",
        "- config_name: default",
        "  data_files: data/*/*.parquet",
        "---",
        "",
        f"# {name}",
        "",
        card.description,
        "",
        *([f"Website: {card.homepage}", ""] if card.homepage else []),
        f"Licence: {card.license}",
        "",
        f"LeRobot {layout.CODEBASE_VERSION}, {fps} frames per second. Each frame is an observation "
        "with the action taken from it; the observation after an episode's last action is left "
        "out. `next.reward` follows the action; `next.done` marks the last frame, "
        "`next.truncated` one that a time limit ended, `next.success` the end of a success.",
        "",
        "| feature | type | meaning |",
        "|---|---|---|",
        *rows,
        "",
        "```bibtex",
        card.citation,
        "```",
        "",
    ]
    return "\n".join(lines).encode()


def _doc(feature: dict[str, Any]) -> str:
    return feature.get("doc", "").replace("|", "/")
