"""Arguments that several verbs share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Suppress, arg

from ..datasets.errors import UsageError

EnvId = Annotated[str, arg(metavar="ENV")]
DatasetDir = Annotated[str, arg(metavar="DATASET")]
DatasetDirs = Annotated[tuple[str, ...], arg(metavar="DATASET ...")]
SourceDir = Annotated[str, arg(metavar="SOURCE")]
DestinationDir = Annotated[str, arg(metavar="DESTINATION")]
RunDir = Annotated[Path, arg(metavar="RUN")]
MaybeEnvId = Annotated[str | None, arg(metavar="ENV")]
MaybeRunDir = Annotated[Path | None, arg(metavar="RUN")]
RunDirs = Annotated[tuple[Path, ...], arg(metavar="RUN ...")]
MaybePath = Annotated[Path | None, arg(metavar="PATH")]
MaybeInt = Annotated[int | None, arg(metavar="INT")]
MaybeFloat = Annotated[float | None, arg(metavar="FLOAT")]
Workers = Annotated[int | None, arg(metavar="INT")]
"""Local processes; None: as many as there are cores, fewer for little data."""
Reward = Annotated[str | None, arg(metavar="sparse|dense|classifier:DIR[,threshold=P][,frames=K]")]
EnvArgs = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...")]
BeamArgs = Suppress[tuple[str, ...]]
"""What stands after `--` on the command line, so that options of Beam need no quoting."""


def parse_env_args(items: Sequence[str]) -> dict[str, Any]:
    """`name=value` texts as a dictionary; values are JSON, or text where they are not.

    Raises:
      UsageError: an item without `=`.
    """
    arguments = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"--env-args {item!r}: expected NAME=VALUE, e.g. object_state=true")
        try:
            arguments[name] = json.loads(value)
        except json.JSONDecodeError:
            arguments[name] = value
    return arguments


def with_reward(arguments: dict[str, Any], reward: str | None) -> dict[str, Any]:
    """Arguments of a task with what `--reward` says; a classifier's directory becomes absolute."""
    from ..envs.classifier_reward import absolute

    chosen = arguments.get("reward") if reward is None else reward
    return arguments if chosen is None else {**arguments, "reward": absolute(str(chosen))}
