"""Giving episodes a language instruction."""

from __future__ import annotations

import csv
import dataclasses
import json
import string
from pathlib import Path
from typing import ClassVar, Literal

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import UsageError
from ...datasets.schema import STEP_FIELDS, Schema
from ..findings import ERROR, BadEpisodeError, Finding
from .schema_edits import add_fields, metadata_field
from .transform import Transform

_FIELD = next(field for field in STEP_FIELDS if field.path == keys.LANGUAGE_INSTRUCTION)


@dataclasses.dataclass(frozen=True)
class SetLanguage(Transform):
    """Sets the language instruction of every step from a template or from a table.

    A template is text with names of metadata fields in braces. A table is a file: JSON, an object
    from key to instruction, or CSV with a header that names the key's column and
    `language_instruction`. It is read once, when the command starts.

    Attributes:
      template: for example `pick up the {task}`.
      table: path of a .json or .csv file; either a template or a table is given.
      by: metadata field that the keys of the table are values of, such as task or episode_id.
      missing: what happens to an episode that the table does not have: `refuse` makes it a dead
        letter, `keep` leaves its instruction.
    """

    name: ClassVar[str] = "set_language"
    example: ClassVar[str] = 'set_language:template="pick up the {task}, please"'
    template: str = ""
    table: str = ""
    by: str = keys.TASK
    missing: Literal["refuse", "keep"] = "refuse"
    _instructions: dict[str, str] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.template.strip()) == bool(self.table):
            raise UsageError(f"{self.name}: expected either a template or a table")
        self._placeholders()
        read = _read_table(self.table, self.by) if self.table else {}
        object.__setattr__(self, "_instructions", read)

    def map_schema(self, schema: Schema) -> Schema:
        for name in self._placeholders() if self.template else [self.by]:
            metadata_field(self.name, schema, name)
        if keys.LANGUAGE_INSTRUCTION in schema:
            return schema
        if self.missing == "keep":
            # There is nothing to keep.
            raise UsageError(f"{self.name}: missing=keep: the steps have no language_instruction")
        return add_fields(self.name, schema, _FIELD)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        if self.template:
            text = self.template.format_map(episode.metadata)
        else:
            key = str(episode.metadata[self.by])
            if key not in self._instructions:
                if self.missing == "keep":
                    return episode
                message = f"{self.table} has no instruction for it"
                expected = f"a row for this {self.by}"
                raise BadEpisodeError(
                    Finding(self.name, ERROR, message, None, self.by, expected, key)
                )
            text = self._instructions[key]
        columns = {**episode.columns, keys.LANGUAGE_INSTRUCTION: [text] * len(episode)}
        return Episode(columns, episode.metadata)

    def _placeholders(self) -> list[str]:
        """Names of the metadata in the template."""
        try:
            parts = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise UsageError(f"{self.name}: template: {self.template!r}: {error}") from error
        names = []
        for _, name, spec, conversion in parts:
            if name is None:
                continue
            if not name.isidentifier() or spec or conversion:
                raise UsageError(
                    f"{self.name}: template: expected a name of metadata in braces, as {{task}}, "
                    f"found {{{name}}} in {self.template!r}"
                )
            names.append(name)
        return names


def _read_table(path: str, by: str) -> dict[str, str]:
    where = f"set_language: table: {path}"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        rows = _json_rows(text) if path.endswith(".json") else _csv_rows(text, by)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error, RecursionError) as error:
        raise UsageError(f"{where}: {error}") from error
    if not rows:
        raise UsageError(f"{where}: it is empty")
    table: dict[str, str] = {}
    for key, instruction in rows:
        if not isinstance(instruction, str) or not instruction.strip():
            raise UsageError(f"{where}: {key!r}: expected an instruction, found {instruction!r}")
        if table.setdefault(key, instruction) != instruction:
            raise UsageError(f"{where}: {key!r} has two instructions")
    return table


def _json_rows(text: str) -> list[tuple[str, object]]:
    def pairs_of(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return pairs

    rows = json.loads(text, object_pairs_hook=pairs_of)
    if not isinstance(rows, list) or not all(isinstance(row, tuple) for row in rows):
        raise ValueError("expected a JSON object from key to instruction")
    return rows


def _csv_rows(text: str, by: str) -> list[tuple[str, object]]:
    reader = csv.DictReader(text.splitlines())
    header = reader.fieldnames or []
    if not {by, keys.LANGUAGE_INSTRUCTION} <= set(header):
        raise ValueError(
            f"expected the columns {by} and {keys.LANGUAGE_INSTRUCTION}, found "
            f"{', '.join(header) or 'none'}"
        )
    return [(str(row[by]), row[keys.LANGUAGE_INSTRUCTION]) for row in reader]
