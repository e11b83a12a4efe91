"""The parameters of transforms: their types, as text and as values of a configuration file."""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any, Literal

from ...datasets.errors import UsageError

_TRUTHS = {"true": True, "false": False}
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_INTEGERS = tuple[int, ...]


@functools.cache
def parameters_of(transform: type) -> dict[str, Any]:
    """The type of each parameter: str, int, float, bool, tuple[int, ...] or a Literal of texts.

    Those that must be given come first.
    """
    hints = typing.get_type_hints(transform)
    fields = [field for field in dataclasses.fields(transform) if field.init]
    fields.sort(key=lambda field: field.default is not dataclasses.MISSING)
    return {field.name: hints[field.name] for field in fields}


def describe_type(kind: Any) -> str:
    """What values a type has, in a few words."""
    if typing.get_origin(kind) is Literal:
        return " | ".join(typing.get_args(kind))
    return "whole numbers with spaces between" if kind == _INTEGERS else _NAMES[kind]


def value_of_text(where: str, text: str, kind: Any) -> Any:
    """The value that a text on the command line stands for; `check_value` comes after it.

    Raises:
      UsageError: the text is no value of that type; the message begins with `where`.
    """
    try:
        if kind is bool:
            return _TRUTHS[text.lower()]
        if kind == _INTEGERS:
            return tuple(int(item) for item in text.replace(",", " ").split())
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError) as error:
        raise _wrong(where, kind, text) from error


def text_of_value(value: Any) -> str:
    """Inverse of `value_of_text`."""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def check_value(where: str, value: Any, kind: Any) -> None:
    """Checks that a parameter has a value of its type.

    Raises:
      UsageError: it has not; the message begins with `where`.
    """
    if typing.get_origin(kind) is Literal:
        fits = value in typing.get_args(kind)
    elif kind == _INTEGERS:
        fits = isinstance(value, tuple) and all(type(item) is int for item in value)
    elif kind is float:
        fits = type(value) in (int, float) and value == value and abs(value) != float("inf")
    else:
        fits = type(value) is kind
    if not fits:
        raise _wrong(where, kind, value)


def _wrong(where: str, kind: Any, found: Any) -> UsageError:
    choice = "one of " if typing.get_origin(kind) is Literal else ""
    return UsageError(f"{where}: expected {choice}{describe_type(kind)}, found {found!r}")
