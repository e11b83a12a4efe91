"""What a dataset of very many one-episode shards costs, and what compacting it saves.

    python benchmarks/many_shards.py [SHARDS]

Records nothing: the shards are written directly, each of one episode of 21 state-only steps. Times
are of one call each, in a warm file cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from serlds.datasets import keys
from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.dataset_files import read_dataset_files, shard_name, write_dataset_info
from serlds.datasets.episode import Episode
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.salvage import recover
from serlds.datasets.schema import STRING, Schema
from serlds.datasets.store import EpisodeStore
from serlds.datasets.summary import summarize

STEPS = 21
SPACES = gym.spaces.Dict(state=gym.spaces.Dict(q=gym.spaces.Box(-1, 1, (14,), np.float32)))
SCHEMA = Schema.from_spaces(SPACES, gym.spaces.Box(-1, 1, (7,), np.float32), {})


def main() -> None:
    """Prints one line per operation, before and after compaction."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", nargs="?", type=int, default=20_000)
    shards = parser.parse_args().shards
    with tempfile.TemporaryDirectory() as scratch:
        dataset = Path(scratch) / "many"
        _fill(dataset, shards)
        print(f"{shards} shards of one episode")
        _everyday(dataset)
        _timed("drop 100 episodes by ordinal", lambda: drop_episodes(dataset, ["100-199"]))
        _timed("restore them", lambda: restore_episodes(dataset, [], everything=True))
        _timed("recover (reads every record)", lambda: recover(dataset))
        report = _timed("compact", lambda: compact(dataset))
        print(f"\n{report.after} shard(s)")
        _everyday(dataset)


def _everyday(dataset: Path) -> None:
    _timed("open for recording", lambda: EpisodeStore.open(dataset, SCHEMA).close())
    with EpisodeStore.open(dataset, SCHEMA) as store:
        _timed("append an episode", lambda: store.append(_episode(store.num_recorded)))
    _timed("open for reading", lambda: open_dataset(dataset))
    _timed("inspect", lambda: summarize(open_dataset(dataset)))


def _timed(what: str, run: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = run()
    print(f"  {what:32}{1e3 * (time.perf_counter() - started):10.0f} ms", flush=True)
    return result


def _fill(dataset: Path, shards: int) -> None:
    with EpisodeStore.open(dataset, SCHEMA) as store:
        directory = store.directory
    files = read_dataset_files(directory)
    (split,) = files.splits
    size = 0
    for index in range(shards):
        data = frame_record(encode_episode(_episode(index), SCHEMA))
        (directory / shard_name(files.name, split, index)).write_bytes(data)
        size += len(data)
    split = type(split)(split.name, (1,) * shards, size, split.template)
    write_dataset_info(directory, type(files)(files.name, files.version, (split,), files.card))


def _episode(index: int) -> Episode:
    rows = np.arange(STEPS)
    columns = {
        field.path: ["lift the cube"] * STEPS
        if field.dtype == STRING
        else np.full((STEPS, *field.shape), index % 7, field.dtype)
        for field in SCHEMA.steps
    }
    columns[keys.IS_FIRST], columns[keys.IS_LAST] = rows == 0, rows == STEPS - 1
    metadata = {
        field.path: "" if field.dtype == STRING else np.zeros((), field.dtype).item()
        for field in SCHEMA.metadata
    }
    return Episode(columns, {**metadata, keys.EPISODE_ID: f"episode-{index:06d}"})


if __name__ == "__main__":
    main()
