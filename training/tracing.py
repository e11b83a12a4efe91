"""What `serlds trace` does: names the episodes and steps that an update learned from.

The batch is drawn once more: the rows that had arrived are laid into a memory like the learner's in
the order that the log of batches tells, without their content, and drawn from in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.errors import UsageError
from ..datasets.reading import open_dataset
from .batch_log import (
    KINDS_OF_ROWS,
    LOGGED,
    ONLINE_ROWS,
    draws_in,
    list_batch_logs,
    read_batch_log,
)
from .config import RLPDConfig, RunConfig
from .replay_budget import rows_needed
from .replay_items import ONLINE_SOURCE, Camera, ItemLayout, Origin, Rows, actor_of
from .replay_memory import ReplayMemory, draw_batch
from .replay_tables import DEMOS, ONLINE
from .run_directory import RunDirectory, RunRecord
from .transition import Observation, Transition

_BLOCK = 65536


@dataclass(frozen=True)
class Trace:
    """What one update learned from."""

    update: int
    """Its number, from 1."""
    origin: Origin
    """Where each transition of its U minibatches came from, (U, B)."""
    is_abandoned: np.ndarray
    """(U, B) bool: the transition's episode never ended and is in no log."""
    sources: Mapping[int, str]
    """Directory of the dataset of each source."""

    def __str__(self) -> str:
        minibatches, rows = self.origin.step.shape
        lines = [f"update {self.update} learned from {minibatches} x {rows} transitions:"]
        columns = (*self.origin, self.is_abandoned)
        flat = zip(*(part.ravel().tolist() for part in columns), strict=True)
        found: dict[tuple[int, int, bool], Counter[int]] = {}
        for source, episode, step, is_abandoned in flat:
            found.setdefault((source, episode, is_abandoned), Counter())[step] += 1
        before = None
        for (source, episode, is_abandoned), steps in sorted(found.items()):
            if source != before:
                count = int((self.origin.source == source).sum())
                lines.append(f"{self.sources[source]}: {count} transitions")
                before = source
            numbers = ", ".join(
                f"{step}" if times == 1 else f"{step} ({times} times)"
                for step, times in sorted(steps.items())
            )
            note = " of an episode that never ended and was not recorded" if is_abandoned else ""
            lines.append(f"  episode {episode}, steps {numbers}{note}")
        return "\n".join(lines)


def trace(run: Path, update: int) -> Trace:
    """Finds what an update of a run learned from.

    An update that was made again after a crash is traced as it was made last.

    Args:
        run: The run's directory.
        update: The update's number, from 1, over all phases.

    Raises:
        UsageError: There is no run or no such update.
        DamagedDatasetError: A log cannot be read.
    """
    directory = RunDirectory.open(run)
    record = directory.read_record()
    paths = list_batch_logs(directory.batches)
    logs = [read_batch_log(path) for path in paths]
    for number in reversed(range(len(logs))):
        position = _find_draw(logs[number], update, record.run)
        if position is not None:
            break
    else:
        raise UsageError(f"{run}: {_why_not(logs, update)}")
    records, later = logs[number], logs[number + 1 :]
    abandoned = _abandoned(records, _episodes_logged(later, directory))
    origin, is_abandoned = _draw_again(records[: position + 1], abandoned, record)
    sources = {source: dataset.path for source, dataset in enumerate(record.datasets)}
    for source in np.unique(origin.source).tolist():
        if (actor := actor_of(source)) is not None:
            sources[source] = str(directory.episodes_of(actor))
    return Trace(update, origin, is_abandoned, sources)


def _find_draw(records: np.ndarray, update: int, config: RunConfig) -> int | None:
    """Position of the last draw for the call of the agent that made the update."""
    positions = draws_in(records)
    before = records["values"][positions, 0]
    reached = np.flatnonzero(before < update)
    if not len(reached):
        return None
    newest = before[reached].max()
    chosen = int(positions[reached[before[reached] == newest][-1]])
    return chosen if update <= newest + _stride(records[chosen], config) else None


def _stride(draw: np.ndarray, config: RunConfig) -> int:
    """Updates that the call counted for: pre-training makes several at once."""
    pretrain = config.agent.bc_pretrain_updates if isinstance(config.agent, RLPDConfig) else 0
    return int(draw["values"][1]) if draw["values"][0] < pretrain else 1


def _draw_again(
    records: np.ndarray, abandoned: np.ndarray, record: RunRecord
) -> tuple[Origin, np.ndarray]:
    """Origin and abandonment, (U, B) each, of the batch that the last record draws."""
    capacity, layout = rows_needed(record), _layout(record)
    memories = {
        DEMOS: ReplayMemory(capacity.demos_capacity, layout),
        ONLINE: ReplayMemory(capacity.online_capacity, layout),
    }
    for table, kind in KINDS_OF_ROWS.items():
        chosen = records["kind"] == kind
        packed = _packed(records["values"][chosen], abandoned[: len(records)][chosen], layout)
        # As the learner takes them: never more than the memory holds at once.
        block = min(_BLOCK, getattr(capacity, f"{table}_capacity"))
        for first in range(0, len(packed), block):
            part = packed[first : first + block]
            frames = {c.name: np.empty((len(part), 0, 0, 3), np.uint8) for c in layout.cameras}
            memories[table].add(Rows(part, frames))
    updates, minibatches, demos, online, _ = records["values"][-1].tolist()
    rng = np.random.default_rng((record.run.seed, updates))
    batch = draw_batch(memories, {DEMOS: demos, ONLINE: online}, minibatches, layout, rng)
    return batch.origin, batch.transitions.reward > 0


def _layout(record: RunRecord) -> ItemLayout:
    """Rows of nothing but their origin; with cameras, which decide what can be drawn."""
    return ItemLayout(0, 0, tuple(Camera(camera.name, 0, 0) for camera in record.task.cameras))


def _packed(runs: np.ndarray, abandoned: np.ndarray, layout: ItemLayout) -> np.ndarray:
    """Packed rows (N, W) of records of rows: their origin, and 1 as the reward where abandoned."""
    counts = runs[:, 3]
    total = int(counts.sum())
    source, episode, first = (np.repeat(runs[:, column], counts) for column in range(3))
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    transition = Transition(
        observation=Observation(np.zeros((total, 0))),
        action=np.zeros((total, 0)),
        reward=np.repeat(abandoned, counts),
        discount=np.zeros(total),
        next_observation=Observation(np.zeros((total, 0))),
    )
    return layout.pack(transition, Origin(source, episode, first + within))


def _episodes_logged(later: list[np.ndarray], directory: RunDirectory) -> dict[int, int]:
    """Episodes that came of a learner's life, by actor: what the next learner found, or is now."""
    if later:
        logged = later[0]["values"][later[0]["kind"] == LOGGED]
        return {int(actor): int(count) for actor, count, *_ in logged}
    logs = directory.logs_of_episodes()
    return {actor: open_dataset(log).num_episodes for actor, log in logs.items()}


def _abandoned(records: np.ndarray, counts: Mapping[int, int]) -> np.ndarray:
    """Which records of rows belong to an episode that never ended, (N,) bool.

    An episode that its actor's death cut off leaves its ordinal to the next one, which begins at
    step 0 again; or none of that ordinal was recorded before the next learner began. Interventions
    are online rows that came to the demonstrations as well.
    """
    abandoned = np.zeros(len(records), bool)
    begun_later: set[tuple[int, int]] = set()
    is_online = (records["kind"] <= ONLINE_ROWS) & (records["values"][:, 0] <= ONLINE_SOURCE)
    for index in np.flatnonzero(is_online)[::-1]:
        source, episode, first, *_ = records["values"][index].tolist()
        was_recorded = episode < counts.get(actor_of(source), 0)
        abandoned[index] = not was_recorded or (source, episode) in begun_later
        if records["kind"][index] == ONLINE_ROWS and first <= 0:
            begun_later.add((source, episode))
    return abandoned


def _why_not(logs: list[np.ndarray], update: int) -> str:
    draws = [log["values"][draws_in(log), 0] for log in logs]
    newest = max((int(part.max()) for part in draws if len(part)), default=-1) + 1
    if not newest:
        return f"update {update} was not made; there is none yet"
    if update < 1 or update > newest:
        return f"update {update} was not made; there are 1 to {newest}"
    return f"update {update} cannot be traced: its log of batches was lost in a crash"
