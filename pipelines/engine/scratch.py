"""Where the results of a pipeline that writes no dataset lie while it runs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...datasets.errors import UsageError
from .runner import RunnerOptions


@contextlib.contextmanager
def scratch_directory(
    options: RunnerOptions, dataset: Path, parent: str | Path | None = None
) -> Iterator[Path]:
    """Gives an empty directory that all workers of the run see; it is removed at the end.

    Args:
      options: where the pipeline runs.
      dataset: directory of the dataset it reads, which the workers see in any case.
      parent: where to make the directory; None: beside `dataset` where Beam's options name a
        runner, whose workers may be on other machines, and else among the temporary files of this
        machine.

    Raises:
      UsageError: no directory can be made there.
    """
    if parent is None and options.names_runner:
        parent = dataset.resolve().parent
    try:
        holder = tempfile.TemporaryDirectory(prefix=".serlds-scratch-", dir=parent)
    except OSError as error:
        raise UsageError(
            f"{parent or tempfile.gettempdir()}: no directory for intermediate results can be made "
            f"there ({error.strerror}); name one that all workers see with --scratch DIR"
        ) from error
    with holder as directory:
        yield Path(directory)
