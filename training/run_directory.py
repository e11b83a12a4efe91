"""A run's directory: what is where, the record of its making, and the lock of its trainer.

config.json            configuration, task, datasets, commit and versions
session.json           where the present session of training started from: one life of the
                       replay server
checkpoints/<updates>/ agent, counters and policy; the newest few are kept
episodes/1.0.0/        every online episode of actor 0, an RLDS dataset
episodes-<k>/1.0.0/    those of actor k, where there are several
batches/               which transitions each update learned from (`batch_log.py`)
metrics-learner.jsonl, metrics-actor.jsonl, metrics-actor-<k>.jsonl, tensorboard/
logs/                  what the processes printed
evals/                 results and videos of evaluations
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..datasets.dataset_files import FEATURES_FILE
from ..datasets.durable_files import write_durably
from ..datasets.errors import DamagedDatasetError, StoreLockedError, UsageError
from ..datasets.paths import FIRST_VERSION, DatasetPath
from ..datasets.store_lock import StoreLock
from ..datasets.verdict import Verdict
from .config import RunConfig
from .config_json import from_dict, run_from_dict, run_to_dict, to_dict
from .division import Division, division_of
from .policy import PoliciesSpec, PolicySpec, policy_spec
from .replay_items import Camera
from .replay_tables import MOST_ACTORS, ReplayPlan

CONFIG_FILE = "config.json"
SESSION_FILE = "session.json"


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset of demonstrations as it was when the run began."""

    path: str
    name: str
    version: str
    digest: str
    episodes: int
    transitions: int = 0
    """In all episodes; 0 in runs of versions that did not count them."""
    verdict: Verdict | None = None
    """What `serlds validate` had said of it; None where it had not been asked."""


@dataclass(frozen=True)
class TaskRecord:
    """The task's interface as the agent sees it."""

    state_fields: tuple[str, ...]
    """Paths of the fields that make the observation vector, in order."""
    observation_dim: int
    """Length S of the observation vector."""
    action_dim: int
    """Length A of the action vector."""
    cameras: tuple[Camera, ...] = ()
    """What the agent sees; none for one that learns from the state alone."""
    openings: tuple[int, ...] = ()
    """Positions in the observation vector of how far each gripper is open."""
    switch: int | None = None
    """Position in the observation vector of what tells the task from its reverse."""

    @property
    def image_shapes(self) -> dict[str, tuple[int, int, int]]:
        """(H, W, 3) of each camera's images."""
        return {camera.name: camera.shape for camera in self.cameras}


@dataclass(frozen=True)
class RunRecord:
    """The content of `config.json`."""

    run: RunConfig
    """The configuration."""
    task: TaskRecord
    """The task's interface."""
    datasets: tuple[DatasetRecord, ...] = ()
    """The demonstrations."""
    git_commit: str = ""
    """Commit of the serlds checkout; empty for an installed package."""
    versions: Mapping[str, Any] = field(default_factory=dict)
    """Versions of the packages that matter."""
    created_utc: str = ""
    """When the run began."""

    @property
    def division(self) -> Division | None:
        """How the run's policies divide the work; None where there is one."""
        return division_of(self.run.policies, self.task.action_dim, self.task.switch)

    @property
    def policy_spec(self) -> PolicySpec | PoliciesSpec:
        """What the numbers of the run's packed policies mean."""
        task = self.task
        if self.division:
            return self.division.policy_spec(
                self.run.agent, task.observation_dim, task.image_shapes
            )
        return policy_spec(self.run.agent, task.observation_dim, task.action_dim, task.image_shapes)


@dataclass(frozen=True)
class Session:
    """Where one uninterrupted piece of a run starts from; the processes read it."""

    replay: ReplayPlan
    """The replay server's tables."""
    started_unix_s: float
    """Clock when the session began."""
    number: int = 1
    """Counts the sessions of the run from 1."""
    serlds_version: str = __version__
    """Version of serlds that serves it; learner and actors must be of the same."""
    earlier_wall_s: float = 0.0
    """Seconds of training in earlier sessions."""
    checkpoint: str = ""
    """Name of the checkpoint to continue from; empty for none."""
    env_steps: int = 0
    """Online environment steps recorded by earlier sessions."""
    episodes: tuple[int, ...] = ()
    """Online episodes recorded by earlier sessions, by actor."""

    def wall_s(self) -> float:
        """Seconds of training so far, over all sessions."""
        return self.earlier_wall_s + time.time() - self.started_unix_s


@dataclass(frozen=True)
class RunDirectory:
    """Paths in a run's directory."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run.

        Raises:
            UsageError: There is no run in the directory.
        """
        if not (path / CONFIG_FILE).is_file():
            raise UsageError(
                f"{path}: no run here (expected {CONFIG_FILE}); give the --out directory of a "
                f"`serlds train`"
            )
        return cls(path)

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def episodes(self) -> DatasetPath:
        """The dataset of the online episodes of actor 0, often the only one."""
        return self.episodes_of(0)

    def episodes_of(self, actor: int) -> DatasetPath:
        """The dataset of an actor's online episodes: a dataset has one writer at a time."""
        return DatasetPath(self.path, f"episodes-{actor}" if actor else "episodes", FIRST_VERSION)

    def logs_of_episodes(self) -> dict[int, DatasetPath]:
        """The datasets of online episodes that are there, by actor."""
        found = (self.episodes_of(actor) for actor in range(MOST_ACTORS))
        # Without this file nothing has been recorded: its actor was killed while it made it.
        return {a: log for a, log in enumerate(found) if (log.directory / FEATURES_FILE).is_file()}

    @property
    def batches(self) -> Path:
        """Directory of the logs of batches."""
        return self.path / "batches"

    @property
    def tensorboard(self) -> Path:
        """Directory of the TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def evals(self) -> Path:
        """Directory of evaluations' results."""
        return self.path / "evals"

    @property
    def address_file(self) -> Path:
        """Where the replay server of the present session writes its address."""
        return self.path / "replay-address"

    @property
    def claim_file(self) -> Path:
        """Number of the session whose transitions a learner takes."""
        return self.path / "session-claimed"

    @property
    def renewal_file(self) -> Path:
        """Number of the session that a learner asks the replay server to end."""
        return self.path / "session-to-renew"

    def metrics(self, process: str) -> Path:
        """Metrics file of `learner`, `actor` or `actor-<k>`."""
        return self.path / f"metrics-{process}.jsonl"

    def metrics_files(self) -> list[Path]:
        """The metrics files that are there."""
        return sorted(self.path.glob("metrics-*.jsonl"))

    def log(self, process: str) -> Path:
        """What `replay`, `learner`, `actor` or `actor-<k>` printed."""
        return self.path / "logs" / f"{process}.log"

    def lock(self) -> StoreLock:
        """Takes the lock of the run's trainer.

        Raises:
            UsageError: Another process is training this run.
        """
        return self._locked(self.path, "is being trained already")

    def learner_lock(self) -> StoreLock:
        """Takes the lock of the run's learner.

        Raises:
            UsageError: Another learner is at work in this run.
        """
        self.checkpoints.mkdir(exist_ok=True)
        return self._locked(self.checkpoints, "has a learner already")

    def write_record(self, record: RunRecord) -> None:
        """Writes `config.json` durably."""
        values = {**to_dict(record), "run": run_to_dict(record.run)}
        _write_json(self.path / CONFIG_FILE, values)

    def read_record(self) -> RunRecord:
        """Reads `config.json`.

        Raises:
            DamagedDatasetError: The file is not JSON.
            UsageError: It holds fields or values that this version does not know.
        """
        path = self.path / CONFIG_FILE
        values = _read_json(path)
        if not isinstance(values, dict):
            raise DamagedDatasetError(f"{path}: expected a JSON object, found {values!r}")
        try:
            run = run_from_dict(values.get("run", {}))
            return from_dict(RunRecord, {**values, "run": run}, CONFIG_FILE)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def write_session(self, session: Session) -> None:
        """Writes `session.json` durably."""
        _write_json(self.path / SESSION_FILE, to_dict(session))

    def read_session(self) -> Session:
        """Reads `session.json`; raises as `read_record`."""
        return from_dict(Session, _read_json(self.path / SESSION_FILE), SESSION_FILE)

    def _locked(self, place: Path, how_it_is: str) -> StoreLock:
        try:
            return StoreLock(place)
        except StoreLockedError as error:
            raise UsageError(
                f"{self.path}: this run {how_it_is}, by {error.holder}; end that process, or wait "
                f"until it has ended"
            ) from error


def actor_name(actor: int) -> str:
    """What to call an actor, in names of files and messages."""
    return f"actor-{actor}" if actor else "actor"


def check_version(session: Session) -> None:
    """Checks that the replay server of the session is of this version of serlds.

    Raises:
        UsageError: It is of another.
    """
    if session.serlds_version != __version__:
        raise UsageError(
            f"the replay server of this run is serlds {session.serlds_version}, this is serlds "
            f"{__version__}; what they exchange may differ: install the same version on all "
            f"machines of the run and start all of them again"
        )


def create_run_directory(path: Path, record: RunRecord) -> RunDirectory:
    """Makes the directory of a new run and its `config.json`.

    Raises:
        UsageError: Something is there already.
    """
    if path.exists():
        raise UsageError(
            f"{path}: exists already; give --out a directory that does not exist yet, or, where it "
            f"is a run, go on with it by `serlds train --resume {path}`"
        )
    directory = RunDirectory(path)
    for folder in (directory.checkpoints, directory.evals, directory.log("learner").parent):
        folder.mkdir(parents=True)
    directory.write_record(record)
    return directory


def _write_json(path: Path, values: Any) -> None:
    write_durably(path, (json.dumps(values, indent=2) + "\n").encode())


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedDatasetError(f"{path}: cannot be read: {error}") from error
