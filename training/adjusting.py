"""Which fields of a run's configuration may change when it is resumed, and that no other does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..datasets.errors import UsageError
from .config import RunConfig
from .config_json import differences
from .run_directory import RunRecord

ADJUSTABLE = (
    "env_steps",
    "publish_interval_updates",
    "evaluation_interval_steps",
    "evaluation_episodes",
    "checkpoint_interval_updates",
    "checkpoints_kept",
)
"""Fields of the schedule; `env_steps` may only grow. None of them changes what an update does."""


def adjusted(
    record: RunRecord, changes: Mapping[str, int], asked: RunConfig | None = None
) -> RunRecord:
    """A run's record with other values of adjustable fields.

    Args:
        record: The run's.
        changes: New values of fields of the schedule, by name.
        asked: A configuration that must be the run's own, up to adjustable fields; those are taken
            from it.

    Raises:
        UsageError: Another field differs, `env_steps` shrinks, or a value is not allowed.
    """
    run = record.run
    if asked is not None:
        changes = {**{name: getattr(asked.schedule, name) for name in ADJUSTABLE}, **changes}
        own = {name: getattr(run.schedule, name) for name in ADJUSTABLE}
        same = dataclasses.replace(asked, schedule=dataclasses.replace(asked.schedule, **own))
        _refuse(differences(run, same))
    _refuse([f"schedule.{name}" for name in changes if name not in ADJUSTABLE])
    steps = changes.get("env_steps", run.schedule.env_steps)
    is_bc = run.algorithm == "bc"
    if steps < run.schedule.env_steps or (is_bc and steps):
        rule = "bc has none" if is_bc else "it can only grow"
        raise UsageError(
            f"schedule.env_steps: {run.schedule.env_steps} in the run, {steps} asked; {rule}"
        )
    schedule = dataclasses.replace(run.schedule, **changes)
    return dataclasses.replace(record, run=dataclasses.replace(run, schedule=schedule))


def _refuse(fields: list[str]) -> None:
    if fields:
        raise UsageError(
            "a resumed run keeps its configuration; these fields differ:\n  "
            + "\n  ".join(fields)
            + f"\nOnly these may change: {', '.join(f'schedule.{name}' for name in ADJUSTABLE)}. "
            f"Begin a new run to change anything else."
        )
