"""The tasks there are, and how to make one with its scripted expert."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, Protocol, cast

import gymnasium
from gymnasium.envs.registration import load_env_creator

from ..datasets.errors import UsageError
from ..datasets.schema import FieldDoc
from .rollout import Policy

_EXPERTS = {"serlds/WidowXPickCube-v0": "pick_cube_expert:PickCubeExpert"}


class UnknownTaskError(UsageError):
    """No task has this id."""


class Task(Protocol):
    """What the environment of a task tells beyond Gymnasium's interface.

    Attributes:
      task: short name of the task.
      language_instruction: what the robot is asked to do.
      robot: the robot's model.
      control_hz: actions per second.
      field_docs: meaning, unit, frame and scale of observations and actions, by field path.
    """

    task: str
    language_instruction: str
    robot: str
    control_hz: float
    field_docs: Mapping[str, FieldDoc]

    @property
    def elapsed_s(self) -> float:
        """Time of the last observation since the start of the episode."""
        ...


def task_of(env: gymnasium.Env) -> Task:
    """The task inside an environment and its wrappers.

    Raises:
      UsageError: the environment is not one of a robot task.
    """
    inner = env.unwrapped
    names = (*Task.__annotations__, "elapsed_s")
    if missing := [name for name in names if not hasattr(inner, name)]:
        raise UsageError(
            f"{type(inner).__name__} is no task of a robot: it lacks {', '.join(missing)}; the "
            f"tasks are {', '.join(task_ids())}"
        )
    return cast(Task, inner)


def task_ids() -> list[str]:
    """Gymnasium ids of all tasks of serlds."""
    return sorted(name for name in gymnasium.registry if name.startswith("serlds/"))


def make_env(env_id: str, **env_args: Any) -> gymnasium.Env:
    """Makes the environment of a task.

    Raises:
      UnknownTaskError: lists the tasks there are.
      UsageError: an argument the task does not have, or a value it does not take.
    """
    if env_id not in gymnasium.registry:
        raise UnknownTaskError(f"unknown task {env_id!r}; the tasks are {', '.join(task_ids())}")
    allowed = env_arguments(env_id)
    if unknown := sorted(set(env_args) - set(allowed)):
        raise UsageError(
            f"{env_id} has no argument {', '.join(map(repr, unknown))}; its arguments and their "
            f"defaults are {', '.join(f'{name}={value!r}' for name, value in allowed.items())}"
        )
    return gymnasium.make(env_id, disable_env_checker=True, **env_args)


def env_arguments(env_id: str) -> dict[str, Any]:
    """Names and defaults of the arguments of a task's environment."""
    entry_point = gymnasium.spec(env_id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    if not callable(creator):
        raise UsageError(f"{env_id} is registered without an entry point")
    parameters = inspect.signature(creator).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def env_identity(env: gymnasium.Env) -> tuple[str, dict[str, Any]]:
    """The id of an environment made by `make_env` and all its arguments, also those left default.

    Arguments that only concern what people see (`render_*`) are left out.
    """
    spec = env.spec
    if spec is None:
        raise UsageError(f"{env} has no Gymnasium id; make it with make_env")
    env_args = {**env_arguments(spec.id), **spec.kwargs}
    return spec.id, {
        name: value for name, value in env_args.items() if not name.startswith("render_")
    }


def make_expert(env: gymnasium.Env, noise: float = 0.0, seed: int = 0) -> Policy:
    """The scripted expert of an environment's task, a policy that reads the simulator.

    Args:
      env: made by `make_env`; the expert acts in this very environment.
      noise: standard deviation of the Gaussian noise on its motions, in units of the action.
      seed: of the noise.

    Raises:
      UsageError: the task has no expert, or the noise is negative.
    """
    env_id = env.spec.id if env.spec else type(env.unwrapped).__name__
    if env_id not in _EXPERTS:
        raise UsageError(f"{env_id} has no expert; these tasks have one: {', '.join(_EXPERTS)}")
    if noise < 0.0:
        raise UsageError(f"expert noise {noise}: expected a standard deviation of at least 0")
    module, name = _EXPERTS[env_id].split(":")
    expert = getattr(importlib.import_module(f".{module}", __package__), name)
    return expert(env.unwrapped, noise, seed)
