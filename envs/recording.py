"""Recording episodes of a task to an RLDS dataset, each durable before the next begins."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dm_env
import gymnasium
import numpy as np

from ..datasets import keys
from ..datasets.errors import SerldsError, UsageError
from ..datasets.logger import EpisodeLogger, make_logger
from ..datasets.paths import DatasetPath
from ..datasets.schema import LABEL_FIELD, Schema
from ..datasets.store import EpisodeStore
from .dm_adapter import GymAsDmEnv
from .rollout import (
    OBSERVED_FIELDS,
    SENT_ACTION,
    STEP_FIELDS,
    EpisodeResult,
    Policy,
    RandomPolicy,
    run_episodes,
)
from .tasks import env_identity, make_env, make_expert, task_of

_MOST_ATTEMPTS = 20
"""Episodes recorded for each successful one that was asked for, before recording gives up."""

COLLECTORS_BY_ACTOR = {"expert": "scripted", "policy": "policy", "random": "random"}


@dataclasses.dataclass(frozen=True)
class RecordingResult:
    """What a recording added.

    Attributes:
      directory: of the dataset.
      episodes: how each new episode went, in order.
      total_episodes: how many the dataset holds now.
      notices: what opening the dataset had to put right.
    """

    directory: Path
    episodes: tuple[EpisodeResult, ...]
    total_episodes: int
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = len(self.episodes)
        successes = sum(episode.success for episode in self.episodes)
        transitions = sum(episode.length for episode in self.episodes)
        line = (
            f"{self.directory}: recorded {count} episodes ({successes} successful, {transitions} "
            f"transitions); it holds {self.total_episodes} now"
        )
        return "\n".join([*self.notices, line])


def record_episodes(
    env_id: str,
    env_args: Mapping[str, Any],
    dataset: str | Path,
    *,
    by: str,
    episodes: int,
    count: str = "all",
    policy: Policy | None = None,
    policy_checkpoint: str = "",
    expert_noise: float = 0.0,
    seed: int | None = None,
    label: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> RecordingResult:
    """Makes a task, runs episodes in it and appends each to a dataset.

    Args:
      env_id: Gymnasium id of the task.
      env_args: its arguments.
      dataset: `<data_dir>/<name>[/<version>]`; made when it is not there.
      by: who acts: `expert`, `policy` or `random`.
      episodes: how many to record.
      count: which of them count: `all`, or only the `successful` ones; the others are recorded too.
      policy: who acts when `by` is `policy`.
      policy_checkpoint: where that policy comes from, for the metadata.
      expert_noise: standard deviation of the noise on the expert's motions, in units of the action.
      seed: of the first episode; the next ones count on. None counts on from the episodes that were
        ever recorded there, dropped ones included, so that none is recorded twice.
      label: what every step of these episodes shows, `success` or `failure`: examples for a success
        classifier. Empty for ordinary episodes.
      progress: called with (done, total) after each episode.

    Raises:
      UsageError: a task, argument or combination that is not allowed, or a dataset that the
        episodes do not fit.
      StoreWriteError: the operating system refused to write; earlier episodes are intact.
      SerldsError: too few episodes succeed to ever record as many as asked for.
    """
    _check_request(by, episodes, count, policy, expert_noise, label)
    if seed is not None and seed < 0:
        raise UsageError(f"seed={seed}: expected 0 or more")
    with contextlib.closing(make_env(env_id, **env_args)) as env:
        actor = policy or _scripted(env, by, expert_noise)
        results: list[EpisodeResult] = []
        counted = 0

        def on_episode(result: EpisodeResult) -> None:
            nonlocal counted
            results.append(result)
            counted += result.success or count == "all"
            if progress:
                progress(counted, episodes)

        def seeds(first: int) -> Iterator[int]:
            for seed in itertools.count(first):
                if counted == episodes:
                    return
                if len(results) == _MOST_ATTEMPTS * episodes:
                    raise SerldsError(
                        f"{dataset}: stopped after {len(results)} episodes, of which only "
                        f"{counted} of {episodes} succeeded; all of them are recorded"
                    )
                yield seed

        with (
            open_store(env, dataset, label) as store,
            recording(
                env,
                store,
                lambda: COLLECTORS_BY_ACTOR[by],
                lambda: policy_checkpoint,
                label=label,
            ) as log,
        ):
            first = store.num_recorded if seed is None else seed
            run_episodes(log, actor, seeds(first), on_episode=on_episode)
            return RecordingResult(
                store.directory, tuple(results), store.num_episodes, store.notices
            )


def open_store(
    env: gymnasium.Env, dataset: str | Path | DatasetPath, label: str = ""
) -> EpisodeStore:
    """Opens a dataset for the episodes of an environment made by `make_env`, labelled or not."""
    env_id, env_args = env_identity(env)
    docs = task_of(env).field_docs
    schema = Schema.from_spaces(env.observation_space, env.action_space, docs)
    extra = getattr(env.unwrapped, "step_fields", ())
    schema = dataclasses.replace(schema, steps=(*schema.steps, *extra))
    if label:
        schema = Schema(schema.steps, (*schema.metadata, LABEL_FIELD))
    return EpisodeStore.open(dataset, schema, env_id=env_id, env_args=env_args)


@contextlib.contextmanager
def recording(
    env: gymnasium.Env,
    store: EpisodeStore,
    collector: Callable[[], str],
    policy_checkpoint: Callable[[], str] = lambda: "",
    has_intervened: Callable[[], bool] = lambda: False,
    label: str = "",
) -> Iterator[EpisodeLogger]:
    """An environment for `run_episode` that appends each finished episode to `store`.

    Args:
      env: made by `make_env`; it stays the caller's to close.
      store: opened by `open_store`; it stays the caller's to close.
      collector: asked at the end of each episode who acted, one of `keys.COLLECTORS`.
      policy_checkpoint: asked at the end of each episode for the checkpoint that acted.
      has_intervened: asked at every step whether a person chose its action.
      label: as of `record_episodes`; the store must have been opened with one, too.
    """
    task = task_of(env)

    def step_fields(timestep: dm_env.TimeStep, action: Any, wrapped: Any) -> dict[str, Any]:
        what_became = {}
        if action is not None and SENT_ACTION in wrapped.info:
            what_became = {keys.ACTION: wrapped.info[SENT_ACTION], **wrapped.info[STEP_FIELDS]}
        return {
            **what_became,
            **wrapped.info.get(OBSERVED_FIELDS, {}),
            keys.LANGUAGE_INSTRUCTION: task.language_instruction,
            keys.TIMESTAMP_S: np.float32(task.elapsed_s),
            keys.INTERVENED: action is not None and has_intervened(),
        }

    def metadata(timestep: dm_env.TimeStep, wrapped: dm_env.Environment) -> dict[str, Any]:
        return {
            keys.TASK: task.task,
            keys.ROBOT: task.robot,
            keys.COLLECTOR: collector(),
            keys.POLICY_CHECKPOINT: policy_checkpoint(),
            keys.SUCCESS: bool(wrapped.info["success"]),
            keys.SEED: -1 if wrapped.episode_seed is None else wrapped.episode_seed,
            keys.CONTROL_HZ: task.control_hz,
            **({keys.LABEL: label} if label else {}),
        }

    logger = make_logger(GymAsDmEnv(env), store, step_fields, metadata)
    try:
        yield logger
    finally:
        logger.writer.close()


def _scripted(env: gymnasium.Env, by: str, expert_noise: float) -> Policy:
    if by == "expert":
        return make_expert(env, expert_noise)
    return RandomPolicy(int(np.prod(env.action_space.shape or ())))


def _check_request(
    by: str, episodes: int, count: str, policy: Policy | None, expert_noise: float, label: str
) -> None:
    if by not in COLLECTORS_BY_ACTOR:
        raise UsageError(f"by={by!r}: expected one of {', '.join(COLLECTORS_BY_ACTOR)}")
    if (policy is not None) != (by == "policy"):
        raise UsageError(f"by={by!r}: a policy is needed for 'policy', and for nothing else")
    if count not in ("all", "successful"):
        raise UsageError(f"count={count!r}: expected all or successful")
    if episodes < 1:
        raise UsageError(f"episodes={episodes}: expected at least 1")
    if expert_noise and by != "expert":
        raise UsageError(f"expert_noise={expert_noise}: only the expert takes it, not {by!r}")
    if label and label not in keys.LABELS:
        raise UsageError(f"label={label!r}: expected one of {', '.join(keys.LABELS)}")
