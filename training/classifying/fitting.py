"""Training a classifier on examples."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from ...datasets.errors import SerldsError
from ..agents.classifier import Classifier
from ..classifier_config import ClassifierTraining
from ..transition import Observation
from .examples import Examples

Progress = Callable[[int, int], None]
_CHECK_UPDATES = 100


def fit(
    training: ClassifierTraining, examples: Examples, seed: int, progress: Progress | None = None
) -> Classifier:
    """A classifier trained on examples of both classes; half of each batch shows success.

    Args:
        training: Hyper-parameters.
        examples: To train from.
        seed: Decides weights, batches and shifts.
        progress: Called with (updates done, updates in all).

    Raises:
        SerldsError: The loss is not finite.
    """
    rng = np.random.default_rng(seed)
    state = examples.state.astype(np.float64)
    shapes = {name: frames.shape[1:] for name, frames in examples.images.items()}
    classifier = Classifier.create(
        training.classifier,
        jax.random.PRNGKey(seed),
        state.mean(axis=0).astype(np.float32),
        state.std(axis=0).astype(np.float32),
        shapes,
    )
    step = jax.jit(Classifier.updated)
    half = training.batch_size // 2
    sides = [np.flatnonzero(examples.is_success == side) for side in (True, False)]
    for update in range(1, training.updates + 1):
        drawn = (observations(examples, rng.choice(side, half)) for side in sides)
        classifier, info = step(classifier, *drawn)
        if update % _CHECK_UPDATES == 0 or update == training.updates:
            _check(update, float(info["classifier_loss"]))
            if progress:
                progress(update, training.updates)
    return classifier


def observations(examples: Examples, rows: np.ndarray) -> Observation:
    """Some of the frames as a classifier takes them."""
    images = {name: frames[rows] for name, frames in examples.images.items()}
    return Observation(examples.state[rows], images)


def _check(update: int, loss: float) -> None:
    if not np.isfinite(loss):
        raise SerldsError(
            f"update {update} of the classifier: the loss is {loss}; lower "
            f"--classifier.learning-rate"
        )
