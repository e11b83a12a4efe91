"""A trained success classifier with NumPy alone: what a camera or a state shows -> probability.

`serlds train classifier` writes the directory that is read here:

classifier.npz   the weights, arrays by name, no pickle
classifier.json  what goes in, the network, the threshold; where it comes from and how good it is
"""

from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.episode import Episode, resize_image
from ..datasets.errors import DamagedDatasetError, SchemaError, UsageError
from ..datasets.keys import IMAGE, IMAGE_PREFIX, STATE, STATE_PREFIX
from .policy_forward import NetworkForward

FORMAT = "serlds classifier 1"
WEIGHTS_FILE = "classifier.npz"
SPEC_FILE = "classifier.json"
LOGIT = "logit"
"""Name of the network's last layer."""


class SuccessClassifier:
    """Tells from an observation how probable it is that the task is achieved.

    Attributes:
      spec: the content of `classifier.json`.
      directory: where it was read.
    """

    def __init__(
        self, spec: Mapping[str, Any], weights: Mapping[str, np.ndarray], directory: Path
    ) -> None:
        """A classifier of the content of its two files."""
        self.spec = spec
        self.directory = directory
        self._forward = _LogitForward(weights, **spec["network"])
        self._states = {field["name"]: tuple(field["shape"]) for field in spec["state"]}
        self._cameras = {image["name"]: tuple(image["shape"]) for image in spec["images"]}

    @classmethod
    def load(cls, directory: str | Path) -> SuccessClassifier:
        """Reads a classifier; nothing in its files is executed.

        Raises:
          UsageError: there is none.
          DamagedDatasetError: a file cannot be read, or the two do not belong together.
        """
        directory = Path(directory)
        if not is_classifier(directory):
            raise UsageError(
                f"{directory}: no classifier there (no {SPEC_FILE}); make one with `serlds train "
                f"classifier --data DATASET --out {directory}`"
            )
        try:
            spec = json.loads((directory / SPEC_FILE).read_bytes())
            with np.load(directory / WEIGHTS_FILE, allow_pickle=False) as arrays:
                weights = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DamagedDatasetError(f"{directory}: cannot be read: {error}") from error
        found = {name: list(array.shape) for name, array in weights.items()}
        if spec.get("format") != FORMAT or spec.get("weights") != found:
            raise DamagedDatasetError(
                f"{directory}: {SPEC_FILE} does not describe {WEIGHTS_FILE} as {FORMAT!r} does; "
                f"train the classifier again"
            )
        return cls(spec, weights, directory)

    @property
    def threshold(self) -> float:
        """Probability from which an observation is a success, if nobody says otherwise."""
        return float(self.spec["threshold"])

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that it sees; none for one that looks at the state alone."""
        return tuple(self._cameras)

    def probability(self, observation: Mapping[str, Any]) -> float:
        """The probability of success in an observation of an environment.

        Images of another size are resized to that of the training.

        Raises:
          SchemaError: the observation lacks a field or camera, or one has another shape.
        """
        state, images = observation.get(STATE, {}), observation.get(IMAGE, {})
        self.check({name: np.shape(value) for name, value in state.items()}, images)
        vector = self._vector({name: np.asarray(state[name])[None] for name in self._states}, 1)
        shown = {name: self._resized(name, np.asarray(images[name])[None]) for name in self.cameras}
        return float(self.probabilities(vector, shown)[0])

    def probabilities(self, state: np.ndarray, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """The probabilities of B observations: (B,) float32.

        Args:
          state: (B, S) the fields of `spec["state"]` side by side; S is 0 where there are none.
          images: by camera, (B, H, W, 3) uint8 of the shape in `spec["images"]`.
        """
        return self._forward.probabilities(state, images)

    def of_episode(self, episode: Episode) -> np.ndarray:
        """The probability of success in the observation of each step: (T,) float32.

        Raises:
          SchemaError: the episode lacks a field or camera, or one has another shape.
          DamagedDatasetError: an image cannot be decoded.
        """
        paths = episode.columns
        state = {
            path.removeprefix(STATE_PREFIX): np.asarray(column)
            for path, column in paths.items()
            if path.startswith(STATE_PREFIX)
        }
        images = [
            path.removeprefix(IMAGE_PREFIX) for path in paths if path.startswith(IMAGE_PREFIX)
        ]
        self.check({name: column.shape[1:] for name, column in state.items()}, images)
        shown = {
            name: self._resized(name, episode.pixels(IMAGE_PREFIX + name)) for name in self.cameras
        }
        return self.probabilities(self._vector(state, len(episode)), shown)

    def check(self, state: Mapping[str, tuple[int, ...]], cameras: Any) -> None:
        """Checks that the fields of a state, by name their shapes, and cameras suffice.

        Raises:
          SchemaError: names what is missing or of another shape, and what there is.
        """
        for name, shape in self._states.items():
            if state.get(name) != shape:
                raise SchemaError(
                    f"the classifier {self.directory} needs the state {name} of shape {shape}, "
                    f"found {state.get(name, 'nothing')}; there are {', '.join(state) or 'none'}"
                )
        if missing := [name for name in self.cameras if name not in cameras]:
            raise SchemaError(
                f"the classifier {self.directory} needs the camera {', '.join(missing)}; there "
                f"are {', '.join(cameras) or 'none'}: make the environment with it (--cameras, or "
                f"--env-args 'cameras=[...]'), or train a classifier that sees other cameras"
            )

    def _vector(self, state: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """The state fields side by side: (count, S) float32; S is 0 where it sees images alone."""
        parts = [np.asarray(state[name]).reshape(count, -1) for name in self._states]
        return np.concatenate([np.zeros((count, 0)), *parts], axis=1, dtype=np.float32)

    def _resized(self, camera: str, images: np.ndarray) -> np.ndarray:
        size = self._cameras[camera][:2]
        return np.stack([resize_image(image, size) for image in images])


class _LogitForward(NetworkForward):
    """The network: its last layer gives the logit of the probability."""

    _BATCH = 64
    """Images that pass at once: what a convolution holds in memory grows with it."""

    def probabilities(self, state: np.ndarray, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """(B, S) float32 and (B, H, W, 3) uint8 by camera -> (B,) float32."""
        parts = []
        for start in range(0, len(state), self._BATCH):
            rows = slice(start, start + self._BATCH)
            seen = self._see(state[rows], {name: image[rows] for name, image in images.items()})
            parts.append(self._head(LOGIT, self._features(seen))[:, 0])
        return sigmoid(np.concatenate(parts))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def is_classifier(directory: str | Path) -> bool:
    """Whether a classifier was written there."""
    return (Path(directory) / SPEC_FILE).is_file()


@functools.lru_cache(maxsize=4)
def load_once(directory: str) -> SuccessClassifier:
    """The classifier in a directory, read once in a process; raises as `SuccessClassifier.load`."""
    return SuccessClassifier.load(directory)
