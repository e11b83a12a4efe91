"""Transforms as text, for the command line: `name` or `name:parameter=value,parameter=value`.

A value that holds a comma or begins with a quotation mark stands in quotation marks, ' or "; inside
them, a backslash goes before a quotation mark of the same kind and before a backslash.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...datasets.errors import UsageError
from .explaining import usage
from .parameters import parameters_of, text_of_value, value_of_text
from .registry import TRANSFORMS
from .transform import Transform

# A parameter with its value, and what comes after it.
_ITEM = re.compile(
    r"""\s*(?P<parameter>\w+)\s*=\s*
        (?: (?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\s*
          | (?P<bare>(?!["'])[^,]*) )
        (?P<end>,|\Z)""",
    re.VERBOSE | re.DOTALL,
)


def parse_transforms(texts: Sequence[str]) -> tuple[Transform, ...]:
    """Reads a chain of transforms, e.g. `["only_successful", "resize_images:height=64,width=64"]`.

    Raises:
      UsageError: an unknown transform or parameter or a wrong value; the message says which there
        are.
    """
    return tuple(parse_transform(text) for text in texts)


def parse_transform(text: str) -> Transform:
    """Reads one transform; errors as `parse_transforms`."""
    name, _, rest = text.partition(":")
    kind = transform_named(name)
    values: dict[str, Any] = {}
    for parameter, value in _items(kind, text, rest):
        if parameter in values:
            raise UsageError(f"{text!r}: {parameter}: is given twice; {usage(kind)}")
        known = parameters_of(kind)
        if parameter not in known:
            raise _unknown_parameter(repr(text), kind, parameter)
        values[parameter] = value_of_text(f"{name}: {parameter}", value, known[parameter])
    return make_transform(repr(text), kind, values)


def transform_named(name: str) -> type[Transform]:
    """The transform of a name; raises UsageError naming those there are."""
    if name not in TRANSFORMS:
        raise UsageError(f"there is no transform {name!r}; the transforms are {_listed()}")
    return TRANSFORMS[name]


def make_transform(where: str, kind: type[Transform], values: Mapping[str, Any]) -> Transform:
    """A transform with these parameters.

    Raises:
      UsageError: one is missing, unknown or has a wrong value; the message begins with `where`
        unless it names the transform and the parameter.
    """
    for parameter in values:
        if parameter not in parameters_of(kind):
            raise _unknown_parameter(where, kind, parameter)
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise UsageError(f"{where}: missing: {', '.join(missing)}; {usage(kind)}")
    return kind(**values)


def transform_to_text(transform: Transform) -> str:
    """The transform with all its parameters, so that `parse_transform` reads it back."""
    values = {name: getattr(transform, name) for name in parameters_of(type(transform))}
    items = [
        f"{name}={_quoted(text_of_value(value))}" for name, value in values.items() if value != ""
    ]
    return f"{transform.name}:{','.join(items)}" if items else transform.name


def _items(kind: type[Transform], text: str, rest: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(rest):
        match = _ITEM.match(rest, position)
        if not match:
            raise UsageError(
                f"{text!r}: cannot read {rest[position:]!r}: expected parameter=value; a value "
                f"with a comma or a quotation mark in front needs quotation marks; {usage(kind)}"
            )
        quoted = match["quoted"]
        yield match["parameter"], match["bare"] if quoted is None else _unescaped(quoted)
        position = match.end()
    if rest.endswith(",") and position == len(rest):
        raise UsageError(f"{text!r}: expected parameter=value after the last comma")


def _quoted(value: str) -> str:
    if value == value.strip() and "," not in value and value[:1] not in ('"', "'"):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)


def _unknown_parameter(where: str, kind: type[Transform], parameter: str) -> UsageError:
    listed = ", ".join(parameters_of(kind)) or "none"
    return UsageError(
        f"{where}: {kind.name} has no parameter {parameter!r}; it has {listed}; {usage(kind)}"
    )


def _listed() -> str:
    return f"{', '.join(TRANSFORMS)} (`serlds transforms` explains them)"
