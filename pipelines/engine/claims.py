"""Sharing parts among processes: each goes to whichever claims it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .job import Job
from .plan_files import read_part
from .results import write_result


def run_unclaimed_parts(job: Job, count: int, directory: Path, claims: Path) -> Iterator[int]:
    """Runs `job` on one part after the other of those that nobody has claimed; gives their indices.

    Args:
      job: what to do with a part.
      count: parts of the plan in `directory`; results are left there.
      directory: of the plan.
      claims: directory of the claims, which are files made exclusively.
    """
    for index in range(count):
        if _claim(claims / str(index)):
            part = read_part(directory, index)
            write_result(directory, part, job.run(part, directory))
            yield index


def _claim(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
