"""One progress bar for all verbs: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Progress = Callable[[int, int], None]
"""Called with (done, total) counts."""

_LINE_INTERVAL_S = 5.0


@contextlib.contextmanager
def progress_bar(label: str, unit: str = "episodes") -> Iterator[Progress]:
    """Shows how far a long job is; yields the function to call with (done, total)."""
    if sys.stderr.isatty():
        with _terminal_bar(label, unit) as progress:
            yield progress
    else:
        yield _line_progress(label, unit)


@contextlib.contextmanager
def _terminal_bar(label: str, unit: str) -> Iterator[Progress]:
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TextColumn(f"{{task.completed:.0f}} of {{task.total:.0f}} {unit}"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line_progress(label: str, unit: str) -> Progress:
    last_s = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= _LINE_INTERVAL_S:
            last_s = now_s
            print(f"{label}: {done} of {total} {unit}", file=sys.stderr, flush=True)

    return report
