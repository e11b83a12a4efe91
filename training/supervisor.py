"""What `serlds train` does: prepares a run, starts its processes, shows how it goes, ends them."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..datasets.errors import UsageError
from ..datasets.reading import open_dataset
from ..envs.recording import open_store
from ..envs.tasks import make_env
from .checkpoints import LearnerCounters, find_checkpoint, list_checkpoints, read_counters
from .config import RunConfig
from .config_json import differences
from .live_view import LiveView, RunProgress
from .metrics import ENV_STEPS, WALL_S, Line, last_values, read_metrics
from .replay_server import choose_port
from .replay_tables import ReplayPlan, online_updates
from .run_directory import RunDirectory, RunRecord, Session, create_run_directory
from .run_preparation import check_unchanged, prepare
from .run_processes import RunProcesses
from .stopping import StopRequest

_POLL_S = 0.1


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a run stands when training ends."""

    run: Path
    """The run's directory."""
    checkpoint: Path
    """The newest checkpoint."""
    updates: int
    """Updates, offline and online."""
    values: Line
    """The newest value of every metric."""

    def __str__(self) -> str:
        lines = [f"trained: {self.updates:,} updates"]
        if self.values.get(ENV_STEPS):
            lines[0] += f", {self.values[ENV_STEPS]:,.0f} environment steps"
        if "eval/success_rate" in self.values:
            lines.append(
                f"last evaluation while training: {self.values['eval/success_rate']:.0%} success "
                f"in {self.values['eval/episodes']:.0f} episodes"
            )
        lines.append(f"checkpoint {self.checkpoint}")
        lines.append(f"evaluate it: serlds eval {self.run} --episodes 50 --video")
        return "\n".join(lines)


def train(config: RunConfig, out: Path, port: int = 0) -> TrainResult:
    """Trains a new run to its end; blocks, and shows how it goes.

    Args:
        config: What to train, on what, for how long.
        out: Directory of the run; must not exist.
        port: Of the replay server, on loopback; 0: any free one.

    Raises:
        UsageError: Something that was asked for cannot be done; nothing has been started or
            written.
        ProcessDiedError: A process died; the others have been ended.
        KeyboardInterrupt: Ctrl-C or SIGTERM; all has been ended, with a checkpoint.
    """
    if out.exists():
        raise UsageError(
            f"{out}: exists already; give --out a directory that does not exist yet, or go on "
            f"with that run by `serlds train --resume {out}`"
        )
    record = prepare(config)
    port = choose_port(port)
    directory = create_run_directory(out, record)
    session = Session(replay=_replay_plan(record), started_unix_s=time.time())
    return _run_session(directory, record, session, port)


def resume(
    run: Path, env_steps: int | None = None, asked: RunConfig | None = None, port: int = 0
) -> TrainResult:
    """Goes on with a run from its newest checkpoint.

    The replay tables are refilled from the RLDS log. A run that has no checkpoint yet begins anew
    but keeps its online episodes.

    Args:
        run: The run's directory.
        env_steps: New total of environment steps, at least the configured one; None: as configured.
        asked: A configuration that must be the run's own, up to the environment steps.
        port: Of the replay server, on loopback; 0: any free one.

    Raises:
        UsageError: There is no such run, it is finished, being trained, or asked for differently.
        ProcessDiedError, KeyboardInterrupt: As `train`.
    """
    directory = RunDirectory.open(run)
    record = _extended(directory.read_record(), env_steps, asked)
    check_unchanged(record)
    found = list_checkpoints(directory.checkpoints)
    counters = read_counters(found[-1]) if found else LearnerCounters()
    _check_unfinished(record.run, counters, run)
    port = choose_port(port)
    directory.write_record(record)
    steps = _recorded_steps(directory, record) if record.run.schedule.env_steps else 0
    lines = [
        line for name in ("learner", "actor") for line in read_metrics(directory.metrics(name))
    ]
    session = Session(
        replay=_replay_plan(record),
        started_unix_s=time.time(),
        earlier_wall_s=max((line[WALL_S] for line in lines), default=0.0),
        checkpoint=found[-1].name if found else "",
        env_steps=steps,
    )
    return _run_session(directory, record, session, port)


def _run_session(
    directory: RunDirectory, record: RunRecord, session: Session, port: int
) -> TrainResult:
    lock = directory.lock()
    try:
        directory.address_file.unlink(missing_ok=True)
        directory.write_session(session)
        stop = StopRequest()
        title = f"{record.run.algorithm} on {record.run.env_id}: {directory.path}"
        progress = RunProgress(directory, record.run)
        with _signals_to(stop), LiveView(title, progress, record.run) as view:
            _supervise(RunProcesses(directory, record.run, port), view, stop)
        if stop:
            raise KeyboardInterrupt
    finally:
        lock.release()
    checkpoint = find_checkpoint(directory.checkpoints)
    values = last_values(
        [*read_metrics(directory.metrics("actor")), *read_metrics(directory.metrics("learner"))]
    )
    return TrainResult(directory.path, checkpoint, int(checkpoint.name), values)


def _supervise(processes: RunProcesses, view: LiveView, stop: StopRequest) -> None:
    """Watches until all is done, one died, or stop; then ends all in order.

    Raises:
        ProcessDiedError: One died.
        KeyboardInterrupt: Ctrl-C came again while they were ending; all have been killed.
    """
    try:
        try:
            while not stop and not processes.are_done():
                view.update()
                stop.wait(_POLL_S)
            if stop:
                view.say("stopping, with a checkpoint; Ctrl-C again to stop at once")
        finally:
            processes.end()
    except KeyboardInterrupt:
        processes.kill()
        raise


@contextmanager
def _signals_to(stop: StopRequest) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask to stop, a second one raises KeyboardInterrupt; until left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop.listen_to_signals(insists=_interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _replay_plan(record: RunRecord) -> ReplayPlan:
    return ReplayPlan(
        observation_dim=record.task.observation_dim,
        action_dim=record.task.action_dim,
        policy_size=record.policy_spec.size,
        capacity=record.run.replay,
    )


def _extended(record: RunRecord, env_steps: int | None, asked: RunConfig | None) -> RunRecord:
    """The record with more environment steps, if asked for; refuses any other difference."""
    run = record.run
    if asked is not None:
        env_steps = asked.schedule.env_steps if env_steps is None else env_steps
        same = dataclasses.replace(asked.schedule, env_steps=run.schedule.env_steps)
        if found := differences(run, dataclasses.replace(asked, schedule=same)):
            raise UsageError(
                "a resumed run keeps its configuration; these fields differ:\n  "
                + "\n  ".join(found)
                + "\nOnly schedule.env_steps may grow. Begin a new run to change anything else."
            )
    if env_steps is None or env_steps == run.schedule.env_steps:
        return record
    if run.algorithm == "bc" or env_steps < run.schedule.env_steps:
        raise UsageError(
            f"schedule.env_steps: {run.schedule.env_steps} in the run, {env_steps} asked; it can "
            f"only grow, and bc has none"
        )
    schedule = dataclasses.replace(run.schedule, env_steps=env_steps)
    return dataclasses.replace(record, run=dataclasses.replace(run, schedule=schedule))


def _check_unfinished(config: RunConfig, counters: LearnerCounters, run: Path) -> None:
    schedule = config.schedule
    done = (
        counters.online_updates >= online_updates(config)
        and counters.offline_updates >= schedule.offline_updates
    )
    if done:
        raise UsageError(
            f"{run}: this run is finished ({schedule.env_steps} environment steps, "
            f"{counters.updates} updates); to train longer give a larger --env-steps"
        )


def _recorded_steps(directory: RunDirectory, record: RunRecord) -> int:
    """Transitions in the run's log, after putting right what a crash left of it."""
    with (
        closing(make_env(record.run.env_id, **record.run.env_args)) as env,
        open_store(env, directory.episodes),
    ):
        pass
    return sum(e.num_transitions for e in open_dataset(directory.episodes).episodes())
