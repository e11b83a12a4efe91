"""A dataset's summary on the terminal."""

from __future__ import annotations

import json

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .. import page
from .dataset_files import MANY_SHARDS
from .summary import FieldSummary, Spread, Summary


def render(summary: Summary) -> RenderableType:
    """The summary as two tables for `rich.console.Console.print`."""
    return Group(
        Text(f"{summary.name} {summary.version}", style="bold"),
        _facts_table(summary),
        Text(),
        _fields_table(summary),
    )


def _facts_table(summary: Summary) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(summary):
        if value:
            table.add_row(name, escape(value))
    return table


def _facts(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("description", summary.description),
        ("directory", summary.directory),
        ("size", _files(summary)),
        ("episodes", _episodes(summary)),
        ("dropped", _dropped(summary)),
        ("steps", f"{summary.steps} (the last observation of each episode included)"),
        ("steps per episode", _spread(summary.steps_per_episode)),
        ("return", _spread(summary.episode_return)),
        ("success", _success(summary)),
        ("task", ", ".join(summary.tasks)),
        ("robot", ", ".join(summary.robots)),
        ("recorded", _recorded(summary)),
        ("environment", _environment(summary)),
        ("parents", "\n".join(_parent(parent) for parent in summary.parents)),
        ("transform", json.dumps(summary.transform) if summary.transform else ""),
        ("created", _created(summary)),
        ("digest", summary.digest),
        ("validation", summary.validation),
    ]


def _fields_table(summary: Summary) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("step field", "type", "shape"):
        table.add_column(column, no_wrap=True)
    table.add_column("unit; frame", style="dim")
    for field in summary.step_fields:
        table.add_row(*_row(field))
    names = ", ".join(field.path for field in summary.metadata_fields)
    return Group(table, Text(f"\nepisode metadata: {names}")) if names else table


def _row(field: FieldSummary) -> list[str]:
    shape = " x ".join(str(size) for size in field.shape)
    # Everything behind a colon is detail, which --json and features.json have.
    frame = field.frame.partition(":")[0]
    units = list(dict.fromkeys(unit.strip() for unit in field.unit.split(",")))
    about = "; ".join(filter(None, (", ".join(units), frame)))
    return [escape(text) for text in (field.path, field.encoding or field.dtype, shape, about)]


def _episodes(summary: Summary) -> str:
    if len(summary.splits) <= 1:
        return str(summary.episodes)
    parts = ", ".join(f"{name} {count}" for name, count in summary.splits.items())
    return f"{summary.episodes} ({parts})"


def _files(summary: Summary) -> str:
    text = f"{page.size(summary.size_bytes)} in {summary.shards} shard(s)"
    if summary.shards < MANY_SHARDS:
        return text
    return f"{text}; `serlds compact {summary.directory}` makes few large ones of them"


def _dropped(summary: Summary) -> str:
    parts = [f"{summary.dropped}, see `serlds restore {summary.directory}`"] * bool(summary.dropped)
    parts += [f"{summary.lost} lost to damage"] * bool(summary.lost)
    return "; ".join(parts)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"min {spread.min:g}, median {spread.median:g}, max {spread.max:g}"


def _success(summary: Summary) -> str:
    return ", ".join(
        f"{collector} {count.share:.0%} ({count.successes} of {count.episodes})"
        for collector, count in summary.success_by_collector.items()
    )


def _recorded(summary: Summary) -> str:
    if not summary.first_created_utc:
        return ""
    return f"{summary.first_created_utc} to {summary.last_created_utc}"


def _environment(summary: Summary) -> str:
    args = f" {json.dumps(summary.env_args)}" if summary.env_args else ""
    return f"{summary.env_id}{args}"


def _created(summary: Summary) -> str:
    if not summary.created_utc:
        return ""
    return f"{summary.created_utc} by serlds {summary.serlds_version}"


def _parent(parent: dict[str, str]) -> str:
    digest = parent["digest"][:12]
    return f"{parent['name']} {parent['version']} at {parent['path']} (digest {digest})"
