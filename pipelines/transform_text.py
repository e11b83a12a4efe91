"""Transforms as text, for the command line: `name` or `name:parameter=value,parameter=value`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any, get_type_hints

from ..datasets.errors import UsageError
from .transforms import TRANSFORMS, Transform


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
    if name not in TRANSFORMS:
        raise UsageError(f"there is no transform {name!r}; known are\n{describe_transforms()}")
    kind = TRANSFORMS[name]
    values: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        parameter, equals, value = item.partition("=")
        if not equals or parameter in values or parameter not in _parameters(kind):
            raise UsageError(
                f"{text!r}: cannot use {item!r}: expected parameter=value, each once; {_help(kind)}"
            )
        values[parameter] = _value(text, parameter, value, _parameters(kind)[parameter])
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise UsageError(f"{text!r}: missing: {', '.join(missing)}; {_help(kind)}")
    return kind(**values)


def transform_to_text(transform: Transform) -> str:
    """The transform with all its parameters, so that `parse_transform` reads it back."""
    values = dataclasses.asdict(transform)
    items = ",".join(f"{name}={value}" for name, value in values.items() if value != "")
    return f"{transform.name}:{items}" if items else transform.name


def describe_transforms() -> str:
    """All transforms for a person: how to write each, and its first line of help."""
    return "\n".join(
        f"  {_usage(kind)}\n      {_doc(kind).splitlines()[0]}" for kind in TRANSFORMS.values()
    )


def _help(kind: type[Transform]) -> str:
    return f"use it as {_usage(kind)}\n{_doc(kind)}"


def _doc(kind: type[Transform]) -> str:
    return inspect.getdoc(kind) or ""


def _usage(kind: type[Transform]) -> str:
    """How to write a transform; what may be left out is in brackets, with its default."""
    text = kind.name
    for field in dataclasses.fields(kind):
        mark = ":" if text == kind.name else ","
        if field.default is dataclasses.MISSING:
            text += f"{mark}{field.name}=<{_parameters(kind)[field.name].__name__}>"
        else:
            text += f"[{mark}{field.name}={field.default or '<path>'}]"
    return text


def _parameters(kind: type[Transform]) -> dict[str, type]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _value(text: str, parameter: str, value: str, kind: type) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(
            f"{text!r}: {parameter}: expected {kind.__name__}, found {value!r}"
        ) from error
