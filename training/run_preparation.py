"""What a run is made of: checks before anything starts, and the records kept in `config.json`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import __version__
from ..datasets.episode import Episode
from ..datasets.errors import DamagedDatasetError, UsageError
from ..datasets.keys import DISCOUNT, IMAGE_PREFIX, REWARD, STATE_PREFIX, SUCCESS
from ..datasets.provenance import utc_now_text
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Field, Schema, check_fits
from ..datasets.verdict import Verdict, objection, read_verdict
from ..envs.tasks import make_env
from .config import AgentConfig, BCConfig, RLPDConfig, RunConfig, VICEConfig, encoder_of
from .encoder_trunk import pinned
from .network_config import ARM_ACTIONS
from .replay_budget import check_memory
from .replay_items import Camera
from .replay_tables import demo_rows, online_rows
from .run_directory import DatasetRecord, RunRecord, TaskRecord

_OPENING = "gripper_pos"
"""End of the names of fields that say how far a gripper is open."""
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


def prepare(config: RunConfig, allow_unvalidated: bool = False) -> RunRecord:
    """Checks that the configuration can run and describes all that it depends on.

    Args:
        config: What to train, on what.
        allow_unvalidated: Take demonstrations that `serlds validate` has not found good.

    Raises:
        UsageError: A combination that makes no sense, an unknown task or argument, demonstrations
            that are missing, too many, do not fit the task, or are not known to be good, or more
            replay than the machine can hold.
    """
    config = with_pinned_trunks(config)
    check_combination(config)
    datasets = open_demos(config.demos)
    warn_of_demos(config, datasets)
    task = describe_task(config, datasets)
    check_arms(config, task)
    if config.algorithm == "vice":
        check_shows_success(datasets)
    config = with_openings(config, task)
    if not allow_unvalidated:
        for dataset in datasets:
            check_validated(dataset)
    record = RunRecord(
        run=config,
        task=task,
        datasets=tuple(_record(dataset) for dataset in datasets),
        git_commit=_git_commit(),
        versions=_versions(),
        created_utc=utc_now_text(),
    )
    check_memory(record)
    return record


def check_combination(config: RunConfig) -> None:
    """Raises UsageError where algorithm, demonstrations and schedule contradict each other."""
    name, schedule = config.algorithm, config.schedule
    alone = name in ("sac", "drq")
    if alone and config.demos:
        raise UsageError(f"{name} learns from its own episodes alone; with --demos use rlpd or bc")
    if not alone and not config.demos:
        raise UsageError(f"{name} needs demonstrations: give --demos DATASET")
    if name == "bc" and schedule.env_steps:
        raise UsageError(
            f"schedule.env_steps={schedule.env_steps}: bc acts in no environment; use 0"
        )
    if name != "bc" and schedule.env_steps == 0:
        raise UsageError(f"schedule.env_steps=0: {name} needs environment steps; use 1 or more")
    if name == "bc" and schedule.offline_updates == 0:
        raise UsageError("schedule.offline_updates=0: bc needs updates; use 1 or more")
    if alone and schedule.offline_updates:
        raise UsageError(
            f"schedule.offline_updates={schedule.offline_updates}: {name} has nothing to "
            f"learn from before its first environment step; use 0"
        )
    if name == "hg-dagger" and config.chunk > 1:
        raise UsageError(
            f"agent.chunk={config.chunk}: hg-dagger looks at every step, as a person does; use 1"
        )
    if name == "vice" and schedule.offline_updates:
        raise UsageError(
            f"schedule.offline_updates={schedule.offline_updates}: vice's classifier tells "
            f"demonstrations from what the policy reaches, and before the first environment step "
            f"it reaches nothing; use 0, and agent.bc_pretrain_updates to clone them first"
        )
    if name == "vice" and demo_rows(config) == 0:
        raise UsageError(
            f"agent.demo_fraction={config.agent.demo_fraction}: leaves no row of a batch of "
            f"{schedule.batch_size} for demonstrations, of which vice learns success; use more"
        )
    if isinstance(config.agent, RLPDConfig) and online_rows(config) == 0:
        raise UsageError(
            f"agent.demo_fraction={config.agent.demo_fraction}: leaves no row of a batch of "
            f"{schedule.batch_size} for online data; use less, or bc"
        )


def check_arms(config: RunConfig, task: TaskRecord) -> None:
    """Raises UsageError where each arm wants a policy of its own and does not get one."""
    if config.policies != "per-arm":
        return
    arms, rest = divmod(task.action_dim, ARM_ACTIONS)
    if rest or arms < 2:
        raise UsageError(
            f"policies=per-arm: {config.env_id} has actions of {task.action_dim} numbers; expected "
            f"two arms or more of {ARM_ACTIONS} each"
        )
    sac = config.agent.sac if isinstance(config.agent, RLPDConfig) else config.agent
    gripper = None if isinstance(sac, BCConfig) else sac.gripper
    if gripper is not None and gripper.actions:
        raise UsageError(
            f"agent.gripper.actions={gripper.actions}: with policies=per-arm each policy has the "
            f"gripper of its own arm, the last of its {ARM_ACTIONS} numbers; leave it out"
        )


def open_demos(paths: Sequence[str]) -> list[Dataset]:
    """Opens the datasets of demonstrations.

    Raises:
        UsageError: One is missing, is not RLDS, has no episodes, or holds what another does.
    """
    datasets = [open_dataset(path) for path in paths]
    by_digest: dict[str, Path] = {}
    for dataset in datasets:
        if dataset.num_episodes == 0:
            raise UsageError(f"{dataset.directory}: has no episodes to learn from; record some")
        first = by_digest.setdefault(dataset.digest, dataset.directory)
        if first is not dataset.directory:
            raise UsageError(
                f"{dataset.directory}: holds the same episodes as {first}; name each dataset once"
            )
    return datasets


def check_shows_success(datasets: Sequence[Dataset]) -> None:
    """Raises UsageError where no demonstration ends in what VICE takes for success."""
    if not any(_ends_well(episode) for dataset in datasets for episode in dataset.episodes()):
        places = ", ".join(str(dataset.directory) for dataset in datasets)
        raise UsageError(
            f"vice learns from demonstrations what success looks like, and no episode of {places} "
            f"has a transition of reward above 0 and discount 0; record successful ones: "
            f"serlds record --count successful"
        )


def _ends_well(episode: Episode) -> bool:
    rewards, discounts = episode[REWARD][:-1], episode[DISCOUNT][:-1]
    return bool(np.any((rewards > 0) & (discounts == 0)))


def warn_of_demos(config: RunConfig, datasets: Sequence[Dataset]) -> None:
    """Tells of demonstrations that may teach something else: of another task, or failures."""
    for dataset in datasets:
        recorded = dataset.provenance.env_id if dataset.provenance else ""
        if recorded not in ("", config.env_id):
            _warn(
                f"{dataset.directory} was recorded in {recorded}, and this run is of "
                f"{config.env_id}: do they show the same task?"
            )
        if isinstance(config.agent, BCConfig) and (failed := _failures(dataset)):
            _warn(
                f"{failed} of {dataset.num_episodes} episodes of {dataset.directory} failed, and "
                f"{config.algorithm} imitates them like the others; to leave them out: serlds "
                f"convert {dataset.directory} NEW --apply only_successful"
            )


def _failures(dataset: Dataset) -> int:
    if SUCCESS not in (field.path for field in dataset.schema.metadata):
        return 0
    return sum(not episode.success for episode in dataset.episodes())


def _warn(what: str) -> None:
    print(f"warning: {what}", file=sys.stderr, flush=True)


def check_validated(dataset: Dataset) -> None:
    """Checks that `serlds validate` found no errors in the dataset as it is now.

    Raises:
        UsageError: It did, or was never asked, or the dataset has changed since.
    """
    if why := objection(_verdict(dataset), dataset.digest):
        raise UsageError(
            f"{dataset.directory}: the dataset {why}; run `serlds validate {dataset.directory}` "
            f"and mend what it finds, or train on it all the same with --allow-unvalidated"
        )


def describe_task(config: RunConfig, datasets: Sequence[Dataset]) -> TaskRecord:
    """The task's interface, checked against the demonstrations.

    Raises:
        UsageError: An unknown task or argument, a task without state or without a camera that the
            agent sees, or demonstrations whose fields do not fit the task's.
    """
    with contextlib.closing(make_env(config.env_id, **config.env_args)) as env:
        schema = Schema.from_spaces(env.observation_space, env.action_space, {})
        switch_field = getattr(env.unwrapped, "switch_field", "")
    fields = schema.state_fields
    if not fields:
        raise UsageError(f"{config.env_id}: its observations have no `state` to learn from")
    cameras = _cameras(config, schema)
    for dataset in datasets:
        task = f"task {config.env_id} with {dict(config.env_args)}"
        check_fits((*fields, schema.action), dataset.schema, task, f"dataset {dataset.directory}")
        _check_cameras(cameras, dataset)
    return TaskRecord(
        state_fields=tuple(field.path for field in fields),
        observation_dim=sum(field.size for field in fields),
        action_dim=schema.action.size,
        cameras=cameras,
        openings=_openings(fields),
        switch=_switch(config, fields, switch_field),
    )


def with_pinned_trunks(config: RunConfig) -> RunConfig:
    """The configuration with frozen trunks `pinned`.

    Raises:
        UsageError, DamagedDatasetError: The file of one is not there, or holds something else.
    """
    agent, encoder = config.agent, pinned(config.encoder)
    if isinstance(agent, RLPDConfig):
        agent = replace(agent, sac=replace(agent.sac, encoder=encoder))
    else:
        agent = replace(agent, encoder=encoder)
    if isinstance(agent, VICEConfig):
        judge = replace(agent.classifier, encoder=pinned(agent.classifier.encoder))
        agent = replace(agent, classifier=judge)
    return replace(config, agent=agent)


def with_openings(config: RunConfig, task: TaskRecord) -> RunConfig:
    """The configuration with the places of the grippers' openings written down.

    Raises:
        UsageError: The task does not tell them, or has other grippers than the critic.
    """
    agent = config.agent
    sac = agent.sac if isinstance(agent, RLPDConfig) else agent
    if isinstance(sac, BCConfig) or sac.gripper is None or sac.gripper.openings:
        return config
    gripper, grippers = sac.gripper, len(sac.gripper.positions(task.action_dim))
    if gripper.penalty and len(task.openings) != grippers:
        raise UsageError(
            f"gripper.penalty={gripper.penalty}: needs the opening of each of {grippers} grippers, "
            f"and {config.env_id} has {len(task.openings)} fields `gripper_pos`; give "
            f"gripper.openings, their positions in the state, or set gripper.penalty to 0"
        )
    sac = replace(sac, gripper=replace(gripper, openings=task.openings))
    whole = replace(agent, sac=sac) if isinstance(agent, RLPDConfig) else sac
    return replace(config, agent=whole)


def _openings(fields: Sequence[Field]) -> tuple[int, ...]:
    """Where the fields that end in `gripper_pos` stand in the state."""
    starts = itertools.accumulate((field.size for field in fields), initial=0)
    places = zip(starts, fields, strict=False)
    return tuple(at for at, field in places if field.path.endswith(_OPENING) and field.size == 1)


def _switch(config: RunConfig, fields: Sequence[Field], name: str) -> int | None:
    """Where the state tells the task from its reverse, if the policies want to know.

    Raises:
        UsageError: They do and it does not, or there is one arm only and they want one each.
    """
    if config.policies == "per-task":
        starts = itertools.accumulate((field.size for field in fields), initial=0)
        for at, field in zip(starts, fields, strict=False):
            if name and field.path == STATE_PREFIX + name:
                return at
        what = (
            f"does not show its state field {name!r}; set object_state=true"
            if name
            else "has one task"
        )
        raise UsageError(f"policies=per-task: {config.env_id} {what}")
    return None


def observed_cameras(agent: AgentConfig) -> tuple[str, ...]:
    """Names of the cameras that an agent sees; none for one that learns from the state alone."""
    encoder = encoder_of(agent)
    return encoder.cameras if encoder else ()


def _cameras(config: RunConfig, schema: Schema) -> tuple[Camera, ...]:
    """The cameras that the agent sees, at the size at which the task shows them."""
    fields = {field.path.removeprefix(IMAGE_PREFIX): field for field in schema.image_fields}
    names = observed_cameras(config.agent)
    if missing := [name for name in names if name not in fields]:
        raise UsageError(
            f"encoder.cameras: {config.env_id} with {dict(config.env_args)} shows no "
            f"{', '.join(missing)}; it shows {', '.join(fields) or 'nothing'}"
        )
    return tuple(Camera(name, *fields[name].shape[:2]) for name in names)


def _check_cameras(cameras: Sequence[Camera], dataset: Dataset) -> None:
    there = {field.path: field for field in dataset.schema.image_fields}
    for camera in cameras:
        if camera.path not in there or there[camera.path].shape[-1] != 3:
            names = [path.removeprefix(IMAGE_PREFIX) for path in there]
            raise UsageError(
                f"dataset {dataset.directory} has no colour images of camera {camera.name!r}, "
                f"which the agent sees; its cameras: {', '.join(names) or 'none'}. Record "
                f"demonstrations with it (serlds record --cameras "
                f"{' '.join(one.name for one in cameras)}), or train with other encoder.cameras"
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
        transitions=sum(episode.num_transitions for episode in dataset.episodes()),
        verdict=_verdict(dataset),
    )


def _verdict(dataset: Dataset) -> Verdict | None:
    try:
        return read_verdict(dataset.directory)
    except DamagedDatasetError:  # says nothing, as if it were not there
        return None


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
