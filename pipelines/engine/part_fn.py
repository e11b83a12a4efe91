"""The one step of every pipeline."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam

from .job import Job
from .local_pool import run_in_processes
from .plan_files import read_part
from .results import write_result


class PartFn(beam.DoFn):
    """Runs a job on the part with an index and leaves the result in a file."""

    def __init__(self, job: Job, directory: str):
        self._job = job
        self._directory = directory

    def process(self, index: int) -> None:
        directory = Path(self._directory)
        part = read_part(directory, index)
        write_result(directory, part, self._job.run(part, directory))


class LocalFn(beam.DoFn):
    """Runs a job on all parts on this machine."""

    def __init__(self, job: Job, directory: str, workers: int):
        self._job = job
        self._directory = directory
        self._workers = workers

    def process(self, count: int) -> None:
        run_in_processes(self._job, count, Path(self._directory), self._workers)
