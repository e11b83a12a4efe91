"""Rewards from a success classifier."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import UsageError
from ...datasets.schema import Schema
from ...envs.success_classifier import SuccessClassifier, is_classifier, load_once
from ..action_rows import is_about_action, num_action_rows
from ..findings import ERROR, BadEpisodeError, Finding
from .rows import check_enough, edge_flags, take_rows, with_void_rows
from .schema_edits import check_reward_fields, with_metadata
from .transform import Transform

Classifier = Callable[[Episode, Schema], np.ndarray]


@dataclasses.dataclass(frozen=True)
class ClassifyReward(Transform):
    """Makes reward, success and termination from the probabilities of a success classifier.

    The classifier is the directory of one that `serlds train classifier` made, or your own function
    module:function: classifier(episode, schema) -> (T,) the probability of success in the
    observation of each step; it must not change them. The module must be importable where the
    command runs (for a file here: PYTHONPATH=. serlds convert ...) and on each worker; its code is
    run.

    An action is rewarded 1 where the observation after it is a success, that is where its
    probability, and that of the `frames` - 1 observations before, is at least `threshold`; all
    others 0. With `end`, the episode ends at the first
    such observation: it terminates there (`is_terminal`, discount 0) and later steps are left out.
    Without, all steps stay and the end is what it was. `success` in the metadata becomes whether
    there was a success (without `end`: whether the last observation is one). The first observation
    is never looked at: an episode has at least one action. In an episode without an observation
    after its last action, that action is not rewarded.

    Attributes:
      classifier: directory, or module:function.
      threshold: probability from which an observation is a success, above 0, at most 1.
      frames: observations in a row that must be so; the first of an episode does not count.
      end: whether the first success ends an episode.
    """

    name: ClassVar[str] = "classify_reward"
    example: ClassVar[str] = "classify_reward:classifier=data/cube-classifier,threshold=0.8"
    classifier: str
    threshold: float = 0.5
    frames: int = 1
    end: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("threshold", 0 < self.threshold <= 1, "above 0, at most 1")
        self._require("frames", self.frames >= 1, "at least 1")

    def map_schema(self, schema: Schema) -> Schema:
        check_reward_fields(self.name, schema)
        if (classifier := _read(self.classifier)) is not None:
            classifier.check(
                {f.path.removeprefix(keys.STATE_PREFIX): f.shape for f in schema.state_fields},
                [f.path.removeprefix(keys.IMAGE_PREFIX) for f in schema.image_fields],
            )
        _load(self.classifier)
        return with_metadata(schema, keys.SUCCESS)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        success = self._success(self._probabilities(episode, schema))  # (T,)
        rows = num_action_rows(episode)
        after = success[1 : rows + 1]  # of the observation after each action, where there is one
        reward = np.zeros(rows, np.float32)
        reward[: len(after)] = after
        achieved = bool(after.any() if self.end else success[-1] and len(after))
        metadata = {**episode.metadata, keys.SUCCESS: achieved}
        columns = {**episode.columns, keys.REWARD: with_void_rows(reward, len(episode))}
        changed = Episode(columns, metadata)
        return (
            _cut_after(changed, int(np.argmax(after)), rows) if self.end and achieved else changed
        )

    def _success(self, probabilities: np.ndarray) -> np.ndarray:
        """Which observations are a success: (T,) bool."""
        seen = probabilities >= self.threshold
        if self.frames == 1:
            return seen
        seen[0] = False
        together = np.zeros(len(seen), bool)
        windows = np.lib.stride_tricks.sliding_window_view
        if len(seen) >= self.frames:
            together[self.frames - 1 :] = windows(seen, self.frames).all(axis=1)
        return together

    def _probabilities(self, episode: Episode, schema: Schema) -> np.ndarray:
        values = np.asarray(_load(self.classifier)(episode, schema))
        if values.shape != (len(episode),) or values.dtype.kind not in "fiub":
            message = "the classifier does not give one number for each step"
            expected, found = f"({len(episode)},)", f"{values.dtype} {values.shape}"
            raise BadEpisodeError(Finding(self.name, ERROR, message, None, "", expected, found))
        wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
        if wrong.size:
            step, message = int(wrong[0]), "the classifier gives no probability"
            raise BadEpisodeError(
                Finding(self.name, ERROR, message, step, "", "0 to 1", str(values[step]))
            )
        return values


def _cut_after(episode: Episode, action: int, rows: int) -> Episode:
    """The episode up to an action, in whose outcome it terminates."""
    actions = action + 1
    # Of RLDS proper, the observation after the action stays, with nothing done there.
    steps = actions + (len(episode) - rows)
    check_enough(steps)
    taken = np.arange(steps)
    columns = {path: take_rows(column, taken) for path, column in episode.columns.items()}
    for path, column in columns.items():
        if isinstance(column, np.ndarray) and (is_about_action(path) or path == keys.INTERVENED):
            columns[path] = with_void_rows(column[:actions], steps)
    columns[keys.DISCOUNT] = np.array(columns[keys.DISCOUNT])
    columns[keys.DISCOUNT][action] = 0
    return Episode(columns | edge_flags(steps, True), episode.metadata)


def _read(name: str) -> SuccessClassifier | None:
    """The classifier in a directory; None where the name is none of a directory.

    Raises:
      DamagedDatasetError: it cannot be read.
    """
    return load_once(name) if is_classifier(name) else None


def _load(name: str) -> Classifier:
    """The classifier in a directory, or the function `module:function`.

    Raises:
      UsageError: there is none, or it cannot be imported.
      DamagedDatasetError: it cannot be read.
    """
    if (classifier := _read(name)) is not None:
        return lambda episode, schema: classifier.of_episode(episode)
    module, colon, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if colon else None
    except Exception as error:  # a module of somebody else may raise anything
        raise UsageError(
            f"classify_reward: classifier: {name!r} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise UsageError(
            f"classify_reward: classifier: expected module:function, or a directory that `serlds "
            f"train classifier` wrote, found {name!r}"
        )
    return found
