"""Frames of datasets as examples of success and of its absence.

An episode that was recorded with a label (`serlds record --label success`) is that in all of its
frames. Of any other the last frames show success if the episode was successful, all others do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode, decode_image, resize_image
from ...datasets.errors import DamagedDatasetError, UsageError
from ...datasets.reading import Dataset
from ...datasets.schema import Field, check_fits
from ..classifier_config import LabelRule
from ..replay_items import Camera, state_vectors

SUCCESS, OTHER, LEFT_OUT = 1, 0, -1


class Place(NamedTuple):
    """Where a frame is."""

    dataset: int
    """Position among the datasets."""
    episode: int
    """Ordinal in it."""
    step: int
    """Row of the episode."""


@dataclass(frozen=True)
class Examples:
    """F frames and what they show."""

    state: np.ndarray
    """(F, S) float32."""
    images: dict[str, np.ndarray]
    """By camera, (F, H, W, 3) uint8."""
    is_success: np.ndarray
    """(F,) bool."""
    places: tuple[Place, ...]
    """Of each frame."""

    def __len__(self) -> int:
        """Number of frames F."""
        return len(self.places)

    def chosen(self, rows: np.ndarray) -> Examples:
        """Some of the frames."""
        images = {name: frames[rows] for name, frames in self.images.items()}
        places = tuple(self.places[int(row)] for row in rows)
        return Examples(self.state[rows], images, self.is_success[rows], places)


def frame_labels(episode: Episode, rule: LabelRule) -> np.ndarray:
    """What each frame of an episode of T steps shows: (T,) SUCCESS, OTHER or LEFT_OUT."""
    label = episode.metadata.get(keys.LABEL, "")
    if label in keys.LABELS:
        return np.full(len(episode), SUCCESS if label == "success" else OTHER)
    labels = np.full(len(episode), OTHER)
    if episode.success:
        labels[-rule.positives - rule.left_out :] = LEFT_OUT
        labels[-rule.positives :] = SUCCESS
    return labels


def read_examples(
    datasets: Sequence[Dataset],
    state_fields: Sequence[Field],
    cameras: Sequence[Camera],
    rule: LabelRule,
    most_frames: int,
    rng: np.random.Generator,
) -> Examples:
    """Reads the examples of several datasets.

    Args:
        datasets: Opened.
        state_fields: Of the state, in the order of the vector; none for a classifier that does not
            look at it.
        cameras: Whose images are read; those of another size are resized.
        rule: What is an example of success.
        most_frames: Of each class; drawn at random where there are more.
        rng: Decides which; it advances.

    Raises:
        SchemaError: A dataset lacks a field.
        UsageError: A dataset tells of no success, or there are examples of one class alone.
        DamagedDatasetError: An episode or image cannot be read.
    """
    for dataset in datasets:
        _check_tells_success(dataset)
        owner = f"dataset {dataset.directory}"
        check_fits(state_fields, dataset.schema, "the classifier's state", owner)
        _check_cameras(cameras, dataset)
    chosen = _choose(datasets, rule, most_frames, rng)
    states, labels, places = [], [], []
    images: dict[str, list[np.ndarray]] = {camera.name: [] for camera in cameras}
    for number, dataset in enumerate(datasets):
        for ordinal, episode in enumerate(dataset.episodes()):
            steps = chosen.get((number, ordinal), {})
            paths = [field.path for field in state_fields]
            rows = state_vectors(episode, paths) if paths else np.zeros((len(episode), 0))
            for step, label in steps.items():
                states.append(rows[step])
                labels.append(label)
                places.append(Place(number, ordinal, step))
                for camera in cameras:
                    images[camera.name].append(_image(episode, camera, step, dataset, ordinal))
    return Examples(
        np.stack(states).astype(np.float32),
        {name: np.stack(frames) for name, frames in images.items()},
        np.array(labels) == SUCCESS,
        tuple(places),
    )


def split_examples(
    examples: Examples, held_out: float, rng: np.random.Generator
) -> tuple[Examples, Examples]:
    """Keeps a share of the episodes from training; frames of one episode stay together.

    Args:
        examples: Of both classes.
        held_out: Share of the episodes, of those with examples of success and of those without.
        rng: Decides which; it advances.

    Returns:
        The examples to train from, and those held out; both have examples of both classes.

    Raises:
        UsageError: There are too few episodes for that.
    """
    episodes = np.array([place[:2] for place in examples.places])
    keys_, inverse = np.unique(episodes, axis=0, return_inverse=True)
    successful = np.zeros(len(keys_), bool)
    np.logical_or.at(successful, inverse, examples.is_success)
    kept = np.zeros(len(keys_), bool)
    for group in (np.flatnonzero(successful), np.flatnonzero(~successful)):
        count = min(max(round(held_out * len(group)), 1), len(group) - 1)
        kept[rng.permutation(group)[: max(count, 0)]] = True
    parts = tuple(examples.chosen(np.flatnonzero(kept[inverse] == side)) for side in (False, True))
    for part in parts:
        if part.is_success.all() or not part.is_success.any():
            raise UsageError(
                f"{len(keys_)} episodes, {int(successful.sum())} of them with examples of success: "
                f"too few to train on some and to measure on others; both need frames of success "
                f"and of its absence, so record more of both"
            )
    return parts


def _choose(
    datasets: Sequence[Dataset], rule: LabelRule, most: int, rng: np.random.Generator
) -> dict[tuple[int, int], dict[int, int]]:
    """The labels of the frames to read, by dataset and episode, by step."""
    found: dict[int, list[Place]] = {SUCCESS: [], OTHER: []}
    for number, dataset in enumerate(datasets):
        for ordinal, episode in enumerate(dataset.episodes()):
            for step, label in enumerate(frame_labels(episode, rule).tolist()):
                if label != LEFT_OUT:
                    found[label].append(Place(number, ordinal, step))
    for label, name in ((SUCCESS, "success"), (OTHER, "anything else")):
        if not found[label]:
            listed = ", ".join(str(dataset.directory) for dataset in datasets)
            raise UsageError(
                f"{listed}: no frame shows {name}; a classifier learns from examples of both. "
                f"Record some, e.g. `serlds record ENV DATASET --label "
                f"{'success' if label == SUCCESS else 'failure'}`"
            )
    chosen: dict[tuple[int, int], dict[int, int]] = {}
    for label, places in found.items():
        kept = sorted(rng.permutation(len(places))[:most].tolist())
        for place in (places[index] for index in kept):
            chosen.setdefault(place[:2], {})[place.step] = label
    return {key: dict(sorted(steps.items())) for key, steps in chosen.items()}


def _image(
    episode: Episode, camera: Camera, step: int, dataset: Dataset, ordinal: int
) -> np.ndarray:
    try:
        pixels = decode_image(episode[camera.path][step])
    except (OSError, ValueError) as error:
        raise DamagedDatasetError(
            f"{dataset.directory}: episode {ordinal}, field {camera.path}, step {step}: the image "
            f"cannot be decoded: {error}"
        ) from error
    return resize_image(pixels, (camera.height, camera.width))


def _check_tells_success(dataset: Dataset) -> None:
    names = {field.path for field in dataset.schema.metadata}
    if not names & {keys.SUCCESS, keys.LABEL}:
        raise UsageError(
            f"{dataset.directory}: its episodes tell neither {keys.SUCCESS} nor {keys.LABEL}, so "
            f"that nobody knows which frames show success"
        )


def _check_cameras(cameras: Sequence[Camera], dataset: Dataset) -> None:
    there = {field.path: field for field in dataset.schema.image_fields}
    for camera in cameras:
        if camera.path not in there or there[camera.path].shape[-1] != 3:
            names = [path.removeprefix(keys.IMAGE_PREFIX) for path in there]
            raise UsageError(
                f"dataset {dataset.directory} has no colour images of camera {camera.name!r}; its "
                f"cameras: {', '.join(names) or 'none'}; choose by --cameras"
            )
