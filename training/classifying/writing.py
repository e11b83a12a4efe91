"""The directory of a trained classifier; `envs/success_classifier.py` says what is in it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax
import numpy as np

from ...datasets import keys
from ...datasets.durable_files import write_durably
from ...datasets.errors import UsageError
from ...datasets.schema import Field
from ...envs.success_classifier import FORMAT, SPEC_FILE, WEIGHTS_FILE
from ..agents.classifier import Classifier
from ..policy import encoder_options, network_options
from ..replay_items import Camera


def check_new(destination: Path) -> None:
    """Raises UsageError where something is at the destination already."""
    if destination.exists():
        raise UsageError(
            f"{destination}: exists already; give --out a directory that does not exist yet"
        )


def classifier_spec(
    classifier: Classifier,
    threshold: float,
    state_fields: Sequence[Field],
    cameras: Sequence[Camera],
) -> dict[str, Any]:
    """What `classifier.json` must say; JSON values.

    Args:
        classifier: Trained.
        threshold: Probability from which an observation is a success.
        state_fields: What its state is made of, in order; none where it does not look at one.
        cameras: What it sees.
    """
    config = classifier.config
    return {
        "format": FORMAT,
        "threshold": threshold,
        "state": [
            {"name": field.path.removeprefix(keys.STATE_PREFIX), "shape": list(field.shape)}
            for field in state_fields
        ],
        "images": [{"name": camera.name, "shape": list(camera.shape)} for camera in cameras],
        "network": {
            **network_options(config.network),
            "proprio": config.proprio_features > 0,
            "encoder": encoder_options(config.encoder),
        },
        "weights": {n: list(array.shape) for n, array in classifier_weights(classifier).items()},
    }


def write_classifier(
    destination: Path,
    spec: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    files: Mapping[str, bytes],
) -> None:
    """Writes a classifier; the directory appears complete or not at all.

    Args:
        destination: Directory that does not exist yet.
        spec: From `classifier_spec`, with whatever else is to be said.
        weights: From `classifier_weights`.
        files: Further files by name.

    Raises:
        UsageError: Something is there already.
    """
    check_new(destination)
    buffer = io.BytesIO()
    np.savez(buffer, **weights)
    partial = destination.with_name(f".{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    written = {
        WEIGHTS_FILE: buffer.getvalue(),
        SPEC_FILE: (json.dumps(spec, indent=2) + "\n").encode(),
        **files,
    }
    for name, content in written.items():
        write_durably(partial / name, content)
    partial.rename(destination)


def classifier_weights(classifier: Classifier) -> dict[str, np.ndarray]:
    """All arrays by the names that `NetworkForward` knows them by."""
    parts = {
        "observation": {"mean": classifier.normaliser.mean, "std": classifier.normaliser.std},
        "encoder": classifier.vision.encoder.params,
        "trunk": classifier.vision.trunk,
        **classifier.head.params,
    }
    flat = flax.traverse_util.flatten_dict(parts, sep="/")
    return {name: np.asarray(array, np.float32) for name, array in flat.items()}
