"""What the dimensions of a field are called, as far as its documentation says so."""

from __future__ import annotations

import re

from ..datasets.schema import Field

_NUMBERED = re.compile(r"(?:^|[.;,]\s+)(\d+) ([^\s;,()]+)(?: \(([^()]*)\))?(?=[;,.]|$)")
_AXES = ("x", "y", "z")


def dimension_names(field: Field) -> list[str]:
    """A name for each of the field's numbers; its index where the documentation gives none, or
    nothing where there is one number only.

    Understood are texts that number all dimensions, as in `0 tcp_pos.0 (m); 1 tcp_pos.1 (m)`, and
    positions: three numbers in m.
    """
    if (numbered := _numbered(field)) is not None:
        return [name for name, _ in numbered]
    if field.shape == (3,) and {unit.strip() for unit in field.about.unit.split(",")} == {"m"}:
        return list(_AXES)
    return [str(index) for index in range(field.size)] if field.size > 1 else [""]


def dimension_units(field: Field) -> list[str]:
    """The unit of each number; of a normalised one, what 1 stands for; empty where unknown."""
    units = [unit.strip() for unit in field.about.unit.split(",")]
    if len(units) != field.size:
        numbered = _numbered(field) if not field.about.unit else None
        units = [unit for _, unit in numbered] if numbered else [field.about.unit] * field.size
    if len(field.about.scale) == field.size:
        pairs = zip(field.about.scale, units, strict=True)
        return [unit and f"{scale:g}" + f" {unit}" * (unit != "1") for scale, unit in pairs]
    return units


def _numbered(field: Field) -> list[tuple[str, str]] | None:
    found = _NUMBERED.findall(field.about.doc)
    if len(field.shape) == 1 and [int(index) for index, _, _ in found] == list(range(field.size)):
        return [(name, unit) for _, name, unit in found] or None
    return None
