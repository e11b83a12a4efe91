"""`serlds export lerobot`: a dataset in the LeRobot v3.0 format (parquet and mp4)."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ...datasets import keys
from ...datasets.durable_files import write_durably
from ...datasets.errors import SerldsError
from ...datasets.provenance import write_provenance
from ...datasets.reading import Dataset, open_dataset
from ..cards import export_card
from ..checks.dataset_checks import check_records
from ..derive import DEAD_LETTER_FILE, DeriveReport, derived_from
from ..engine.loading import DatasetSource, load_episode
from ..engine.output import appearing_directory, check_absent
from ..engine.parts import Part, RecordRef, locate_records, plan_parts
from ..engine.results import read_results
from ..engine.runner import Progress, RunnerOptions, run_parts
from ..findings import Finding
from ..statistics.fields import Statistics
from ..statistics.moments import ColumnStatistics
from . import layout
from .figures import image_figures, number_figures
from .files import episode_row, readme, write_episodes, write_info, write_json, write_tasks
from .frames import TASK, numbered
from .layout import ExportLayout
from .options import LeRobotOptions
from .writing import LeRobotJob

_ROWS_PER_GROUP = 1024


def export_lerobot(
    source: str | Path,
    destination: str | Path,
    options: LeRobotOptions | None = None,
    *,
    shard_bytes: int | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeriveReport:
    """Exports a dataset; the result appears complete or not at all.

    An episode of N actions has N frames: the observation after the last action is dropped. Actions
    and states are as recorded. Each part of the source becomes one parquet file and one video per
    camera, so workers share the encoding.

    Args:
      source: the dataset to read, `<data_dir>/<name>[/<version>]`.
      destination: directory to write; it must not exist.
      options: what can be chosen; None: the defaults.
      shard_bytes: bytes of source records per file; None: see `plan_parts`.
      workers: local worker processes; None: as many as pay.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: a wrong option, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the source cannot be opened, or has
        what LeRobot cannot hold.
      SerldsError: the rate of the episodes is not whole or not the same, the pipeline failed, or no
        episode is left; nothing was written.
    """
    options = options or LeRobotOptions()
    running = RunnerOptions(workers, tuple(beam_args))
    target = Path(destination)
    check_absent(target)
    dataset = open_dataset(source)
    by_split, unreadable = locate_records(dataset)
    fps, robot = _first_metadata(dataset, by_split, options)
    to = ExportLayout.of(dataset.schema, options.state, fps)
    job = LeRobotJob(
        DatasetSource(dataset.schema),
        to,
        fps,
        options.fps is not None,
        options.crf,
        options.instruction,
    )
    parts = plan_parts(by_split, shard_bytes)
    card = export_card(dataset.files.card, options, target.name, target.name)
    with appearing_directory(target) as directory:
        work = directory / "work"
        work.mkdir()
        run_parts(job, parts, work, running, progress)
        joined = _Joined(to, fps, directory)
        for part, result in zip(parts, read_results(work, parts), strict=True):
            joined.add(part, result, work)
        report = joined.report(target, list(check_records(unreadable)))
        if not report.num_episodes:
            first = f": {report.findings[0]}" if report.findings else ""
            raise SerldsError(f"{dataset.directory}: no episode is left{first}")
        joined.write_meta(options.robot_type or robot)
        shutil.rmtree(work)
        _write_beside(directory, report, readme(target.name, card, to, fps))
        values = {"verb": "export lerobot", **dataclasses.asdict(options)}
        write_provenance(directory, derived_from([dataset], values))
    return report


class _Joined:
    """Lays the files of the parts side by side and counts what is in them."""

    def __init__(self, to: ExportLayout, fps: int, directory: Path):
        self._to, self._fps, self._directory = to, fps, directory
        self._files = self._episodes = self._frames = self._bad = 0
        self._tasks: dict[str, int] = {}
        self._splits: dict[str, int] = {}
        self._columns: dict[str, ColumnStatistics] = {}
        self._images: dict[str, tuple[np.ndarray, int]] = {}
        self._findings: list[Finding] = []

    def add(self, part: Part, result: dict[str, Any], work: Path) -> None:
        """Takes over the files of the next part."""
        self._bad += result["bad"]
        self._findings += [Finding.from_json(values) for values in result["findings"]]
        episodes = result["episodes"]
        if not episodes:
            return
        self._place_data(work / result["data"], [one["length"] for one in episodes])
        for key, name in result["videos"].items():
            (work / name).rename(self._path(layout.VIDEO_PATH, video_key=key))
        rows, in_file = [], 0
        for number, one in enumerate(episodes):
            places = (self._frames + in_file, in_file)
            index = self._episodes + number
            rows.append(episode_row(one, self._to, self._fps, index, self._files, places))
            in_file += one["length"]
        write_episodes(self._directory, self._files, rows)
        self._merge(result)
        self._splits[part.split] = self._splits.get(part.split, 0) + len(episodes)
        self._episodes += len(episodes)
        self._frames += in_file
        self._files += 1

    def report(self, target: Path, findings: list[Finding]) -> DeriveReport:
        """What came of it; `findings` are about records that no part could reach."""
        return DeriveReport(
            dataset=target,
            splits=self._splits,
            num_steps=self._frames,
            left_out={},
            num_bad=self._bad + len(findings),
            findings=(*findings, *self._findings),
            statistics=Statistics(self._episodes, self._frames, self._columns),
        )

    def write_meta(self, robot_type: str) -> None:
        """Writes what describes the whole."""
        stats = {name: number_figures(column) for name, column in self._columns.items()}
        stats |= {key: image_figures(*sample) for key, sample in self._images.items()}
        write_json(self._directory / layout.STATS_FILE, stats)
        write_tasks(self._directory, list(self._tasks))
        totals = {
            "total_episodes": self._episodes,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
        }
        splits, first = {}, 0
        for name, count in self._splits.items():
            splits[name] = f"{first}:{first + count}"
            first += count
        write_info(self._directory, self._to, self._fps, robot_type, totals, splits)

    def _place_data(self, path: Path, lengths: list[int]) -> None:
        table = pq.read_table(path)
        tasks = [self._tasks.setdefault(text, len(self._tasks)) for text in table[TASK].to_pylist()]
        full = numbered(table, self._to, lengths, self._episodes, self._frames, tasks)
        # Small row groups: readers of one episode read little more than it.
        pq.write_table(full, self._path(layout.DATA_PATH), row_group_size=_ROWS_PER_GROUP)
        path.unlink()

    def _path(self, template: str, **values: str) -> Path:
        place = template.format(**layout.file_place(self._files), **values)
        path = self._directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _merge(self, result: dict[str, Any]) -> None:
        for name, values in result["columns"].items():
            column = ColumnStatistics.from_json(values)
            known = self._columns.get(name)
            self._columns[name] = known.merge(column) if known else column
        for key, (counts, frames) in result["images"].items():
            before, seen = self._images.get(key, (np.zeros((3, 256), np.int64), 0))
            self._images[key] = (before + np.array(counts), seen + frames)


def _first_metadata(
    dataset: Dataset, by_split: dict[str, list[RecordRef]], options: LeRobotOptions
) -> tuple[int, str]:
    """Frames per second and robot, from the options or the first episode that can be read."""
    refs = (ref for refs in by_split.values() for ref in refs)
    episodes = (load_episode(ref, dataset.schema) for ref in refs)
    first = next((one for one in episodes if not isinstance(one, Finding)), None)
    if first is None:
        raise SerldsError(f"{dataset.directory}: there is no episode that can be read")
    robot = str(first.metadata.get(keys.ROBOT, ""))
    if options.fps:
        return options.fps, robot
    rate = float(first.metadata.get(keys.CONTROL_HZ, 0))
    fps = round(rate)
    if not fps or abs(rate - fps) > 1e-3 * fps:
        raise SerldsError(
            f"{dataset.directory}: episode {first.episode_id}: control_hz is {rate:g}, but LeRobot "
            f"needs whole frames per second; state them with --fps"
        )
    return fps, robot


def _write_beside(directory: Path, report: DeriveReport, page: bytes) -> None:
    write_durably(directory / "README.md", page)
    if report.findings:
        lines = (json.dumps(finding.to_json()) + "\n" for finding in report.findings)
        write_durably(directory / DEAD_LETTER_FILE, "".join(lines).encode())
