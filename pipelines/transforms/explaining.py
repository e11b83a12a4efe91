"""The help of transforms, made from their docstrings and parameters."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable

from .parameters import describe_type, parameters_of, text_of_value
from .transform import Transform

_ATTRIBUTES = "\nAttributes:\n"


def usage(kind: type[Transform]) -> str:
    """How a transform is written, on one line: `use it as name:parameter=...`."""
    return f"use it as {kind.example!r}; see `serlds transforms {kind.name}`"


def summarize(kinds: Iterable[type[Transform]]) -> str:
    """All transforms for a person, one line each."""
    kinds = list(kinds)
    width = max(len(kind.name) for kind in kinds)
    return "\n".join(f"  {kind.name:{width}}  {_doc(kind).splitlines()[0]}" for kind in kinds)


def explain(kind: type[Transform]) -> str:
    """The whole help of a transform: what it does, each parameter, an example."""
    what = _doc(kind).partition(_ATTRIBUTES)[0]
    lines = [kind.name, "", *_indented(what.strip().splitlines()), ""]
    helps = _parameter_helps(kind)
    if helps:
        lines += ["parameters", ""]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, type_ in parameters_of(kind).items():
        default = fields[name].default
        needed = "needed" if default is dataclasses.MISSING else f"default {_shown(default)}"
        lines.append(f"  {name}  ({describe_type(type_)}; {needed})")
        lines += _indented(helps[name], 6)
    quoted = f'"{kind.example}"' if '"' not in kind.example else f"'{kind.example}'"
    lines += ["", "example", "", f"  serlds convert SOURCE DESTINATION --apply {quoted}"]
    return "\n".join(lines)


def _shown(default: object) -> str:
    return text_of_value(default) or "empty"


def _parameter_helps(kind: type[Transform]) -> dict[str, list[str]]:
    """Lines of help by parameter, from the docstrings of the class and of those it builds on."""
    helps: dict[str, list[str]] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Transform) and base is not Transform:
            attributes = inspect.cleandoc(base.__doc__ or "").partition(_ATTRIBUTES)[2]
            helps |= _entries(attributes)
    return helps


def _entries(attributes: str) -> dict[str, list[str]]:
    entries: dict[str, list[str]] = {}
    name = ""
    for line in attributes.splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            name, _, first = line.strip().partition(": ")
            entries[name] = [first]
        elif line.strip():
            entries[name].append(line.strip())
    return entries


def _indented(lines: Iterable[str], by: int = 2) -> list[str]:
    return [" " * by + line if line else "" for line in lines]


def _doc(kind: type[Transform]) -> str:
    return inspect.getdoc(kind) or ""
