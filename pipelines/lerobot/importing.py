"""`serlds import lerobot`: a LeRobot v3.0 dataset (parquet and mp4) as RLDS."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...datasets.dataset_files import DatasetCard
from ...datasets.episode import Episode
from ...datasets.errors import DamagedDatasetError
from ...datasets.paths import DatasetPath
from ...datasets.provenance import Provenance
from ...datasets.schema import Schema
from ..derive import Derivation, DeriveReport, derive
from ..engine.output import check_absent
from ..engine.parts import RecordRef, plan_parts
from ..engine.runner import Progress, RunnerOptions
from .fields import ImportLayout
from .import_options import LeRobotImportOptions
from .metadata import LeRobotInfo, episode_rows, read_info
from .source import LeRobotSource

# For cutting the work into parts before anything is decoded: JPEG of quality 95 takes about this.
_BYTES_PER_PIXEL = 0.5
_BYTES_PER_ROW = 256


@dataclasses.dataclass(frozen=True)
class _AsItIs:
    schema: Schema

    def __call__(self, episode: Episode, ref: RecordRef) -> Episode:
        return episode


def import_lerobot(
    source: str | Path,
    destination: str | Path,
    options: LeRobotImportOptions | None = None,
    *,
    shard_bytes: int | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeriveReport:
    """Imports a dataset; the result appears complete or not at all.

    N frames become N actions and N + 1 steps, as RLDS has them: LeRobot does not keep the
    observation after the last action, so the last one is repeated. Rewards, success and the end
    come from `next.reward`, `next.success`, `next.done`, `next.truncated`. Without them rewards are
    0, no episode succeeded and none terminated, unless `success` says that all did: then each ends
    with a reward of 1 and terminates.

    Args:
      source: directory with `meta/info.json`.
      destination: the dataset to write; it must not exist.
      options: what can be chosen; None: the defaults.
      shard_bytes: estimated bytes per shard; None: see `plan_parts`.
      workers: local worker processes; None: as many as pay.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: a wrong option, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError, SchemaError: `meta/` is missing, torn, of another
        version, or describes what serlds cannot hold.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    options = options or LeRobotImportOptions()
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    root = Path(source)
    info = read_info(root)
    layout = ImportLayout.of(info, options.image_encoding)
    name = root.resolve().name
    derivation = Derivation(
        source=LeRobotSource(
            info, layout, name, options.instruction, options.success == "all", options.collector
        ),
        source_name=str(root),
        target=target,
        mapping=_AsItIs(layout.schema),
        parts=plan_parts(_refs_by_split(info, layout), shard_bytes),
        unreadable=(),
        card=DatasetCard(_description(name, info, layout)),
        provenance=Provenance(
            transform={
                "verb": "import lerobot",
                "source": str(root.resolve()),
                **dataclasses.asdict(options),
            }
        ),
    )
    return derive(derivation, RunnerOptions(workers, tuple(beam_args)), progress)


def _refs_by_split(info: LeRobotInfo, layout: ImportLayout) -> dict[str, list[RecordRef]]:
    pixels = sum(field.shape[0] * field.shape[1] for field in layout.schema.image_fields)
    frame_bytes = int(_BYTES_PER_ROW + pixels * _BYTES_PER_PIXEL)
    ranges = {name: _range(name, text, info) for name, text in info.splits.items()}
    by_split: dict[str, list[RecordRef]] = {}
    for path, number, row in episode_rows(info):
        index = row["episode_index"]
        split = next((name for name, episodes in ranges.items() if index in episodes), "train")
        ref = RecordRef(str(path), index, number, row["length"] * frame_bytes)
        by_split.setdefault(split, []).append(ref)
    return by_split


def _range(name: str, text: Any, info: LeRobotInfo) -> range:
    first, colon, end = str(text).partition(":")
    if not (colon and first.isdigit() and end.isdigit()):
        raise DamagedDatasetError(
            f"{info.root}: info.json: split {name}: expected FIRST:END, found {text!r}"
        )
    return range(int(first), int(end))


def _description(name: str, info: LeRobotInfo, layout: ImportLayout) -> str:
    lines = [
        f"Imported from the LeRobot dataset {name}: {info.num_episodes} episodes at "
        f"{info.fps:g} Hz. The observation after each last action repeats the one before it."
    ]
    if layout.left_out:
        lines.append(f"Features left out: {', '.join(layout.left_out)}.")
    return "\n".join(lines)
