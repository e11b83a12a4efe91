"""What every import has: the files, the plan, the run and the report."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets import keys
from ...datasets.dataset_files import DatasetCard
from ...datasets.episode import Episode
from ...datasets.errors import DatasetNotFoundError
from ...datasets.paths import DatasetPath
from ...datasets.provenance import Parent, Provenance, file_digest
from ...datasets.schema import Schema
from ..derive import Derivation, DeriveReport, derive
from ..engine.loading import EpisodeSource
from ..engine.output import check_absent
from ..engine.parts import RecordRef, Unreadable, plan_parts
from ..engine.runner import Progress, RunnerOptions
from ..findings import ERROR, BadEpisodeError, Finding
from .observations import CHECK


@dataclasses.dataclass(frozen=True)
class ImportPlan:
    """What to import.

    Attributes:
      source: reads the episodes.
      by_split: where they are, in order, by the split they go to.
      files: the files they come from, to be named with their SHA-256.
      notes: what a person should know, one sentence each.
      parents: datasets they come from, where they come from datasets.
      unreadable: records that cannot be reached.
      card: what the source says of itself; None: one sentence.
      env_id, env_args: the environment of the recording, where it is known.
    """

    source: EpisodeSource
    by_split: Mapping[str, Sequence[RecordRef]]
    files: Sequence[Path] = ()
    notes: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()
    unreadable: Sequence[Unreadable] = ()
    card: DatasetCard | None = None
    env_id: str = ""
    env_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_NO_SCALE = (
    "nothing says what an action of 1 commands, so several checks cannot be made and `export rtx` "
    "may refuse the actions; where the import takes --action-scale, that says it"
)


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What came of an import.

    Attributes:
      derived: the dataset, and the episodes that are bad.
      notes: what a person should know.
    """

    derived: DeriveReport
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 where an episode could not be imported."""
        return self.derived.exit_code

    def to_text(self) -> str:
        """For the terminal, with the commands to go on with."""
        dataset = self.derived.dataset
        lines = [self.derived.to_text(), *(f"note: {note}" for note in self.notes)]
        lines += [
            "next:",
            f"  serlds validate {dataset}",
            f"  serlds report {dataset}",
            f"  serlds export rtx {dataset} rtx/{dataset.parent.name}",
        ]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class AsRead:
    """The map that changes nothing: an import's source gives the episodes as they shall be."""

    schema: Schema

    def __call__(self, episode: Episode, ref: RecordRef) -> Episode:
        return episode


def run_import(
    plan: ImportPlan,
    destination: str | Path,
    transform: dict[str, Any],
    *,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> ImportReport:
    """Writes the dataset; it appears complete or not at all.

    Every episode is checked as `serlds validate` does; one that has errors goes to
    `dead_letters.jsonl` with its place in the source.

    Args:
      plan: what to import.
      destination: the dataset to write; it must not exist.
      transform: the verb and its options, for the provenance.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: the destination exists, or a wrong option.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    options = RunnerOptions(workers, tuple(beam_args))
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    names = ", ".join(path.name for path in plan.files[:3])
    more = f" and {len(plan.files) - 3} more" if len(plan.files) > 3 else ""
    origin = f"{names}{more}" or ", ".join(parent.name for parent in plan.parents)
    files = [{"path": str(path), "sha256": file_digest(path)} for path in plan.files]
    derivation = Derivation(
        source=plan.source,
        source_name=origin,
        target=target,
        mapping=AsRead(plan.source.schema),
        parts=plan_parts({split: list(refs) for split, refs in plan.by_split.items()}),
        unreadable=plan.unreadable,
        card=plan.card or DatasetCard(f"Imported by serlds ({transform['verb']}) from {origin}."),
        provenance=Provenance(
            env_id=plan.env_id,
            env_args=dict(plan.env_args),
            parents=plan.parents,
            transform={**transform, "files": files} if files else transform,
        ),
    )
    schema = plan.source.schema
    is_scaled = keys.ACTION in schema and bool(schema.action.about.scale)
    notes = plan.notes if is_scaled else (*plan.notes, _NO_SCALE)
    return ImportReport(derive(derivation, options, progress), notes)


def source_files(source: str | Path, endings: Sequence[str]) -> list[Path]:
    """The file, or the files of a directory with one of the endings, in natural order.

    Raises:
      DatasetNotFoundError: there is none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path.absolute()]
    if not path.is_dir():
        raise DatasetNotFoundError(f"{path}: there is no such file or directory")
    found = [child.absolute() for child in path.iterdir() if child.suffix in endings]
    if not found:
        raise DatasetNotFoundError(
            f"{path}: there is no file {' or '.join('*' + e for e in endings)}"
        )
    return sorted(found, key=lambda child: natural(child.name))


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts `demo_2` before `demo_10`."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part)
        for part in re.split(r"([0-9]+)", text)
    ]


def finding_at(error: Exception, ref: RecordRef, place: str) -> Finding:
    """What is wrong with an episode of a source, with its place in the file."""
    if isinstance(error, BadEpisodeError):
        finding = error.finding
        finding = dataclasses.replace(finding, message=f"{finding.message} ({place})")
    else:
        name = type(error).__name__
        finding = Finding(CHECK, ERROR, f"{name}: {str(error)[:300]} ({place})")
    return finding.at("", ref.file, ref.record)
