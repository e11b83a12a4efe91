"""What a run is made of: checks before anything starts, and the records kept in `config.json`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..datasets.errors import UsageError
from ..datasets.provenance import utc_now_text
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Schema, check_fits
from ..envs.tasks import make_env
from .config import RLPDConfig, RunConfig
from .replay_tables import online_rows
from .run_directory import DatasetRecord, RunRecord, TaskRecord

_PACKAGES = (
    "dm-reverb",
    "envlogger",
    "flax",
    "gymnasium",
    "jax",
    "jaxlib",
    "mujoco",
    "numpy",
    "optax",
    "orbax-checkpoint",
    "rlds",
    "tensorflow-cpu",
    "tensorflow-datasets",
)


def prepare(config: RunConfig) -> RunRecord:
    """Checks that the configuration can run and describes all that it depends on.

    Raises:
        UsageError: A combination that makes no sense, an unknown task or argument, demonstrations
            that are missing, too many, or do not fit the task.
    """
    check_combination(config)
    datasets = open_demos(config.demos)
    task = describe_task(config, datasets)
    return RunRecord(
        run=config,
        task=task,
        datasets=tuple(_record(dataset) for dataset in datasets),
        git_commit=_git_commit(),
        versions=_versions(),
        created_utc=utc_now_text(),
    )


def check_combination(config: RunConfig) -> None:
    """Raises UsageError where algorithm, demonstrations and schedule contradict each other."""
    name, schedule = config.algorithm, config.schedule
    if name == "sac" and config.demos:
        raise UsageError("sac learns from its own episodes alone; with --demos use rlpd or bc")
    if name != "sac" and not config.demos:
        raise UsageError(f"{name} needs demonstrations: give --demos DATASET")
    if name == "bc" and schedule.env_steps:
        raise UsageError(
            f"schedule.env_steps={schedule.env_steps}: bc acts in no environment; use 0"
        )
    if name != "bc" and schedule.env_steps == 0:
        raise UsageError(f"schedule.env_steps=0: {name} needs environment steps; use 1 or more")
    if name == "bc" and schedule.offline_updates == 0:
        raise UsageError("schedule.offline_updates=0: bc needs updates; use 1 or more")
    if name == "sac" and schedule.offline_updates:
        raise UsageError(
            f"schedule.offline_updates={schedule.offline_updates}: sac has nothing to learn from "
            f"before its first environment step; use 0"
        )
    if isinstance(config.agent, RLPDConfig) and online_rows(config) == 0:
        raise UsageError(
            f"agent.demo_fraction={config.agent.demo_fraction}: leaves no row of a batch of "
            f"{schedule.batch_size} for online data; use less, or bc"
        )


def open_demos(paths: Sequence[str]) -> list[Dataset]:
    """Opens the datasets of demonstrations.

    Raises:
        UsageError: One is missing, is not RLDS, or has no episodes.
    """
    datasets = [open_dataset(path) for path in paths]
    for dataset in datasets:
        if dataset.num_episodes == 0:
            raise UsageError(f"{dataset.directory}: has no episodes to learn from; record some")
    return datasets


def describe_task(config: RunConfig, datasets: Sequence[Dataset]) -> TaskRecord:
    """The task's interface, checked against the demonstrations.

    Raises:
        UsageError: An unknown task or argument, a task without state, or demonstrations whose
            fields do not fit the task's.
    """
    with contextlib.closing(make_env(config.env_id, **config.env_args)) as env:
        schema = Schema.from_spaces(env.observation_space, env.action_space, {})
    fields = schema.state_fields
    if not fields:
        raise UsageError(f"{config.env_id}: its observations have no `state` to learn from")
    for dataset in datasets:
        task = f"task {config.env_id} with {dict(config.env_args)}"
        check_fits((*fields, schema.action), dataset.schema, task, f"dataset {dataset.directory}")
    return TaskRecord(
        state_fields=tuple(field.path for field in fields),
        observation_dim=sum(field.size for field in fields),
        action_dim=schema.action.size,
    )


def check_unchanged(record: RunRecord) -> None:
    """Checks that the demonstrations are still those that the run began with.

    Raises:
        UsageError: A dataset is gone or its content has changed.
    """
    for recorded in record.datasets:
        digest = open_dataset(recorded.path).digest
        if digest != recorded.digest:
            raise UsageError(
                f"{recorded.path}: the demonstrations have changed since the run began (digest "
                f"{recorded.digest[:12]} then, {digest[:12]} now); restore them or begin a new run"
            )


def _record(dataset: Dataset) -> DatasetRecord:
    return DatasetRecord(
        path=str(dataset.directory),
        name=dataset.name,
        version=dataset.version,
        digest=dataset.digest,
        episodes=dataset.num_episodes,
    )


def _versions() -> dict[str, str]:
    versions = {"serlds": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _git_commit() -> str:
    """Commit of the checkout that runs, with a mark for changed files; empty outside of one."""
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
