"""Chains of transforms kept in a file.

The file is TOML: a table `[[transform]]` for each, in order, with its `name` and its parameters.

    [[transform]]
    name = "resize_images"
    height = 64
    width = 64
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ...datasets.errors import UsageError
from .parameters import parameters_of
from .text import make_transform, transform_named
from .transform import Transform

_TABLE = "transform"


def read_chain(path: Path) -> tuple[Transform, ...]:
    """The transforms in a file, in order.

    Raises:
      UsageError: the file cannot be read, is no TOML, or holds something else than transforms; the
        message names the file and which of its transforms is wrong.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: the chain cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    chain = tables.get(_TABLE)
    others = sorted(set(tables) - {_TABLE})
    if others or not isinstance(chain, list) or not all(isinstance(one, dict) for one in chain):
        found = ", ".join(others or tables) or "nothing"
        raise UsageError(f"{path}: expected tables [[transform]] alone, found {found}")
    return tuple(_read_one(path, number, table) for number, table in enumerate(chain, 1))


def _read_one(path: Path, number: int, table: dict[str, Any]) -> Transform:
    where = f"{path}, transform {number}"
    values = dict(table)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise UsageError(f'{where}: expected a name = "...", found {name!r}')
    try:
        kind = transform_named(name)
        # TOML has lists where parameters are tuples.
        for parameter, value in values.items():
            if isinstance(value, list) and parameter in parameters_of(kind):
                values[parameter] = tuple(value)
        return make_transform(name, kind, values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
