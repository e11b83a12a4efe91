"""Rewards from a success classifier instead of the task's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium

from ..datasets.errors import UsageError
from ..datasets.keys import IMAGE, STATE
from .success_classifier import SuccessClassifier, load_once

Probability = Callable[[Mapping[str, Any]], float]
"""An observation -> the probability that it shows success."""
PREFIX = "classifier:"
"""Begins the value of the task argument `reward` that asks for such rewards."""


class ClassifierReward(gymnasium.Wrapper):
    """Ends an episode with reward 1 when a classifier has seen success; all other rewards are 0.

    Success is a probability of at least `threshold` in each of the last `frames` observations; the
    first observation of an episode does not count, as an episode has at least one action.

    The task's own reward and its own verdict are not used: an episode that the task would end with
    success goes on until the classifier sees it or `max_steps` of the task are over; without such a
    number it is truncated there. Any other end, such as a fault of the robot, stays an end.
    `info["success"]` is the classifier's verdict, `info["task_success"]` the task's own and
    `info["success_probability"]` the probability.

    Attributes:
      name: what recordings say is the task's argument `reward`.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        probability: Probability,
        threshold: float,
        frames: int = 1,
        name: str = PREFIX,
    ) -> None:
        """Wraps a task.

        Args:
          env: made by `make_env`.
          probability: judges an observation.
          threshold: probability from which an observation is a success, above 0, at most 1.
          frames: observations in a row that must be one, at least 1.
          name: what recordings say is the task's argument `reward`.

        Raises:
          UsageError: threshold or frames out of range.
        """
        super().__init__(env)
        self.name = name
        if not 0.0 < threshold <= 1.0:
            raise UsageError(f"threshold {threshold}: expected above 0, at most 1")
        if frames < 1:
            raise UsageError(f"frames {frames}: expected at least 1")
        self._probability = probability
        self._threshold = threshold
        self._frames = frames
        self._seen = 0
        self._steps = 0
        self._max_steps = getattr(env.unwrapped, "max_steps", 0)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Starts an episode."""
        observation, info = self.env.reset(**options)
        self._seen = self._steps = 0
        return observation, {**info, "task_success": info["success"], "success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Acts once and judges what follows."""
        observation, _, terminated, truncated, info = self.env.step(action)
        probability = self._probability(observation)
        self._seen = self._seen + 1 if probability >= self._threshold else 0
        success = self._seen >= self._frames
        self._steps += 1
        own_success = terminated and info["success"]
        truncated = truncated or (own_success and self._steps >= self._max_steps and not success)
        ended = terminated and not own_success
        told = {
            "task_success": info["success"],
            "success": success,
            "success_probability": probability,
        }
        terminated = success or ended
        told = {**info, **told}
        return observation, float(success), terminated, truncated and not terminated, told


def with_classifier_reward(env: gymnasium.Env, reward: str) -> gymnasium.Env:
    """A task rewarded as a text says: `classifier:DIR[,threshold=0.8][,frames=3]`.

    Args:
      env: made by `make_env`.
      reward: the text; the threshold is by default the one that the classifier was trained for.

    Raises:
      UsageError: a text of another form, or no classifier there.
      DamagedDatasetError: the classifier cannot be read.
      SchemaError: the task does not show what the classifier looks at.
    """
    directory, options = _parse(reward)
    classifier = load_once(directory)
    check_sees(classifier, env.observation_space)
    threshold = options.get("threshold", classifier.threshold)
    frames = int(options.get("frames", 1))
    return ClassifierReward(env, classifier.probability, threshold, frames, absolute(reward))


def classifier_of(reward: str) -> SuccessClassifier:
    """The classifier that a text names; see `with_classifier_reward`, which raises the same."""
    return load_once(_parse(reward)[0])


def absolute(reward: str) -> str:
    """The same text with an absolute directory; what names no classifier stays as it is."""
    if not reward.startswith(PREFIX):
        return reward
    directory, *options = reward.removeprefix(PREFIX).split(",")
    return ",".join([PREFIX + str(Path(directory).absolute()), *options])


def check_sees(classifier: SuccessClassifier, space: gymnasium.Space) -> None:
    """Checks that observations of a space show what a classifier looks at; raises SchemaError."""
    parts: Mapping[str, Any] = getattr(space, "spaces", {})
    state = getattr(parts.get(STATE), "spaces", {})
    classifier.check(
        {name: field.shape for name, field in state.items()},
        getattr(parts.get(IMAGE), "spaces", {}),
    )


def _parse(reward: str) -> tuple[str, dict[str, float]]:
    directory, *items = reward.removeprefix(PREFIX).split(",")
    options: dict[str, float] = {}
    for item in items:
        name, _, value = item.partition("=")
        try:
            options[name] = float(value)
        except ValueError:
            name = ""
        if name not in ("threshold", "frames") or (name == "frames" and options[name] % 1):
            raise UsageError(
                f"reward {reward!r}: {item!r}: expected threshold=NUMBER or frames=WHOLE NUMBER, "
                f"e.g. {PREFIX}DIR,threshold=0.8,frames=3"
            )
    return directory, options
