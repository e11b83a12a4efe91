"""The sessions of a run: each is one life of its replay server, and of one learner.

The learner takes transitions out of the server's tables, so that a learner that starts anew needs a
server that starts anew: it fills its tables from the RLDS logs, which are the truth. What was under
way in the session before is so either in a log, and comes back, or was part of an episode that
never ended, and is gone for good.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..datasets.durable_files import write_durably
from ..datasets.errors import StoreLockedError
from ..datasets.opening import open_for_curation
from ..datasets.paths import DatasetPath
from ..datasets.reading import open_dataset
from ..datasets.store_lock import StoreLock
from .checkpoints import list_checkpoints
from .metrics import WALL_S, read_metrics
from .replay_budget import rows_needed
from .replay_client import ReplayUnreachableError, wait_for_address
from .replay_tables import ReplayPlan
from .run_directory import SESSION_FILE, RunDirectory, RunRecord, Session
from .stopping import StopRequest

LOG_TIMEOUT_S = 60.0
_POLL_S = 0.2


def begin_session(directory: RunDirectory, record: RunRecord, stop: StopRequest) -> Session:
    """Begins the next session of a run, from its newest checkpoint and its logs; writes it.

    Waits for the actors of the session before to leave their logs, then puts right what a crash
    left of them.

    Raises:
        StoreLockedError: An actor does not leave its log.
        DamagedDatasetError: A log cannot be put right.
    """
    before = directory.read_session().number if (directory.path / SESSION_FILE).is_file() else 0
    logs = directory.logs_of_episodes()
    counts = {actor: _put_right(log, stop) for actor, log in logs.items()}
    found = list_checkpoints(directory.checkpoints)
    lines = [line for path in directory.metrics_files() for line in read_metrics(path)]
    session = Session(
        replay=replay_plan(record),
        started_unix_s=time.time(),
        number=before + 1,
        earlier_wall_s=max((line[WALL_S] for line in lines), default=0.0),
        checkpoint=found[-1].name if found else "",
        env_steps=sum(steps for _, steps in counts.values()),
        episodes=tuple(counts.get(actor, (0, 0))[0] for actor in range(max(logs, default=-1) + 1)),
    )
    directory.write_session(session)
    return session


def claim_session(directory: RunDirectory, stop: StopRequest) -> None:
    """Makes the caller the learner of the run's present session.

    Where another learner has taken transitions of it already, the replay server is asked for a new
    session, and this waits for it.

    Raises:
        ReplayUnreachableError: There is no replay server, or it begins no new session.
    """
    wait_for_address(directory, stop)
    if stop:
        return
    number = directory.read_session().number
    if _read_number(directory.claim_file) >= number:
        print(
            f"learner: session {number} had a learner already; waiting for the replay server to "
            f"begin another",
            file=sys.stderr,
            flush=True,
        )
        _write_number(directory.renewal_file, number)
        number = _wait_for_session_after(directory, number, stop)
    _write_number(directory.claim_file, number)


def is_to_be_renewed(directory: RunDirectory, session: Session) -> bool:
    """Whether a learner has asked for another session than this."""
    return _read_number(directory.renewal_file) >= session.number


def replay_plan(record: RunRecord) -> ReplayPlan:
    """What decides the tables of the run's replay server."""
    return ReplayPlan(
        observation_dim=record.task.observation_dim,
        action_dim=record.task.action_dim,
        policy_size=record.policy_spec.size,
        capacity=rows_needed(record),
        cameras=record.task.cameras,
        chunk=record.run.chunk,
    )


def _wait_for_session_after(directory: RunDirectory, number: int, stop: StopRequest) -> int:
    deadline_s = time.monotonic() + LOG_TIMEOUT_S
    while not stop.wait(_POLL_S):
        session = directory.read_session()
        if session.number > number and directory.address_file.is_file():
            return session.number
        if time.monotonic() > deadline_s:
            raise ReplayUnreachableError(
                f"{directory.path}: the replay server began no new session within "
                f"{LOG_TIMEOUT_S:.0f} s; start it again: serlds serve {directory.path}"
            )
    return number


def _put_right(log: DatasetPath, stop: StopRequest) -> tuple[int, int]:
    """Episodes and transitions of a log that no actor writes."""
    lock = _lock(log, stop)
    try:
        open_for_curation(log)
    finally:
        lock.release()
    lengths = [episode.num_transitions for episode in open_dataset(log).episodes()]
    return len(lengths), sum(lengths)


def _lock(log: DatasetPath, stop: StopRequest) -> StoreLock:
    deadline_s = time.monotonic() + LOG_TIMEOUT_S
    while True:
        try:
            return StoreLock(log.directory)
        except StoreLockedError:
            if stop.wait(_POLL_S) or time.monotonic() > deadline_s:
                raise


def _read_number(path: Path) -> int:
    return int(path.read_text()) if path.is_file() else 0


def _write_number(path: Path, number: int) -> None:
    write_durably(path, str(number).encode())
