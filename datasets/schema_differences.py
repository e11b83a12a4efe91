"""In which fields two schemas differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .schema import Field, Schema


@dataclasses.dataclass(frozen=True)
class FieldDifference:
    """A field that two schemas do not share.

    Attributes:
      kind: `step field` or `metadata field`.
      path: of the field.
      first, second: what each schema says of it; None where it has no such field.
    """

    kind: str
    path: str
    first: Field | None
    second: Field | None

    def to_text(self, first: str, second: str) -> str:
        """One line; `first` and `second` say whose the schemas are, e.g. `recorded`, `offered`."""
        found = describe_field(self.first), describe_field(self.second)
        return f"{self.kind} {self.path}: {first} {found[0]}, {second} {found[1]}"


def schema_differences(first: Schema, second: Schema) -> list[FieldDifference]:
    """The fields that differ in dtype, shape, encoding, unit, frame or scale, by kind and path.

    The wording of the documentation is not compared.
    """
    return [
        *_differences("step field", first.steps, second.steps),
        *_differences("metadata field", first.metadata, second.metadata),
    ]


def describe_field(field: Field | None) -> str:
    """All of a field that matters to a program, e.g. `float32 (3,), unit m, frame robot base`."""
    if field is None:
        return "no such field"
    about = field.about
    parts = [field.describe()]
    if about.unit:
        parts.append(f"unit {about.unit}")
    if about.frame:
        parts.append(f"frame {about.frame}")
    if about.scale:
        parts.append(f"scale {about.scale}")
    return ", ".join(parts)


def _differences(
    kind: str, first: Iterable[Field], second: Iterable[Field]
) -> Iterable[FieldDifference]:
    one = {field.path: field for field in first}
    other = {field.path: field for field in second}
    for path in sorted(one.keys() | other.keys()):
        if describe_field(one.get(path)) != describe_field(other.get(path)):
            yield FieldDifference(kind, path, one.get(path), other.get(path))
