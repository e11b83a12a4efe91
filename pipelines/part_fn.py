"""The one step of every pipeline."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam

from .job import Job
from .local_pool import run_in_processes
from .parts import Part
from .results import write_result


class PartFn(beam.DoFn):
    """Runs a job on a part and leaves the result in a file."""

    def __init__(self, job: Job, directory: str):
        self._job = job
        self._directory = directory

    def process(self, part: Part) -> None:
        directory = Path(self._directory)
        write_result(directory, part, self._job.run(part, directory))


class PoolFn(beam.DoFn):
    """Runs a job on all parts in processes of this machine."""

    def __init__(self, job: Job, directory: str, workers: int):
        self._job = job
        self._directory = directory
        self._workers = workers

    def process(self, parts: tuple[Part, ...]) -> None:
        run_in_processes(self._job, parts, Path(self._directory), self._workers)
