"""What a run's replay needs of the learner's memory, known before anything starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ..datasets.errors import UsageError
from .config import ReplayConfig
from .replay_items import ItemLayout
from .replay_memory import LINK_BYTES
from .replay_tables import demo_rows

if TYPE_CHECKING:
    from .run_directory import RunRecord

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USAGE = Path("/sys/fs/cgroup/memory.current")


def step_bytes(layout: ItemLayout) -> int:
    """Bytes of a step in the learner's memory."""
    return layout.row_bytes + (LINK_BYTES if layout.cameras else 0)


def rows_needed(record: RunRecord) -> ReplayConfig:
    """The configured capacities, but no more than the run can ever fill.

    From pixels each episode takes a row more than it has transitions, at most as many again.
    """
    replay, most = record.run.replay, 2 if record.task.cameras else 1
    demos = sum(dataset.transitions for dataset in record.datasets)
    if demo_rows(record.run):  # what people do in the run's episodes joins the demonstrations
        demos = max(demos, min(replay.demos_capacity, demos + record.run.schedule.env_steps))
    return dataclasses.replace(
        replay,
        online_capacity=max(min(replay.online_capacity, most * record.run.schedule.env_steps), 1),
        demos_capacity=max(most * demos, 1),
    )


def check_memory(record: RunRecord) -> None:
    """Checks that the demonstrations fit the table, and all that replay will hold the machine.

    Raises:
        UsageError: It does not; says what needs how much, and which settings change it.
    """
    run, task = record.run, record.task
    demos = sum(dataset.transitions for dataset in record.datasets)
    if demos > run.replay.demos_capacity:
        raise UsageError(
            f"the demonstrations hold {demos} transitions, more than replay.demos_capacity = "
            f"{run.replay.demos_capacity}; set it higher"
        )
    each = step_bytes(ItemLayout(task.observation_dim, task.action_dim, task.cameras, run.chunk))
    online = min(run.replay.online_capacity, run.schedule.env_steps)
    needed, free = (demos + online) * each, free_memory_bytes()
    if needed <= free:
        return
    room = max(free // each - demos, 0)
    seen = ", ".join(f"{c.name} {c.height} x {c.width}" for c in task.cameras)
    raise UsageError(
        f"replay needs {needed / 1e9:.1f} GB of the learner's memory and {free / 1e9:.1f} GB are "
        f"free: {online:,} online steps and {demos:,} of demonstrations at {each:,} bytes each "
        f"({seen or 'no camera'}). Set --replay.online-capacity to at most {room:,}"
        + (", or use smaller images (--env-args image_size=...) or fewer cameras" if seen else "")
    )


def free_memory_bytes() -> int:
    """What this machine, or the container that this process runs in, has left."""
    free = psutil.virtual_memory().available
    try:
        limit, used = _CGROUP_LIMIT.read_text().strip(), int(_CGROUP_USAGE.read_text())
    except (OSError, ValueError):  # no container, or an older kind of cgroup
        return free
    return free if limit == "max" else min(free, max(int(limit) - used, 0))
