"""Configurations as plain JSON values, and the difference between two runs' configurations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ..datasets.errors import UsageError
from .config import AGENT_CONFIGS, RunConfig

Config = TypeVar("Config")

_ABSENT = "(absent)"


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration dataclass as JSON values (tuples become lists)."""
    return {f.name: _to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_dict(cls: type[Config], values: Mapping[str, Any], where: str = "") -> Config:
    """Rebuilds a configuration dataclass from `to_dict`'s values.

    Args:
        cls: The dataclass to build.
        values: JSON values; fields left out take their defaults.
        where: Dotted path of the values, for error messages.

    Raises:
        UsageError: An unknown or missing field, or a value of the wrong type or range.
    """
    where = where or cls.__name__
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: expected an object, found {values!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise UsageError(f"{where}.{name}: unknown field; known: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    built = {n: _from_json(hints[n], value, f"{where}.{n}") for n, value in values.items()}
    for name, spec in fields.items():
        required = (
            spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        )
        if required and name not in built:
            raise UsageError(f"{where}.{name}: missing")
    return cls(**built)


def run_to_dict(run: RunConfig) -> dict[str, Any]:
    """A run's configuration as JSON values."""
    return to_dict(run)


def run_from_dict(values: Mapping[str, Any]) -> RunConfig:
    """Rebuilds a run's configuration; the `algorithm` field decides the agent's class.

    Raises:
        UsageError: An unknown or missing field, or a value of the wrong type or range.
    """
    algorithm = values.get("algorithm")
    if algorithm not in AGENT_CONFIGS:
        known = ", ".join(AGENT_CONFIGS)
        raise UsageError(f"RunConfig.algorithm: expected one of {known}, found {algorithm!r}")
    agent = from_dict(AGENT_CONFIGS[algorithm], values.get("agent", {}), "RunConfig.agent")
    rest = {name: value for name, value in values.items() if name != "agent"}
    return from_dict(RunConfig, {**rest, "agent": agent})


def differences(run: RunConfig, asked: RunConfig) -> list[str]:
    """Names every field in which the configuration asked for differs from a run's.

    Returns:
        One line per differing field, "schedule.env_steps: 3000 in the run, 5000 asked";
        empty when the configurations are the same.
    """
    have, want = dict(_flatten(to_dict(run))), dict(_flatten(to_dict(asked)))
    return [
        f"{name}: {_show(have, name)} in the run, {_show(want, name)} asked"
        for name in sorted(have.keys() | want.keys())
        if _show(have, name) != _show(want, name)
    ]


def _show(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else _ABSENT


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(k): _to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(v) for v in value]
    return value


def _from_json(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _from_union(arguments, value, where)
    if origin is typing.Literal:
        return _checked(value in arguments, value, where, f"one of {arguments}")
    if origin is tuple:
        _checked(isinstance(value, (list, tuple)), value, where, "a list")
        return tuple(_from_json(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if hint is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(_checked(is_number, value, where, "a number"))
    if hint is int:
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        return _checked(is_integer, value, where, "an integer")
    if hint in (bool, str):
        return _checked(isinstance(value, hint), value, where, f"a {hint.__name__}")
    return _checked(isinstance(value, Mapping), value, where, "an object")


def _from_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    """Optional values, and the agent's configuration, which arrives built."""
    if any(isinstance(value, a) for a in arguments if isinstance(a, type)):
        return value
    candidates = [a for a in arguments if a is not type(None)]
    return _from_json(candidates[0], value, where)


def _checked(condition: bool, value: Any, where: str, expected: str) -> Any:
    if not condition:
        raise UsageError(f"{where}: expected {expected}, found {value!r}")
    return value
