"""A comparison of two datasets on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .comparing import ChangedEpisode, Comparison, EpisodePlace

_SHOWN = 10


def comparison_text(found: Comparison) -> str:
    """What differs, line by line; A is the first dataset, B the second."""
    lines = [
        f"A: {found.a}: {found.episodes_a} episodes",
        f"B: {found.b}: {found.episodes_b} episodes",
        *found.schema,
        *_listed("only in A", [_named(place) for place in found.only_a]),
        *_listed("only in B", [_named(place) for place in found.only_b]),
        *_listed("other content (A | B)", [_changed(one) for one in found.changed]),
        *_listed(
            "other split", [f"{_named(a)}: {a.split} in A, {b.split} in B" for a, b in found.moved]
        ),
    ]
    if found.is_reordered:
        lines.append("the episodes that are the same come in another order")
    lines.append(f"{found.same} episode(s) are the same" + (": no difference" * found.is_same))
    return "\n".join(lines)


def _listed(what: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    lines = [f"{what}: {len(items)} episode(s)", *(f"  {item}" for item in items[:_SHOWN])]
    if len(items) > _SHOWN:
        lines.append(f"  and {len(items) - _SHOWN} more, see --json")
    return lines


def _named(place: EpisodePlace) -> str:
    return f"{place.ordinal}  {place.episode_id}"


def _changed(one: ChangedEpisode) -> str:
    fields = "\n".join(f"    {change}" for change in one.fields)
    return f"{one.ordinal_a} | {one.ordinal_b}  {one.episode_id}\n{fields}"
