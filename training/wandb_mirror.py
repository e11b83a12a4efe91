"""A run's metrics at Weights & Biases, copied from its metrics files by a process beside it.

The files are the truth, so a service that is slow or away never holds up training, and a run can be
copied while it trains or afterwards. How far it has come stands in `RUN/wandb.json`: a mirror that
is started again goes on there, under the same W&B run.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from ..datasets.durable_files import write_durably
from ..datasets.errors import DamagedDatasetError, UsageError
from .config_json import to_dict
from .metrics import ENV_STEPS, WALL_S, MetricsTail
from .run_directory import RunDirectory, RunRecord

STATE_FILE = "wandb.json"
INTERVAL_S = 5.0
_PROCESSES = ("learner", "actor")


class WandbMirror:
    """Copies new lines of metrics to a run of Weights & Biases until it is closed."""

    def __init__(self, run: Path, project: str) -> None:
        """Begins or resumes the W&B run; where to and whether online is for W&B's own environment
        variables, e.g. WANDB_ENTITY, WANDB_MODE=offline.

        Args:
            run: The run's directory.
            project: Name of the W&B project.

        Raises:
            UsageError: No such run, or W&B is not installed or refuses.
        """
        self._directory = RunDirectory.open(run)
        record = self._directory.read_record()
        self._state_file = run / STATE_FILE
        state = self._read_state()
        identity = hashlib.sha256(record.created_utc.encode()).hexdigest()[:16]
        offsets = state.get("offsets", {}) if state.get("id") == identity else {}
        self._id = identity
        self._tails = {
            name: MetricsTail(self._directory.metrics(name), offsets.get(name, 0))
            for name in _PROCESSES
        }
        wandb = _import_wandb()
        try:
            self._wandb = wandb.init(
                project=project,
                id=identity,
                name=run.absolute().name,
                dir=str(run),
                resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
                config=_settings(record),
                settings=wandb.Settings(silent=True, x_disable_stats=True),
            )
        except wandb.errors.Error as error:
            raise UsageError(
                f"--wandb {project}: {error}; log in by `wandb login`, or set WANDB_MODE=offline"
            ) from error
        self._wandb.define_metric("*", step_metric=ENV_STEPS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="wandb", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Copies what is left and ends the connection."""
        self._stop.set()
        self._thread.join()
        self._copy()
        self._wandb.finish()

    def _follow(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._copy()

    def _copy(self) -> None:
        lines = [line for tail in self._tails.values() for line in tail.read()]
        for line in sorted(lines, key=lambda line: line[WALL_S]):
            self._wandb.log({name: value for name, value in line.items() if value is not None})
        if lines:
            offsets = {name: tail.offset for name, tail in self._tails.items()}
            text = json.dumps({"id": self._id, "offsets": offsets}) + "\n"
            write_durably(self._state_file, text.encode())

    def _read_state(self) -> dict[str, Any]:
        try:
            return json.loads(self._state_file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DamagedDatasetError(f"{self._state_file}: not JSON: {error}") from error


def _settings(record: RunRecord) -> dict[str, Any]:
    run = to_dict(record.run)
    datasets = [{"name": d.name, "digest": d.digest} for d in record.datasets]
    return {**run, "datasets": datasets, "commit": record.git_commit}


def _import_wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UsageError(
            "--wandb: Weights & Biases is not installed; pip install 'serlds[wandb]'"
        ) from error
    return wandb
