"""What `serlds train classifier` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ... import __version__
from ...datasets import keys
from ...datasets.errors import UsageError
from ...datasets.provenance import utc_now_text
from ...datasets.reading import Dataset
from ...datasets.schema import Field, Schema
from ...envs.success_classifier import SuccessClassifier
from ..classifier_config import ClassifierTraining
from ..encoder_trunk import pinned
from ..replay_items import Camera
from ..run_preparation import check_validated, open_demos
from .contact_sheet import contact_sheet
from .examples import Examples, read_examples, split_examples
from .fitting import fit
from .measuring import Confusion, describe, worst_judgements
from .writing import check_new, classifier_spec, classifier_weights, write_classifier

MISTAKES_PICTURE = "mistakes.png"
MISTAKES_FILE = "mistakes.json"
_SHOWN = 28


@dataclass(frozen=True)
class ClassifierResult:
    """A classifier and how it did on the episodes held out."""

    directory: Path
    """Where it was written."""
    examples: tuple[int, int]
    """Frames of success, and of anything else, that it learned from."""
    held_out: Confusion
    """How it judged the others."""
    picture: Path | None
    """The frames that it judged worst; None for one that sees no images."""

    def __str__(self) -> str:
        lines = [
            f"trained on {self.examples[0]} frames of success and {self.examples[1]} others",
            str(self.held_out),
            f"written to {self.directory}",
        ]
        return "\n".join([*lines, *([f"worst judgements {self.picture}"] if self.picture else [])])


def train_classifier(
    training: ClassifierTraining,
    data: Sequence[str],
    destination: Path,
    *,
    cameras: Sequence[str] | None = None,
    image_size: int | None = None,
    seed: int = 0,
    allow_unvalidated: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ClassifierResult:
    """Trains a success classifier on datasets, measures it on held-out episodes and writes it.

    Args:
        training: Hyper-parameters.
        data: Dataset directories.
        destination: Directory that does not exist yet.
        cameras: What it sees; None: all cameras of the first dataset; none: the state alone.
        image_size: Height and width of the images that it sees; by default those of the first
            dataset.
        seed: Decides which episodes are held out, weights and batches.
        allow_unvalidated: Take datasets that `serlds validate` has not found good.
        progress: Called with (updates done, updates in all).

    Raises:
        UsageError: Data that is missing, not known to be good, or of one class alone; something at
            the destination.
        SchemaError: Datasets that do not fit together.
        DamagedDatasetError: Data that cannot be read.
        SerldsError: The loss is not finite.
    """
    check_new(destination)
    if not data:
        raise UsageError("a classifier learns from datasets: give --data DATASET ...")
    datasets = open_demos(data)
    if not allow_unvalidated:
        for dataset in datasets:
            check_validated(dataset)
    seen = _cameras(cameras, datasets[0].schema, image_size)
    training = _with_encoder(training, seen)
    config = training.classifier
    fields = _state_fields(datasets) if config.sees_state else ()
    rng = np.random.default_rng(seed)
    examples = read_examples(datasets, fields, seen, training.labels, training.most_frames, rng)
    learned, kept = split_examples(examples, training.held_out, rng)
    classifier = fit(training, learned, seed, progress)
    about = {
        "examples": _counts(learned),
        "training": asdict(training),
        "seed": seed,
        "datasets": [
            {"name": d.name, "version": d.version, "digest": d.digest, "episodes": d.num_episodes}
            for d in datasets
        ],
        "serlds_version": __version__,
        "trained_utc": utc_now_text(),
    }
    spec = classifier_spec(classifier, training.threshold, fields, seen) | about
    weights = classifier_weights(classifier)
    # Judged by the forward pass that acts, not by the one that learns.
    judge = SuccessClassifier(spec, weights, destination)
    probabilities = judge.probabilities(kept.state, kept.images)
    held_out = Confusion.of(probabilities, kept.is_success, training.threshold)
    worst = worst_judgements(probabilities, kept, training.threshold, _SHOWN)
    described = describe(worst, kept, [dataset.name for dataset in datasets])
    files = {MISTAKES_FILE: (json.dumps(described, indent=2) + "\n").encode()}
    if seen:
        files[MISTAKES_PICTURE] = contact_sheet(worst, kept)
    write_classifier(destination, spec | {"held_out": held_out.to_dict()}, weights, files)
    picture = destination / MISTAKES_PICTURE if seen else None
    return ClassifierResult(destination, tuple(_counts(learned).values()), held_out, picture)


def _counts(examples: Examples) -> dict[str, int]:
    successes = int(examples.is_success.sum())
    return {"success": successes, "other": len(examples) - successes}


def _state_fields(datasets: Sequence[Dataset]) -> tuple[Field, ...]:
    first = datasets[0]
    if not first.schema.state_fields:
        raise UsageError(f"{first.directory}: has no {keys.STATE_PREFIX}* to learn from")
    return first.schema.state_fields


def _cameras(
    names: Sequence[str] | None, schema: Schema, image_size: int | None
) -> tuple[Camera, ...]:
    """The cameras that the classifier sees, at the size at which it sees them."""
    fields = {field.path.removeprefix(keys.IMAGE_PREFIX): field for field in schema.image_fields}
    names = list(fields) if names is None else names
    if missing := [name for name in names if name not in fields]:
        raise UsageError(
            f"--cameras {' '.join(names)}: the first dataset has no {', '.join(missing)}; its "
            f"cameras: {', '.join(fields) or 'none'}"
        )
    sizes = [(image_size, image_size) if image_size else fields[name].shape[:2] for name in names]
    return tuple(Camera(name, *size) for name, size in zip(names, sizes, strict=True))


def _with_encoder(training: ClassifierTraining, cameras: Sequence[Camera]) -> ClassifierTraining:
    """The configuration with encoders of these cameras, or with none where there are none."""
    encoder = training.classifier.encoder
    if not cameras:
        encoder = None
    elif encoder is None:
        raise UsageError("classifier.encoder: none, but the classifier is to see cameras")
    else:
        names = tuple(camera.name for camera in cameras)
        encoder = pinned(replace(encoder, cameras=names))
    return replace(training, classifier=replace(training.classifier, encoder=encoder))
