"""Made-up datasets for the pipeline benchmarks, and how these measure.

A dataset is made once into a directory (by default below the system's directory for temporary
files) and used again by the next benchmark that asks for the same size.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serlds.datasets.dataset_files import (
    COUNTED_TEMPLATE,
    DatasetFiles,
    SplitFiles,
    shard_name,
    write_metadata,
)
from serlds.datasets.episode import Episode, encode_image
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.schema import STEP_FIELDS, Field, FieldDoc, Schema

NAME, VERSION = "made_up", "1.0.0"
EPISODES_PER_SHARD = 25
_DISTINCT_IMAGES = 64


class Size(NamedTuple):
    """How much to make; `steps` counts actions, so an episode has one row more."""

    episodes: int = 200
    steps: int = 100
    cameras: int = 2
    pixels: int = 128


class Cost(NamedTuple):
    """What a run took, worker processes included."""

    wall_s: float
    cpu_s: float


def arguments(description: str, **sizes: int) -> argparse.ArgumentParser:
    """A parser with the size of the dataset and where it is kept."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in (Size()._asdict() | sizes).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    scratch = Path(tempfile.gettempdir()) / "serlds-benchmarks"
    parser.add_argument("--scratch", type=Path, default=scratch, help="where data is made")
    parser.add_argument("--repeats", type=int, default=5)
    return parser


def size_of(options: argparse.Namespace) -> Size:
    """The size that the command line asks for."""
    return Size(options.episodes, options.steps, options.cameras, options.pixels)


def schema(size: Size) -> Schema:
    """A 7-d action, 14 numbers of state, the cameras as JPEG, and what every recording has."""
    action = FieldDoc(
        "Change of the commanded tool pose; last the gripper, +1 open, -1 closed.",
        "m, m, m, rad, rad, rad, fraction of opening",
        "robot base",
        (0.02,) * 3 + (0.1,) * 3 + (1.0,),
    )
    fields = (
        Field("action", "float32", (7,), None, action),
        *(
            Field(
                f"observation/image/camera_{index}", "uint8", (size.pixels, size.pixels, 3), "jpeg"
            )
            for index in range(size.cameras)
        ),
        Field("observation/state/joint_pos", "float32", (7,), None, FieldDoc(unit="rad")),
        Field("observation/state/tcp_pos", "float32", (7,), None, FieldDoc(unit="m")),
        *STEP_FIELDS,
    )
    return Schema(tuple(sorted(fields, key=lambda field: field.path)))


def dataset(scratch: Path, size: Size) -> Path:
    """A dataset of this size; made if it is not there yet."""
    directory = scratch / "-".join(map(str, size)) / NAME / VERSION
    if directory.is_dir():
        return directory
    temporary = directory.with_name(f"{VERSION}-{os.getpid()}")
    temporary.mkdir(parents=True)
    described = schema(size)
    images = _images(size.pixels) if size.cameras else []
    records = (
        frame_record(encode_episode(_episode(index, size, images), described))
        for index in range(size.episodes)
    )
    lengths = [
        min(EPISODES_PER_SHARD, size.episodes - first)
        for first in range(0, size.episodes, EPISODES_PER_SHARD)
    ]
    split = SplitFiles("train", tuple(lengths), 0, COUNTED_TEMPLATE)
    for shard, length in enumerate(lengths):
        with (temporary / shard_name(NAME, split, shard)).open("wb") as file:
            for _ in range(length):
                file.write(next(records))
    total = sum(path.stat().st_size for path in temporary.iterdir())
    split = SplitFiles("train", tuple(lengths), total, COUNTED_TEMPLATE)
    write_metadata(temporary, DatasetFiles(NAME, VERSION, (split,)), described)
    temporary.rename(directory)
    return directory


def size_mb(directory: Path) -> float:
    """Megabytes of the records of a dataset."""
    return sum(path.stat().st_size for path in directory.glob("*tfrecord*")) / 1e6


def measure(run: Callable[[], object]) -> Cost:
    """Wall and CPU seconds of a call, and of the processes it started and waited for."""
    cpu, wall = _cpu_s(), time.perf_counter()
    run()
    return Cost(time.perf_counter() - wall, _cpu_s() - cpu)


def measure_in_turns(
    runs: dict[str, Callable[[], object]], repeats: int, outputs: Sequence[Path] = ()
) -> dict[str, Cost]:
    """Medians over `repeats` rounds, in each of which every run has its turn.

    So a busy machine slows all of them alike. One round before is not counted: it pays for imports
    and fills the page cache. Whatever stands at `outputs` is removed before each run, unmeasured.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for round_number in range(repeats + 1):
        for name, run in runs.items():
            for output in outputs:
                remove(output)
            cost = measure(run)
            if round_number:
                costs[name].append(cost)
    return {
        name: Cost(*(statistics.median(values) for values in zip(*several, strict=True)))
        for name, several in costs.items()
    }


def remove(directory: Path) -> None:
    """Removes an output, if it is there."""
    shutil.rmtree(directory, ignore_errors=True)


def report(name: str, cost: Cost, steps: int) -> None:
    """One line of a table: steps per second."""
    print(
        f"{name:44s} {cost.wall_s:7.2f} s wall {cost.cpu_s:7.2f} s CPU "
        f"{steps / cost.wall_s:9.0f} steps/s {steps / cost.cpu_s:9.0f} steps/CPU s"
    )


def verdict(claim: str, ratio: float, bound: float) -> bool:
    """Prints the ratio beside the bound it must reach."""
    kept = ratio >= bound
    print(f"{claim}: {ratio:.2f} (bound {bound:g}) {'ok' if kept else 'MISSED'}")
    return kept


def ceiling_of_two_processes(work_s: float = 1.0) -> float:
    """How much two independent processes that only compute get done in the time of one."""
    code = (
        "import time; end = time.perf_counter() + " + repr(work_s) + "\n"
        "n = 0\n"
        "while time.perf_counter() < end:\n"
        "    sum(range(1000)); n += 1\n"
        "print(n)"
    )

    def together(count: int) -> int:
        started = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            for _ in range(count)
        ]
        return sum(int(process.communicate()[0]) for process in started)

    pairs = [(together(1), together(2)) for _ in range(3)]
    return statistics.median(two / one for one, two in pairs)


def _cpu_s() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _images(pixels: int) -> list[bytes]:
    """JPEGs of about 6.6 kB at 128 pixels, as a camera gives them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:pixels, :pixels] / pixels
    images = []
    for index in range(_DISTINCT_IMAGES):
        waves = np.stack([np.sin(9 * x + index / 9 + c) * np.cos(7 * y - c) for c in range(3)], -1)
        noisy = 128 + 90 * waves + rng.normal(0, 2.2, waves.shape)
        images.append(encode_image(noisy.clip(0, 255).astype(np.uint8), "jpeg"))
    return images


def _episode(index: int, size: Size, images: list[bytes]) -> Episode:
    rng = np.random.default_rng(index)
    rows = size.steps + 1
    step = np.arange(rows)
    action = rng.uniform(-1, 1, (rows, 7)).astype(np.float32)
    action[-1] = 0
    moved = np.vstack([np.zeros((1, 7)), np.cumsum(action[:-1] * 0.02, axis=0)]).astype(np.float32)
    reward, discount = np.zeros(rows, np.float32), np.ones(rows, np.float32)
    reward[-2], discount[-2:] = 1, 0
    columns = {
        "action": action,
        "observation/state/joint_pos": rng.normal(size=(rows, 7)).astype(np.float32),
        "observation/state/tcp_pos": moved,
        "reward": reward,
        "discount": discount,
        "is_first": step == 0,
        "is_last": step == size.steps,
        "is_terminal": step == size.steps,
        "language_instruction": ["pick up the cube"] * rows,
        "intervened": np.zeros(rows, bool),
        "timestamp_s": (step * 0.1).astype(np.float32),
    }
    for camera in range(size.cameras):
        chosen = rng.integers(0, _DISTINCT_IMAGES, rows)
        columns[f"observation/image/camera_{camera}"] = [images[choice] for choice in chosen]
    metadata = {
        "episode_id": f"20260101T000000Z-{index:08d}",
        "task": "pick",
        "env_id": "made-up",
        "robot": "made-up arm",
        "collector": "scripted",
        "policy_checkpoint": "",
        "success": True,
        "seed": index,
        "control_hz": 10.0,
        "created_utc": "2026-01-01T00:00:00+00:00",
        "serlds_version": "0.0.0",
    }
    return Episode(columns, metadata)
