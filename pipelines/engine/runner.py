"""Running a job over the parts of a plan with Apache Beam."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...datasets.errors import SerldsError, UsageError
from .job import Job
from .parts import Part
from .plan_files import write_plan
from .results import finished_parts

Progress = Callable[[int, int], None]
_POLL_S = 0.2
# Starting a worker takes as long as decoding and encoding the images in this many bytes.
_WORKER_BYTES = 16 * 2**20
_RUNNING_SUFFIX = re.compile(r" \[while running '.*'\]$")


@dataclasses.dataclass(frozen=True)
class RunnerOptions:
    """Where a pipeline runs.

    Attributes:
      workers: local worker processes; one does its work inside this process; None: as many as
        there are cores, but fewer for little data, which would be done before they have started.
      beam_args: Beam's own pipeline options, e.g. `--runner=FlinkRunner`; with a `--runner` among
        them `workers` must stay None or 1.
    """

    workers: int | None = None
    beam_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        workers = 1 if self.workers is None else self.workers
        if workers < 1:
            raise UsageError(f"workers: expected at least 1, found {workers}")
        if workers > 1 and self.names_runner:
            raise UsageError(
                f"workers: {self.workers} asks for local processes, but the Beam options name a "
                f"runner; say there how many workers it shall use"
            )

    @property
    def names_runner(self) -> bool:
        return any(arg.split("=")[0] == "--runner" for arg in self.beam_args)

    def workers_for(self, parts: Sequence[Part]) -> int:
        """How many local processes share these parts."""
        if self.workers is not None:
            return min(self.workers, len(parts))
        size = sum(ref.size for part in parts for ref in part.records)
        return min(len(os.sched_getaffinity(0)), len(parts), 1 + size // _WORKER_BYTES)


def run_parts(
    job: Job,
    parts: tuple[Part, ...],
    directory: Path,
    options: RunnerOptions,
    progress: Progress | None = None,
) -> None:
    """Runs `job` on every part; each leaves its result in `directory`.

    Args:
      job: what to do with a part.
      parts: the plan; an empty one starts nothing.
      directory: for results and files of the parts; the workers must see it under this path.
      options: where to run.
      progress: called with (episodes done, episodes in all), from another thread.

    Raises:
      UsageError: Beam does not understand its options.
      SerldsError: the pipeline failed; the message is the worker's error.
    """
    if not parts:
        return
    quiet = contextlib.nullcontext() if options.names_runner else _quiet_beam()
    with quiet, _reporting(parts, directory, progress):
        pipeline = _pipeline(job, parts, directory, options)
        try:
            pipeline.run().wait_until_finish()
        except Exception as error:  # runners raise RuntimeError with the worker's traceback as text
            if _is_interrupt(error):
                raise KeyboardInterrupt from error
            raise SerldsError(f"the pipeline failed: {_last_line(error)}") from error


def _pipeline(job: Job, parts: tuple[Part, ...], directory: Path, options: RunnerOptions) -> Any:
    import apache_beam as beam

    from .part_fn import LocalFn, PartFn

    beam_options = _beam_options(options)
    try:
        pipeline = beam.Pipeline(runner=_runner(options), options=beam_options)
    except ValueError as error:
        raise UsageError(f"Beam does not accept its options: {error}") from error
    write_plan(directory, parts)
    # One leaf, no tagged outputs, no side inputs: not every runner gives those as Beam says.
    if options.names_runner:
        indices = [part.index for part in parts]
        plan = pipeline | "Plan" >> beam.Create(indices) | "Spread" >> beam.Reshuffle()
        process = beam.ParDo(PartFn(job, str(directory)))
    else:
        # One element: Beam's local runner shares out nothing that the pool does not share better.
        plan = pipeline | "Plan" >> beam.Create([len(parts)], reshuffle=False)
        process = beam.ParDo(LocalFn(job, str(directory), options.workers_for(parts)))
    _ = plan | "Process" >> process
    return pipeline


def _runner(options: RunnerOptions) -> Any:
    if options.names_runner:
        return None
    # By name: Beam's default runner would first try to download another one.
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return FnApiRunner()


def _beam_options(options: RunnerOptions) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    arguments = list(options.beam_args)
    if not arguments:
        return PipelineOptions([])
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            parsed = PipelineOptions(arguments)
            known = parsed.get_all_options()
            given = parsed.get_all_options(retain_unknown_options=True)
    except (SystemExit, ValueError) as error:
        last = (printed.getvalue().strip().splitlines() or [str(error)])[-1]
        reason = last.rpartition("error: ")[2]
        raise UsageError(f"Beam does not understand its options: {reason}") from error
    # A runner of another kind may know options that Beam itself does not.
    if not options.names_runner and (unknown := sorted(given.keys() - known.keys())):
        raise UsageError(f"Beam knows no option {', '.join(f'--{name}' for name in unknown)}")
    return parsed


@contextlib.contextmanager
def _quiet_beam() -> Iterator[None]:
    """Keeps Beam from setting up logging for the whole program, and from logging what we raise.

    A program that wants the messages of a local run sets the level of the logger `apache_beam`.
    """
    root, beam_log, silent = logging.getLogger(), logging.getLogger("apache_beam"), _Nothing()
    chosen = beam_log.level
    root.addHandler(silent)
    root.addFilter(silent)  # only what is logged directly through the root logger, as Beam does
    if chosen == logging.NOTSET:
        beam_log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        beam_log.setLevel(chosen)
        root.removeFilter(silent)
        root.removeHandler(silent)


class _Nothing(logging.NullHandler):
    def filter(self, record: logging.LogRecord) -> bool:
        return False


@contextlib.contextmanager
def _reporting(
    parts: tuple[Part, ...], directory: Path, progress: Progress | None
) -> Iterator[None]:
    if progress is None:
        yield
        return
    sizes = {part.index: len(part.records) for part in parts}
    total, shown, ended = sum(sizes.values()), -1, threading.Event()

    def report() -> None:
        nonlocal shown
        done = sum(sizes[index] for index in finished_parts(directory))
        if done != shown:
            shown = done
            progress(done, total)

    def poll() -> None:
        while not ended.wait(_POLL_S):
            report()

    report()
    poller = threading.Thread(target=poll, name="pipeline-progress", daemon=True)
    poller.start()
    try:
        yield
    finally:
        ended.set()
        poller.join()
    report()


def _is_interrupt(error: BaseException | None) -> bool:
    # Beam wraps even Ctrl-C into an error of its own.
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return _RUNNING_SUFFIX.sub("", lines[-1]).removeprefix("RuntimeError: ")
