"""`serlds export rtx`: a dataset in the form of Open X-Embodiment, for readers that know no serlds.

Format: https://github.com/kpertsch/rlds_dataset_builder; Open X-Embodiment Collaboration 2023,
"Open X-Embodiment: Robotic Learning Datasets and RT-X Models".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ...datasets.paths import DatasetPath
from ...datasets.reading import open_dataset
from ..cards import export_card
from ..derive import Derivation, DeriveReport, derive, derived_from
from ..engine.loading import DatasetSource
from ..engine.output import check_absent
from ..engine.parts import RecordRef, locate_records, plan_parts
from ..engine.results import read_results
from ..engine.runner import Progress, RunnerOptions, run_parts
from ..engine.scratch import scratch_directory
from ..sentence_encoder import embed, encoder_name
from ..statistics.fields import Statistics
from .episode import RtxMap
from .files import (
    CITATION_FILE,
    NORMALISATION_FILE,
    README_FILE,
    normalisation_json,
    readme,
)
from .options import RtxOptions
from .schema import rtx_layout
from .survey import SurveyJob, assign_splits


def export_rtx(
    source: str | Path,
    destination: str | Path,
    options: RtxOptions | None = None,
    *,
    shard_bytes: int | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    scratch: str | Path | None = None,
) -> DeriveReport:
    """Exports a dataset; the result appears complete or not at all.

    An episode of N actions has N steps in the export: the observation after the last action is
    dropped, and `is_last`, `is_terminal` and the last reward are at the step of the last action.
    Actions are physical: [dx, dy, dz in m, droll, dpitch, dyaw in rad, gripper 1 open 0 closed],
    unless the options ask for another action space.
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
      scratch: directory for the results of the survey, which remote workers must see too; None: see
        `scratch_directory`.

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
    survey = _survey(job, dataset.directory, refs, running, _phase(progress, 0), scratch)
    embeddings = embed(text for seen in survey if seen for text in seen[1])
    mapping = RtxMap(dataset.schema, layout, options, embeddings, encoder)
    card = export_card(
        dataset.files.card, options, f"{target.name}, version {target.version}", target.name
    )

    def extra_files(statistics: Statistics) -> dict[str, bytes]:
        return {
            README_FILE: readme(dataset, target, card, layout, options, encoder),
            CITATION_FILE: (card.citation + "\n").encode(),
            NORMALISATION_FILE: normalisation_json(statistics, layout),
        }

    derivation = Derivation(
        source=DatasetSource(dataset.schema),
        source_name=str(dataset.directory),
        target=target,
        mapping=mapping,
        parts=plan_parts(
            assign_splits(zip(refs, survey, strict=True), options.val_share), shard_bytes
        ),
        unreadable=unreadable,
        card=card,
        provenance=derived_from(
            [dataset],
            {
                "verb": "export rtx",
                "language_encoder": encoder,
                **dataclasses.asdict(options),
            },
        ),
        extra_files=extra_files,
    )
    return derive(derivation, running, _phase(progress, 1))


def _survey(
    job: SurveyJob,
    dataset: Path,
    refs: list[RecordRef],
    running: RunnerOptions,
    progress: Progress | None,
    scratch: str | Path | None,
) -> list[tuple[str, list[str]] | None]:
    parts = plan_parts({"": refs})
    with scratch_directory(running, dataset, scratch) as directory:
        run_parts(job, parts, directory, running, progress)
        return [seen for result in read_results(directory, parts) for seen in result["episodes"]]


def _phase(progress: Progress | None, phase: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(phase * total + done, 2 * total)
