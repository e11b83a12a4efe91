"""What `serlds train` does: prepares a run, starts its processes, shows how it goes, ends them."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from ..datasets.errors import UsageError
from ..envs.takeover import DRIVERS, check_driver
from ..hardware.teleoperation import keyboard
from .adjusting import ADJUSTABLE, adjusted
from .checkpoints import (
    LearnerCounters,
    check_resumable,
    find_checkpoint,
    list_checkpoints,
    read_counters,
)
from .config import RunConfig
from .live_view import LiveView, RunProgress
from .metrics import ENV_STEPS, WALL_S, Line, last_values, read_metrics
from .replay_budget import check_memory
from .replay_server import choose_port
from .replay_tables import MOST_ACTORS, online_updates
from .restarts import Restarts
from .run_directory import RunDirectory, RunRecord, create_run_directory
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


def train(
    config: RunConfig,
    out: Path,
    port: int = 0,
    allow_unvalidated: bool = False,
    actors: int = 1,
    restarts: Restarts | None = None,
    intervene: str = "",
) -> TrainResult:
    """Trains a new run to its end; blocks, and shows how it goes.

    Args:
        config: What to train, on what, for how long.
        out: Directory of the run; must not exist.
        port: Of the replay server, on loopback; 0: any free one.
        allow_unvalidated: Take demonstrations that `serlds validate` has not found good.
        actors: How many actors to start, each in a process of its own.
        restarts: When to start a process again that died; by default as `Restarts` says.
        intervene: Who may take over from the policy of actor 0, see `envs.takeover`.

    Raises:
        UsageError: Something that was asked for cannot be done; nothing has been started or
            written.
        ProcessDiedError: A process died and is not started again; the others have been ended.
        KeyboardInterrupt: Ctrl-C or SIGTERM; all has been ended, with a checkpoint.
    """
    if out.exists():
        raise UsageError(
            f"{out}: exists already; give --out a directory that does not exist yet, or go on "
            f"with that run by `serlds train --resume {out}`"
        )
    record = prepare(config, allow_unvalidated)
    _check_actors(actors)
    _check_driver(config, intervene)
    port = choose_port(port)
    directory = create_run_directory(out, record)
    return _run(directory, record, port, actors, restarts, intervene)


def create(config: RunConfig, out: Path, allow_unvalidated: bool = False) -> RunDirectory:
    """Makes the directory of a new run whose processes are started one by one.

    Args:
        config, out, allow_unvalidated: As of `train`.

    Raises:
        UsageError: As `train`.
    """
    return create_run_directory(out, prepare(config, allow_unvalidated))


def resume(
    run: Path,
    changes: Mapping[str, int] = MappingProxyType({}),
    asked: RunConfig | None = None,
    port: int = 0,
    actors: int = 1,
    restarts: Restarts | None = None,
    intervene: str = "",
) -> TrainResult:
    """Goes on with a run from its newest checkpoint.

    The replay tables are refilled from the RLDS log. A run that has no checkpoint yet begins anew
    but keeps its online episodes.

    Args:
        run: The run's directory.
        changes: New values of fields of the schedule, by name; those in ADJUSTABLE.
        asked: A configuration that must be the run's own, up to those fields.
        port: Of the replay server, on loopback; 0: any free one.
        actors, restarts, intervene: As of `train`.

    Raises:
        UsageError: There is no such run, it is finished, being trained, or asked for differently.
        DamagedDatasetError: The newest checkpoint is not as it was written.
        ProcessDiedError, KeyboardInterrupt: As `train`.
    """
    directory = RunDirectory.open(run)
    record = adjusted(directory.read_record(), changes, asked)
    check_unchanged(record)
    check_memory(record)
    found = list_checkpoints(directory.checkpoints)
    counters = LearnerCounters()
    if found:
        check_resumable(found[-1], record.run, ADJUSTABLE)
        counters = read_counters(found[-1])
    _check_unfinished(record.run, counters, run)
    _check_actors(actors)
    _check_driver(record.run, intervene)
    port = choose_port(port)
    return _run(directory, record, port, actors, restarts, intervene)


def _run(
    directory: RunDirectory,
    record: RunRecord,
    port: int,
    actors: int,
    restarts: Restarts | None,
    intervene: str,
) -> TrainResult:
    lock = directory.lock()
    try:
        directory.write_record(record)
        stop = StopRequest()
        title = f"{record.run.algorithm} on {record.run.env_id}: {directory.path}"
        progress = RunProgress(directory, record.run)
        with _signals_to(stop), LiveView(title, progress, record.run) as view:
            if intervene == "keyboard":
                view.say(keyboard.HELP)
            _supervise(
                RunProcesses(
                    directory, record.run, port, stop, view.say, actors, restarts, intervene
                ),
                view,
                stop,
            )
        if stop:
            print(
                f"go on with it: serlds train --resume {directory.path}",
                file=sys.stderr,
                flush=True,
            )
            raise KeyboardInterrupt
    finally:
        lock.release()
    checkpoint = find_checkpoint(directory.checkpoints)
    lines = [line for path in directory.metrics_files() for line in read_metrics(path)]
    values = last_values(sorted(lines, key=lambda line: line[WALL_S]))
    return TrainResult(directory.path, checkpoint, int(checkpoint.name), values)


def _supervise(processes: RunProcesses, view: LiveView, stop: StopRequest) -> None:
    """Watches until all is done, one died for good, or stop; then ends all in order.

    Raises:
        ProcessDiedError: One died and is not started again.
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


def _check_actors(actors: int) -> None:
    if not 1 <= actors <= MOST_ACTORS:
        raise UsageError(f"--actors {actors}: expected 1 to {MOST_ACTORS}")


def _check_driver(config: RunConfig, intervene: str) -> None:
    if intervene:
        check_driver(intervene)
    if intervene and not config.schedule.env_steps:
        raise UsageError(f"--intervene {intervene}: {config.algorithm} acts in no environment")
    if config.algorithm == "hg-dagger" and not intervene:
        raise UsageError(
            f"hg-dagger learns from who takes over: give --intervene, one of {', '.join(DRIVERS)}"
        )


def _check_unfinished(config: RunConfig, counters: LearnerCounters, run: Path) -> None:
    schedule = config.schedule
    done = (
        counters.online_updates >= online_updates(config)
        and counters.offline_updates >= schedule.offline_updates
    )
    if done:
        longer = (
            "to train longer begin a new one with more schedule.offline_updates"
            if config.algorithm == "bc"
            else "to train longer give a larger --env-steps"
        )
        raise UsageError(
            f"{run}: this run is finished ({schedule.env_steps} environment steps, "
            f"{counters.updates} updates); {longer}"
        )
