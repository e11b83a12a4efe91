"""Metrics of a run: their names and units, and the files they are kept in.

Every process writes its own file, one flat JSON object per line, and the same numbers to
TensorBoard. Every line has `wall_s` and `env_steps`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..datasets.errors import DamagedDatasetError, SerldsError

WALL_S = "wall_s"
ENV_STEPS = "env_steps"
LOSS_PREFIX = "loss/"

METRICS: Mapping[str, str] = {
    WALL_S: "s of training so far; pauses between sessions of a resumed run are left out",
    ENV_STEPS: "environment steps of online training so far",
    "train/success": "1 or 0: the online episode achieved the task, with exploration",
    "train/return": "sum of rewards of the online episode",
    "train/length_steps": "environment steps of the online episode",
    "train/episodes": "online episodes of this actor so far",
    "train/success_rate_20": "share of this actor's last 20 online episodes that achieved the task",
    "policy/updates": "updates behind the policy that acted at the end of the episode",
    "policy/age_s": "mean s from the policy's arrival to its actions in the episode",
    "policy/lag_updates": "mean updates by which each publication that came in the episode was "
    "ahead of the policy that had acted until then",
    "eval/success_rate": "share of the evaluation's episodes that achieved the task",
    "eval/return": "mean over the evaluation's episodes of the sum of rewards",
    "eval/length_steps": "mean environment steps of the evaluation's episodes",
    "eval/episodes": "episodes of the evaluation",
    "eval/policy_updates": "updates behind the policy that was evaluated",
    "learner/updates": "updates so far, offline and online",
    "learner/critic_updates": "minibatches learned from so far, offline and online",
    "learner/critic_updates_per_s": "minibatches per second since the line before",
    "learner/utd_ratio": "online minibatches per environment step after the start of training",
    "learner/starved_s": "s that the learner has waited for online data so far",
    "replay/demos": "transitions in the table `demos`",
    "replay/online": "transitions in the table `online`",
    "train/intervened_share": "share of the online episode's steps that a human drove",
}
"""Unit and meaning of every metric; `loss/<name>` are the scalars an agent's update returns."""

Line = dict[str, float]


class MetricsLog:
    """Appends lines of metrics to a JSONL file and to TensorBoard."""

    def __init__(self, path: Path, tensorboard: Path) -> None:
        """Opens both for appending.

        Args:
            path: The JSONL file.
            tensorboard: Directory of the TensorBoard events of this process.
        """
        from tensorboardX import SummaryWriter

        _drop_torn_line(path)
        self._file = path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(tensorboard), flush_secs=10)

    def write(self, values: Mapping[str, float]) -> None:
        """Writes one line; TensorBoard's step is `env_steps`.

        Raises:
            SerldsError: A name that is not in `METRICS`, or `wall_s` or `env_steps` is missing.
        """
        line = {name: float(value) for name, value in values.items()}
        unknown = [n for n in line if n not in METRICS and not n.startswith(LOSS_PREFIX)]
        missing = {WALL_S, ENV_STEPS} - line.keys()
        if unknown or missing:
            raise SerldsError(f"metrics: unknown {unknown}, missing {sorted(missing)}")
        self._file.write(json.dumps({n: _compact(v) for n, v in line.items()}) + "\n")
        self._file.flush()
        step = int(line[ENV_STEPS] or line.get("learner/updates", 0))
        for name, value in line.items():
            if name not in (WALL_S, ENV_STEPS):
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes both."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class MetricsTail:
    """Reads the lines that a metrics file has grown by.

    Attributes:
        offset: Byte where the next line starts.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Begins at byte `offset`, where a line starts, of `path`, which need not exist yet."""
        self._path = path
        self.offset = offset

    def read(self, max_bytes: int = -1) -> list[Line]:
        """The whole lines since the last call, in order; all of them, or those in `max_bytes`.

        A last line without its end, which a kill may leave, is not read.

        Raises:
            DamagedDatasetError: A whole line that is not a JSON object.
        """
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self.offset)
            whole, newline, _ = file.read(max_bytes).rpartition(b"\n")
        lines = [self._parse(text, number) for number, text in enumerate(whole.splitlines())]
        self.offset += len(whole) + len(newline)
        return lines

    def _parse(self, text: bytes, number: int) -> Line:
        try:
            values: Any = json.loads(text)
            if isinstance(values, dict):
                return values
            found = f"expected an object, found {text[:80]!r}"
        except ValueError as error:
            found = f"not JSON: {error}"
        with self._path.open("rb") as file:
            number += file.read(self.offset).count(b"\n") + 1
        raise DamagedDatasetError(f"{self._path}, line {number}: {found}")


def read_metrics(path: Path) -> list[Line]:
    """All whole lines of a metrics file, in order; none when there is no file.

    Raises:
        DamagedDatasetError: A whole line that is not a JSON object.
    """
    return MetricsTail(path).read()


def last_values(lines: list[Line]) -> Line:
    """The newest value of every metric that occurs."""
    values: Line = {}
    for line in lines:
        values.update(line)
    return values


def _drop_torn_line(path: Path) -> None:
    """Cuts off what a killed writer left of its last line."""
    if path.is_file():
        with path.open("r+b") as file:
            whole, newline, _ = file.read().rpartition(b"\n")
            file.truncate(len(whole) + len(newline))


def _compact(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None  # JSON has no other number for it
    return int(value) if value.is_integer() else float(f"{value:.7g}")
