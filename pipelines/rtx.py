"""`serlds export rtx`: a dataset in the form of Open X-Embodiment, for readers that know no serlds.

Format: https://github.com/kpertsch/rlds_dataset_builder; Open X-Embodiment Collaboration 2023,
"Open X-Embodiment: Robotic Learning Datasets and RT-X Models".
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..datasets.dataset_files import DatasetCard
from ..datasets.paths import DatasetPath
from ..datasets.reading import Dataset, open_dataset
from .derive import Derivation, DeriveReport, derive
from .field_statistics import Statistics
from .output import check_absent
from .parts import RecordRef, locate_records, plan_parts
from .results import read_results
from .rtx_episode import RtxMap
from .rtx_files import (
    CITATION_FILE,
    NORMALISATION_FILE,
    README_FILE,
    citation_or_default,
    normalisation_json,
    readme,
)
from .rtx_language import embed, encoder_name
from .rtx_options import RtxOptions
from .rtx_schema import rtx_layout
from .rtx_survey import SurveyJob, assign_splits
from .runner import Progress, RunnerOptions, run_parts


def export_rtx(
    source: str | Path,
    destination: str | Path,
    options: RtxOptions | None = None,
    *,
    shard_bytes: int | None = None,
    workers: int = 1,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> DeriveReport:
    """Exports a dataset; the result appears complete or not at all.

    An episode of N actions has N steps in the export: the observation after the last action is
    dropped, and `is_last`, `is_terminal` and the last reward are at the step of the last action.
    Actions are physical: [dx, dy, dz in m, droll, dpitch, dyaw in rad, gripper 1 open 0 closed].
    Images are square JPEGs; the instruction is in every step, with its (512,) embedding.

    Args:
      source: the dataset to read, `<data_dir>/<name>[/<version>]`.
      destination: the dataset to write; it must not exist.
      options: what can be chosen; None: the defaults.
      shard_bytes: bytes of source records per shard; None: see `plan_parts`.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all) from another thread; every episode
        counts twice, once when it is surveyed and once when it is written.
      scratch: directory for the results of the survey, which remote workers must see too; None: the
        system's directory for temporary files.

    Raises:
      UsageError: a wrong option, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the source cannot be opened, or lacks
        what the export needs.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    options = options or RtxOptions()
    running = RunnerOptions(workers, tuple(beam_args))
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    dataset = open_dataset(source)
    encoder = encoder_name()
    layout = rtx_layout(dataset.schema, options, encoder)
    by_split, unreadable = locate_records(dataset)
    refs = [ref for records in by_split.values() for ref in records]
    job = SurveyJob(dataset.schema, options.instruction)
    survey = _survey(job, refs, running, _phase(progress, 0), scratch)
    embeddings = embed(text for seen in survey if seen for text in seen[1])
    mapping = RtxMap(dataset.schema, layout, options, embeddings, encoder)
    card = _card(dataset, target, options)

    def extra_files(statistics: Statistics) -> dict[str, bytes]:
        return {
            README_FILE: readme(dataset, target, card, layout, options, encoder),
            CITATION_FILE: (card.citation + "\n").encode(),
            NORMALISATION_FILE: normalisation_json(statistics, layout),
        }

    derivation = Derivation(
        source=dataset,
        target=target,
        mapping=mapping,
        parts=plan_parts(
            assign_splits(zip(refs, survey, strict=True), options.val_share), shard_bytes
        ),
        unreadable=unreadable,
        card=card,
        transform={
            "verb": "export rtx",
            "language_encoder": encoder,
            **dataclasses.asdict(options),
        },
        extra_files=extra_files,
    )
    return derive(derivation, running, _phase(progress, 1))


def _survey(
    job: SurveyJob,
    refs: list[RecordRef],
    running: RunnerOptions,
    progress: Progress | None,
    scratch: str | Path | None,
) -> list[tuple[str, list[str]] | None]:
    parts = plan_parts({"": refs})
    with tempfile.TemporaryDirectory(prefix="serlds-rtx-", dir=scratch) as directory:
        run_parts(job, parts, Path(directory), running, progress)
        return [
            seen for result in read_results(Path(directory), parts) for seen in result["episodes"]
        ]


def _card(dataset: Dataset, target: DatasetPath, options: RtxOptions) -> DatasetCard:
    return DatasetCard(
        description=options.description or dataset.files.card.description,
        citation=citation_or_default(options, target),
        license=options.license,
        homepage=options.homepage or dataset.files.card.homepage,
    )


def _phase(progress: Progress | None, phase: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(phase * total + done, 2 * total)
