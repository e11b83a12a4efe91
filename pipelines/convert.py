"""`serlds convert`: a dataset made from another one by a chain of transforms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..datasets.episode import Episode
from ..datasets.paths import DatasetPath
from ..datasets.reading import open_dataset
from ..datasets.schema import Schema
from .derive import Derivation, DeriveReport, copy_card, derive, derived_from
from .engine.loading import DatasetSource
from .engine.output import check_absent
from .engine.parts import RecordRef, locate_records, plan_parts
from .engine.runner import Progress, RunnerOptions
from .findings import ERROR, BadEpisodeError, Finding
from .transforms.images import edit_images, image_runs
from .transforms.text import parse_transform, transform_to_text
from .transforms.transform import Transform
from .writing import LeftOut


@dataclasses.dataclass(frozen=True)
class Chain:
    """Transforms one after the other, as one map of episodes.

    Image transforms that follow each other decode and encode an image once.

    Attributes:
      transforms: in the order they are applied.
      schemas: that of the source, then that after each transform.
    """

    transforms: tuple[Transform, ...]
    schemas: tuple[Schema, ...]

    @classmethod
    def over(cls, transforms: Sequence[Transform], source: Schema) -> Chain:
        """The chain for episodes of a schema.

        Raises:
          SchemaError: a transform cannot be applied to what it would get.
        """
        schemas = [source]
        for transform in transforms:
            schemas.append(transform.map_schema(schemas[-1]))
        return cls(tuple(transforms), tuple(schemas))

    @property
    def schema(self) -> Schema:
        """The schema of the results."""
        return self.schemas[-1]

    def __call__(self, episode: Episode, ref: RecordRef) -> Episode | LeftOut | Finding:
        """Applies all transforms; what goes wrong in one becomes a finding that names it."""
        done = 0
        for run in image_runs(self.transforms):
            name = "+".join(transform.name for transform in run)
            schema = self.schemas[done]
            try:
                if len(run) > 1:
                    changed: Episode | None = edit_images(run, episode, schema)
                else:
                    changed = run[0](episode, schema)
            except BadEpisodeError as error:
                return dataclasses.replace(error.finding, check=f"transform:{name}")
            except Exception as error:  # one bad episode must not end a run
                return Finding(f"transform:{name}", ERROR, f"{type(error).__name__}: {error}")
            if changed is None:
                return LeftOut(name)
            episode = changed
            done += len(run)
        return episode


def convert(
    source: str | Path,
    destination: str | Path,
    apply: Sequence[str | Transform],
    *,
    shard_bytes: int | None = None,
    workers: int | None = None,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
) -> DeriveReport:
    """Makes a dataset from another one; it appears complete or not at all.

    Every episode of the source is checked first; one that has errors, cannot be read or cannot be
    transformed goes to `dead_letters.jsonl` in the new dataset. The order of the episodes stays;
    so do the splits. Images travel as they are stored unless a transform looks at pixels.

    Args:
      source: the dataset to read, `<data_dir>/<name>[/<version>]`.
      destination: the dataset to write; it must not exist.
      apply: transforms in order, as text (see `transforms.text`) or as objects; none at all
        rewrites the episodes into large shards.
      shard_bytes: bytes of source records per shard; None: see `plan_parts`.
      workers: local worker processes.
      beam_args: Beam's own pipeline options.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: an unknown transform, a wrong option, or the destination exists.
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the source cannot be opened, or its
        episodes do not have what a transform needs.
      SerldsError: the pipeline failed or no episode is left; nothing was written.
    """
    options = RunnerOptions(workers, tuple(beam_args))
    transforms = [parse_transform(one) if isinstance(one, str) else one for one in apply]
    target = DatasetPath.parse(destination)
    check_absent(target.directory)
    dataset = open_dataset(source)
    chain = Chain.over(transforms, dataset.schema)
    by_split, unreadable = locate_records(dataset)
    texts = [transform_to_text(transform) for transform in transforms]
    what = (
        f"Converted from {dataset.name} {dataset.version}: {', then '.join(texts) or 'as it is'}."
    )
    derivation = Derivation(
        source=DatasetSource(dataset.schema),
        source_name=str(dataset.directory),
        target=target,
        mapping=chain,
        parts=plan_parts(by_split, shard_bytes),
        unreadable=unreadable,
        card=copy_card(dataset, what),
        provenance=derived_from([dataset], {"verb": "convert", "apply": texts}),
    )
    return derive(derivation, options, progress)
