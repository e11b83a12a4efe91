"""What the live page of a run is told: facts, status, new lines of metrics, videos."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ...datasets.errors import UsageError
from ...datasets.store_lock import is_held
from ..config import BCConfig, RLPDConfig
from ..evaluation_results import newest_evaluation
from ..live_view import RunProgress
from ..metrics import ENV_STEPS, MetricsTail
from ..run_directory import RunDirectory, RunRecord

CHUNK_BYTES = 1_000_000
"""Most that one answer holds of one metrics file; a long run arrives in several."""
_PROCESS = re.compile(r"metrics-([a-z0-9-]+)\.jsonl")


class RunFeed:
    """Reads a run's directory, whether the run trains, has ended, or begins anew meanwhile."""

    def __init__(self, path: Path) -> None:
        """Reads the run in `path`; `record` is how it was configured.

        Raises:
            UsageError: There is none.
        """
        self.directory = RunDirectory.open(path)
        self.record = self.directory.read_record()
        self._progress = RunProgress(self.directory, self.record.run)

    def state(self) -> dict[str, Any]:
        """What changes slowly, as JSON values: identity, status, facts, evaluation, videos.

        Raises:
            SerldsError: The run's files are gone or cannot be read.
        """
        record = self._newest_record()
        self._progress.read()
        values, schedule = self._progress.values, record.run.schedule
        evaluation = newest_evaluation(self.directory.path)
        filmed = newest_evaluation(self.directory.path, filmed=True)
        return {
            "run": record.created_utc,
            "title": title(record),
            "directory": str(self.directory.path.absolute()),
            "status": self._status(values),
            "env_steps": schedule.env_steps,
            "updates": self._progress.updates_planned,
            "eta_s": self._progress.eta_s(),
            "facts": facts(record),
            "evaluation": evaluation and {
                "success_rate": evaluation.success_rate,
                "success_interval": evaluation.success_interval,
                "episodes": evaluation.episodes,
            },
            "filmed": filmed and {
                "name": filmed.path.stem,
                "changed": filmed.path.stat().st_mtime_ns,
                "videos": [[path.name, caption] for path, caption in filmed.videos],
            },
        }  # fmt: skip

    def videos(self) -> dict[str, Path]:
        """Files of the newest videos of an evaluation, by name."""
        evaluation = newest_evaluation(self.directory.path, filmed=True)
        return {path.name: path for path, _ in evaluation.videos} if evaluation else {}

    def lines(self, run: str, offsets: Mapping[str, int]) -> dict[str, Any]:
        """What the metrics files have grown by since.

        Args:
            run: Identity of the run that the offsets belong to; of another one, all is told anew.
            offsets: Byte in the metrics file of each process, as an earlier answer gave it.

        Returns:
            JSON values: `run`; `anew`, whether to forget all earlier lines; `lines` and `offsets`
            by process; `more`, whether there is more to ask for at once.

        Raises:
            SerldsError: The run's files are gone or cannot be read.
        """
        created = self._newest_record().created_utc
        found = {_process(path): path for path in self.directory.path.glob("metrics-*.jsonl")}
        sizes = {process: path.stat().st_size for process, path in found.items() if process}
        anew = run != created or any(sizes.get(name, 0) < at for name, at in offsets.items())
        tails = {
            process: MetricsTail(found[process], 0 if anew else offsets.get(process, 0))
            for process in sizes
        }
        lines = {process: tail.read(CHUNK_BYTES) for process, tail in tails.items()}
        return {
            "run": created,
            "anew": anew,
            "lines": lines,
            "offsets": {process: tail.offset for process, tail in tails.items()},
            "more": any(lines[p] and tails[p].offset < sizes[p] for p in lines),
        }

    def _newest_record(self) -> RunRecord:
        # The directory may have been removed and made anew by another run.
        record = RunDirectory.open(self.directory.path).read_record()
        if record != self.record:
            self.record = record
            self._progress = RunProgress(self.directory, record.run)
        return record

    def _status(self, values: Mapping[str, float]) -> str:
        if is_held(self.directory.path):
            return "training" if "learner/updates" in values else "starting"
        is_done = (
            values.get("learner/updates", 0) >= self._progress.updates_planned
            and values.get(ENV_STEPS, 0) >= self.record.run.schedule.env_steps
        )
        return "finished" if is_done else "stopped"


def title(record: RunRecord) -> str:
    """What a page about a run is called."""
    return f"{record.run.algorithm.upper()} on {record.run.env_id.removeprefix('serlds/')}"


def facts(record: RunRecord) -> list[tuple[str, str]]:
    """How a run came to be, as (name, value)."""
    run, schedule = record.run, record.run.schedule
    began = datetime.fromisoformat(record.created_utc) if record.created_utc else None
    rows = [("algorithm", run.algorithm), ("task", run.env_id)]
    if run.env_args:
        rows.append(("task's arguments", ", ".join(f"{k}={v}" for k, v in run.env_args.items())))
    rows += [
        (
            "demonstrations",
            f"{data.path}\n{data.episodes} episodes, digest {data.digest[:12]}",
        )
        for data in record.datasets
    ]
    batch = f"{schedule.batch_size}"
    if isinstance(run.agent, RLPDConfig):
        batch += f", {run.agent.demo_fraction:.0%} of it demonstrations"
    rows.append(("batch", batch))
    if not isinstance(run.agent, BCConfig):
        rows.append(("critic updates per step", f"{schedule.utd_ratio}"))
    rows.append(("seed", f"{run.seed}"))
    if began:
        rows.append(("began", f"{began:%Y-%m-%d %H:%M} UTC"))
    rows.append(("commit", record.git_commit[:12] or "installed package"))
    rows.append(("versions", ", ".join(f"{k} {v}" for k, v in record.versions.items())))
    return rows


def offset(process: str, text: str) -> int:
    """A byte offset as a browser sends it.

    Raises:
        UsageError: It is none.
    """
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise UsageError(f"offset of {process}: expected a number of bytes, found {text[:40]!r}")
    return int(text)


def _process(path: Path) -> str:
    match = _PROCESS.fullmatch(path.name)
    return match[1] if match else ""
