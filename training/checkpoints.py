"""Checkpoints of a run: `checkpoints/<updates>/`, complete or not there.

agent/           the agent's pytree (orbax): networks, optimisers, random keys
policy.npy       the packed policy to evaluate, readable without jax
checkpoint.json  counters, the run's record (configuration, datasets, commit, versions), and the
                 SHA-256 of every other file
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..datasets.durable_files import sync_directory, write_durably
from ..datasets.errors import DamagedDatasetError, SerldsError, UsageError
from ..datasets.provenance import file_digest
from .config import RunConfig
from .config_json import differences, from_dict, run_from_dict, run_to_dict, to_dict
from .run_directory import RunRecord

AGENT = "agent"
POLICY = "policy.npy"
CHECKPOINT = "checkpoint.json"
_DIGITS = 9

AgentT = TypeVar("AgentT")


@dataclass(frozen=True)
class LearnerCounters:
    """How far a learner is; it goes on from here."""

    pretrain_updates: int = 0
    """Behaviour-cloning updates before reinforcement learning."""
    offline_updates: int = 0
    """Updates from demonstrations alone."""
    online_updates: int = 0
    """Updates that environment steps were spent on."""
    env_steps: int = 0
    """Online environment steps that the replay server had then."""

    @property
    def updates(self) -> int:
        """All updates."""
        return self.pretrain_updates + self.offline_updates + self.online_updates


def save_checkpoint(
    directory: Path,
    agent: Any,
    policy: np.ndarray,
    counters: LearnerCounters,
    record: RunRecord,
    kept: int,
) -> Path:
    """Writes a checkpoint durably and removes the oldest beyond `kept`.

    Args:
        directory: The run's `checkpoints`.
        agent: A pytree of arrays.
        policy: The packed policy to evaluate, (P,) float32.
        counters: How far the learner is.
        record: The run's record.
        kept: How many checkpoints to keep.

    Raises:
        SerldsError: The operating system refused to write; earlier checkpoints are intact.
    """
    final = directory / f"{counters.updates:0{_DIGITS}d}"
    if (final / CHECKPOINT).is_file():
        return final  # nothing was learned since
    partial = directory / f".{final.name}.partial"
    for unfinished in directory.glob(".*.partial"):  # by a learner that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(partial, agent, policy, counters, record)
        partial.rename(final)
        sync_directory(directory)
    except (OSError, ValueError) as error:  # tensorstore reports a full disk by ValueError
        shutil.rmtree(partial, ignore_errors=True)
        raise SerldsError(
            f"{final}: the checkpoint cannot be written: {error}; earlier ones are intact"
        ) from error
    for old in list_checkpoints(directory)[:-kept]:
        shutil.rmtree(old)
    return final


def list_checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints, oldest first."""
    named = (path for path in directory.glob("[0-9]*") if path.name.isdecimal())
    return sorted(path for path in named if (path / CHECKPOINT).is_file())


def find_checkpoint(directory: Path, name: str | None = None) -> Path:
    """The newest checkpoint, or the one of this number of updates.

    Raises:
        UsageError: There is none; the message lists those there are.
    """
    found = list_checkpoints(directory)
    if name is not None:
        found = [path for path in found if path.name.lstrip("0") == name.lstrip("0")]
    if not found:
        known = ", ".join(str(int(path.name)) for path in list_checkpoints(directory))
        if not known:
            raise UsageError(f"{directory}: no checkpoint yet; train, or resume, this run first")
        raise UsageError(f"{directory}: no checkpoint {name}; there are: {known}")
    return found[-1]


def read_counters(checkpoint: Path) -> LearnerCounters:
    """How far the learner was.

    Raises:
        DamagedDatasetError: The checkpoint's file cannot be read.
    """
    values = _read(checkpoint)["counters"]
    return from_dict(LearnerCounters, values, str(checkpoint / CHECKPOINT))


def check_resumable(checkpoint: Path, run: RunConfig, adjustable: Collection[str]) -> None:
    """Checks that a run can go on from a checkpoint of its own.

    Args:
        checkpoint: Its directory.
        run: The run's configuration.
        adjustable: Fields of the schedule that may have changed.

    Raises:
        DamagedDatasetError: A file is not as it was written.
        UsageError: It was learned with another configuration; the message names what differs.
    """
    _check_files(checkpoint, lambda name: True)
    learned_with = run_from_dict(_read(checkpoint)["record"]["run"])
    found = differences(learned_with, run)
    may_differ = tuple(f"schedule.{name}:" for name in adjustable)
    if wrong := [line for line in found if not line.startswith(may_differ)]:
        raise UsageError(
            f"{checkpoint} was learned with another configuration (in the run) than config.json "
            f"has now (asked):\n  "
            + "\n  ".join(wrong)
            + "\nPut config.json right, or begin a new run."
        )


def read_policy(checkpoint: Path) -> np.ndarray:
    """The packed policy to evaluate, (P,) float32.

    Raises:
        DamagedDatasetError: The file is missing or damaged.
    """
    path = checkpoint / POLICY
    try:
        policy = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(checkpoint, f"{path}: cannot be read: {error}") from error
    _check_files(checkpoint, lambda name: name == POLICY)
    return policy


def restore_agent(checkpoint: Path, fresh: AgentT) -> AgentT:
    """The agent of a checkpoint.

    Args:
        checkpoint: Its directory.
        fresh: An agent of the same configuration, which gives structure, shapes and dtypes.

    Raises:
        DamagedDatasetError: The checkpoint does not hold such an agent.
    """
    import orbax.checkpoint as ocp

    _check_files(checkpoint, lambda name: name.startswith(f"{AGENT}/"))
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return checkpointer.restore(checkpoint.absolute() / AGENT, fresh)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedDatasetError(
            f"{checkpoint}: the agent of this configuration cannot be restored from it: {error}"
        ) from error


def _read(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / CHECKPOINT
    try:
        values = json.loads(path.read_bytes())
        missing = {"counters", "record"} - set(values)
        if missing:
            raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(checkpoint, f"{path}: cannot be read: {error}") from error
    return values


def _check_files(checkpoint: Path, is_asked: Callable[[str], bool]) -> None:
    """Checks files against their digests, which checkpoints of before did not have."""
    for name, digest in _read(checkpoint).get("sha256", {}).items():
        path = checkpoint / name
        if is_asked(name) and (not path.is_file() or file_digest(path) != digest):
            raise _damaged(checkpoint, f"{path}: is not as it was written")


def _damaged(checkpoint: Path, what: str) -> DamagedDatasetError:
    return DamagedDatasetError(
        f"{what}; move {checkpoint} out of {checkpoint.parent} to go on from the one before it"
    )


def _write(
    directory: Path,
    agent: Any,
    policy: np.ndarray,
    counters: LearnerCounters,
    record: RunRecord,
) -> None:
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(directory.absolute() / AGENT, agent)
    np.save(directory / POLICY, np.asarray(policy, np.float32))
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    values = {
        "counters": to_dict(counters),
        "record": {**to_dict(record), "run": run_to_dict(record.run)},
        "sha256": {path.relative_to(directory).as_posix(): file_digest(path) for path in files},
    }
    write_durably(directory / CHECKPOINT, (json.dumps(values, indent=2) + "\n").encode())
    _sync_tree(directory)


def _sync_tree(directory: Path) -> None:
    for root, _, files in os.walk(directory):
        for name in files:
            descriptor = os.open(os.path.join(root, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(root))
