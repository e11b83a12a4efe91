"""The tasks there are, and how to make one with its scripted expert."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import gymnasium
from gymnasium.envs.registration import load_env_creator

from ..datasets.errors import UsageError
from ..datasets.keys import IMAGE
from ..datasets.schema import FieldDoc
from . import arguments
from .classifier_reward import PREFIX, ClassifierReward, with_classifier_reward
from .rollout import Policy

_BACKEND, _SIM, _ROBOT = "backend", "sim", "robot"
"""Arguments of every task that say where it is done."""
_ROBOT_EXPERT = "robot_expert:PickMotion"
_REWARD = "reward"
"""Task argument that says what is rewarded."""
_ONLY_SIMULATED = {"object_state": True, _REWARD: "dense"}
"""Arguments that ask for what only a simulator knows: where the objects are."""
_EXPERTS = {
    "serlds/BimanualLift-v0": "bimanual_lift_expert:BimanualLiftExpert",
    "serlds/FrankaBinRelocation-v0": "bin_relocation_expert:BinRelocationExpert",
    "serlds/FrankaPegInsert-v0": "peg_insert_expert:PegInsertExpert",
    "serlds/FrankaPickCube-v0": "pick_cube_expert:PickCubeExpert",
    "serlds/WidowXBinRelocation-v0": "bin_relocation_expert:BinRelocationExpert",
    "serlds/WidowXPegInsert-v0": "peg_insert_expert:PegInsertExpert",
    "serlds/WidowXPickCube-v0": "pick_cube_expert:PickCubeExpert",
}


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

    Every task takes `backend`: `sim`, or `robot` for real arms; and `robot`, the arms' setup.
    `reward="classifier:DIR"` rewards by a success classifier, see `with_classifier_reward`.

    Raises:
      UnknownTaskError: lists the tasks there are.
      UsageError: an argument the task does not have, or a value it does not take.
      SchemaError, DamagedDatasetError: a classifier that does not fit or cannot be read.
    """
    allowed = env_arguments(env_id)
    if unknown := sorted(set(env_args) - set(allowed)):
        raise UsageError(
            f"{env_id} has no argument {', '.join(map(repr, unknown))}; its arguments and their "
            f"defaults are {', '.join(f'{name}={value!r}' for name, value in allowed.items())}"
        )
    backend, robot = env_args.pop(_BACKEND, _SIM), env_args.pop(_ROBOT, None)
    arguments.choice(_BACKEND, backend, (_SIM, _ROBOT))
    if backend == _SIM and robot is not None:
        raise UsageError(f"robot={robot!r}: only backend={_ROBOT} takes it")
    reward = env_args.get(_REWARD)
    has_classifier = isinstance(reward, str) and reward.startswith(PREFIX)
    if has_classifier:
        del env_args[_REWARD]
    if backend == _ROBOT:
        for name, value in _ONLY_SIMULATED.items():
            if env_args.get(name) == value:
                raise UsageError(
                    f"{name}={value!r}: a robot does not know where the objects are; only "
                    f"backend={_SIM} takes it"
                )
        env_args["object_state"] = False
    env = gymnasium.make(env_id, disable_env_checker=True, **env_args)
    try:
        if backend == _ROBOT:
            env = _on_robot(env, robot)
        return with_classifier_reward(env, str(reward)) if has_classifier else env
    except BaseException:
        env.close()
        raise


def _on_robot(env: gymnasium.Env, robot: str | Mapping[str, Any] | None) -> gymnasium.Env:
    """The task of a simulated environment on real arms, see `robot_setup`; raises UsageError."""
    from .robot_env import RobotManipulation
    from .robot_setup import robot_setup

    twin, spec = env.unwrapped, copy.deepcopy(env.spec)
    assert spec is not None
    mounts = [arm.mount for arm in twin.arms]
    cameras = twin.observation_space.spaces.get(IMAGE, {})
    found = RobotManipulation(twin, robot_setup(robot, mounts, [*cameras]))
    spec.kwargs |= {_BACKEND: _ROBOT, _ROBOT: robot}
    found.spec = spec
    return found


def is_on_robot(env_args: Mapping[str, Any]) -> bool:
    """Whether a task with these arguments moves real arms."""
    return env_args.get(_BACKEND) == _ROBOT


def env_arguments(env_id: str) -> dict[str, Any]:
    """Names and defaults of the arguments of a task's environment.

    Raises:
      UnknownTaskError: lists the tasks there are.
    """
    if env_id not in gymnasium.registry:
        raise UnknownTaskError(f"unknown task {env_id!r}; the tasks are {', '.join(task_ids())}")
    entry_point = gymnasium.spec(env_id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    if not callable(creator):
        raise UsageError(f"{env_id} is registered without an entry point")
    return {**_arguments(creator), _BACKEND: _SIM, _ROBOT: None}


def _arguments(creator: Callable[..., Any]) -> dict[str, Any]:
    """Arguments and defaults, with those that a class hands on to its base class by `**`."""
    if not inspect.isclass(creator):
        return {item.name: item.default for item in inspect.signature(creator).parameters.values()}
    arguments: dict[str, Any] = {}
    for owner in creator.__mro__:
        if "__init__" not in vars(owner):
            continue
        _, *taken = inspect.signature(owner.__init__).parameters.values()
        named = [item for item in taken if item.kind is not item.VAR_KEYWORD]
        if arguments:  # what a base needs without a default, the subclass gives
            named = [item for item in named if item.default is not item.empty]
        arguments = {**{item.name: item.default for item in named}, **arguments}
        if not any(item.kind is item.VAR_KEYWORD for item in taken):
            break
    return arguments


def env_identity(env: gymnasium.Env) -> tuple[str, dict[str, Any]]:
    """The id of an environment made by `make_env` and all its arguments, also those left default.

    Arguments that only concern what people see (`render_*`) are left out.
    """
    spec = env.spec
    if spec is None:
        raise UsageError(f"{env} has no Gymnasium id; make it with make_env")
    env_args = {**env_arguments(spec.id), **spec.kwargs}
    if env_args[_BACKEND] == _SIM:  # as recordings were before there were robots
        del env_args[_BACKEND], env_args[_ROBOT]
    if isinstance(env, ClassifierReward):
        env_args[_REWARD] = env.name
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
      UsageError: the task has no expert, or the noise is negative or not finite.
    """
    env_id = env.spec.id if env.spec else type(env.unwrapped).__name__
    if env_id not in _EXPERTS:
        raise UsageError(f"{env_id} has no expert; these tasks have one: {', '.join(_EXPERTS)}")
    if not 0.0 <= noise < float("inf"):
        raise UsageError(f"expert noise {noise}: expected a standard deviation of at least 0")
    on_robot = env.spec is not None and is_on_robot(env.spec.kwargs)
    module, name = (_ROBOT_EXPERT if on_robot else _EXPERTS[env_id]).split(":")
    expert = getattr(importlib.import_module(f".{module}", __package__), name)
    return expert(env.unwrapped, noise, seed)
