"""Stopping when learning has diverged, and saying which data it was learning from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..datasets.errors import SerldsError
from .replay_items import actor_of
from .replay_memory import Batch

_LISTED = 8


class DivergedError(SerldsError):
    """A loss or value of an update is not a finite number."""


def check_finite(
    info: Mapping[str, Any],
    batch: Batch,
    update: int,
    sources: Sequence[str],
    log_of: Callable[[int], str],
) -> None:
    """Checks the scalars that an update returned.

    Args:
        info: Scalars by name, on the host.
        batch: What the update learned from.
        update: Its number.
        sources: Directories of the demonstrations, by source.
        log_of: Directory of the online episodes of another source.

    Raises:
        DivergedError: One is not finite. The message names the episodes and steps of the batch
            whose values are not finite, or else those with the largest values.
    """
    bad = {name: float(value) for name, value in info.items() if not np.isfinite(value)}
    if not bad:
        return
    values = ", ".join(f"{name} = {value}" for name, value in bad.items())
    rows = _magnitudes(batch)
    damaged = ~np.isfinite(rows)
    if damaged.any():
        what, chosen = "hold values that are not finite", np.flatnonzero(damaged)
        advice = "remove these episodes (`serlds validate` finds them)"
    else:
        what, chosen = "of its batch hold the largest values", np.argsort(-rows)
        advice = "lower the learning rates, or bound the targets (target_bounds)"
    names = _names(batch, chosen, sources, log_of)
    raise DivergedError(
        f"update {update}: {values}. These transitions {what}:\n  "
        + "\n  ".join(names)
        + f"\nCheckpoints of this run, where there are any, are from before. To go on, {advice}; "
        f"both are for a new run."
    )


def _magnitudes(batch: Batch) -> np.ndarray:
    """Largest absolute value of each of the U * B transitions; not finite where one is not."""
    count, transitions = batch.origin.step.size, batch.transitions
    fields = (
        transitions.observation.state,
        transitions.action,
        transitions.reward,
        transitions.discount,
        transitions.next_observation.state,
    )
    columns = [np.abs(np.asarray(field).reshape(count, -1)) for field in fields]
    return np.concatenate(columns, axis=1).max(axis=1)


def _names(
    batch: Batch, rows: np.ndarray, sources: Sequence[str], log_of: Callable[[int], str]
) -> list[str]:
    names: dict[str, None] = {}  # in order, each once: sampling repeats transitions
    for row in rows:
        source, episode, step = (int(part.ravel()[row]) for part in batch.origin)
        where = sources[source] if actor_of(source) is None else log_of(source)
        names[f"{where}: episode {episode}, step {step}"] = None
        if len(names) > _LISTED:
            break
    listed = list(names)[:_LISTED]
    return [*listed, "and more"] if len(names) > _LISTED else listed
