"""`serlds import rlds`: any RLDS dataset, its fields mapped to those of serlds.

Published Open X-Embodiment datasets differ in names, in where the instruction is, in actions as
vector or dictionary, and most have N steps for N actions, the last with a real action. Such an
episode gets one more step: RLDS proper has the observation after the last action, which these
datasets do not hold, so the last observation is repeated there. An export to the RT-X form gives
the original steps again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...datasets import keys
from ...datasets.dataset_files import read_dataset_files
from ...datasets.episode import Column, Episode, encode_image
from ...datasets.errors import DamagedDatasetError, SchemaError, UsageError
from ...datasets.paths import DatasetPath
from ...datasets.provenance import Parent, read_provenance
from ...datasets.reading import Dataset
from ...datasets.schema import METADATA_FIELDS, STEP_FIELDS, STRING, Field, FieldDoc, Schema
from ..action_rows import num_action_rows
from ..derive import copy_card
from ..digests import digest_or_empty
from ..engine.loading import load_episode
from ..engine.parts import RecordRef, locate_records
from ..findings import Finding
from .observations import bad
from .options import EpisodeFacts, TransitionOptions
from .plan import ImportPlan, finding_at
from .rlds_mapping import (
    METADATA_PREFIX,
    RldsMapping,
    SourceFields,
    is_frame,
    propose,
    read_mapping,
    read_source_fields,
)
from .rlds_options import RldsOptions

_OF_ACTION = (keys.ACTION, keys.REWARD, keys.DISCOUNT, keys.INTERVENED)
_STANDARD = {field.path: field for field in STEP_FIELDS}
_ENOUGH_REWARD = 0.5


@dataclasses.dataclass(frozen=True)
class RldsSource:
    """The mapped episodes of a dataset; see `EpisodeSource`.

    Attributes:
      needed: the fields that are read.
      mapping: what they become.
      schema: of the results.
      facts: what the source does not say.
      last_step: of the options.
      name: of the dataset.
    """

    needed: Schema
    mapping: RldsMapping
    schema: Schema
    facts: EpisodeFacts
    last_step: str
    name: str

    def load(self, ref: RecordRef) -> Episode | Finding:
        """The mapped episode of a record, or what is wrong with it."""
        source = load_episode(ref, self.needed)
        if isinstance(source, Finding):
            return source
        try:
            return self._map(source, ref)
        except Exception as error:  # a record may hold anything: one bad episode must not end a run
            return finding_at(error, ref, f"record {ref.record}")

    def _map(self, source: Episode, ref: RecordRef) -> Episode:
        count = len(source)
        columns: dict[str, Column] = {
            path: _column(source, self.mapping.steps[path], self.schema[path], self.needed)
            for path in self.mapping.steps
        }
        rows = self._action_rows(columns, source, count)
        if rows == count:
            columns = {path: _with_one_more(path, column) for path, column in columns.items()}
            count += 1
        self._complete(columns, count)
        texts = columns[keys.LANGUAGE_INSTRUCTION]
        columns[keys.LANGUAGE_INSTRUCTION] = [text or self.facts.instruction for text in texts]
        wanted = {field.path: columns[field.path] for field in self.schema.steps}
        return Episode(wanted, self._metadata(source, wanted, ref))

    def _action_rows(self, columns: dict[str, Column], source: Episode, count: int) -> int:
        if self.last_step != "auto":
            return count if self.last_step == "action" else count - 1
        flags = source.columns[keys.IS_FIRST]
        return num_action_rows(Episode({**columns, keys.IS_FIRST: flags}, {}))

    def _complete(self, columns: dict[str, Column], count: int) -> None:
        """Fills what the source lacks and makes flags and discount agree, for `count` steps."""
        steps, last = np.arange(count), count - 1
        terminal = keys.IS_TERMINAL in columns and bool(np.any(columns[keys.IS_TERMINAL]))
        columns[keys.IS_FIRST], columns[keys.IS_LAST] = steps == 0, steps == last
        columns[keys.IS_TERMINAL] = (steps == last) & terminal
        for path in _OF_ACTION:
            if path in columns:
                columns[path] = np.array(columns[path])
                columns[path][last] = 0  # void
        discount = np.array(columns.get(keys.DISCOUNT, np.ones(count)), np.float32)
        if last > 0:
            # Many datasets keep it at 1, or at 0, whatever the flags say.
            discount[last - 1] = 0.0 if terminal else discount[last - 1] or 1.0
        discount[last] = 0.0
        columns[keys.DISCOUNT] = discount
        columns.setdefault(keys.REWARD, np.zeros(count, np.float32))
        teleoperated = self.facts.collector == "teleop"
        columns.setdefault(keys.INTERVENED, (steps < last) & teleoperated)
        columns.setdefault(keys.LANGUAGE_INSTRUCTION, [""] * count)
        if self.facts.hz is not None:
            columns[keys.TIMESTAMP_S] = (steps / self.facts.hz).astype(np.float32)

    def _metadata(
        self, source: Episode, columns: dict[str, Column], ref: RecordRef
    ) -> dict[str, Any]:
        rewards = np.asarray(columns[keys.REWARD])[:-1]
        shard = Path(ref.file).stem[-24:]
        known = {
            keys.EPISODE_ID: f"{self.name}-{shard}-{ref.record:05d}-{_hash(columns)}",
            keys.TASK: self.facts.task,
            keys.ENV_ID: "",
            keys.ROBOT: self.facts.robot,
            keys.COLLECTOR: self.facts.collector,
            keys.POLICY_CHECKPOINT: "",
            keys.SUCCESS: bool(rewards.size and rewards[-1] >= _ENOUGH_REWARD),
            keys.SEED: -1,
            keys.CONTROL_HZ: self.facts.hz or 0.0,
            keys.CREATED_UTC: "",
            keys.SERLDS_VERSION: __version__,
        }
        taken = {name: source.metadata[path] for name, path in self.mapping.metadata.items()}
        given = {
            name: value
            for name, value in (
                (keys.TASK, self.facts.task),
                (keys.ROBOT, self.facts.robot),
                (keys.CONTROL_HZ, self.facts.hz),
            )
            if value
        }
        return {**known, **taken, **given}


def plan_rlds(source: str | Path, facts: EpisodeFacts, options: RldsOptions) -> ImportPlan:
    """What to import from a dataset.

    Raises:
      DatasetNotFoundError, DamagedDatasetError, SchemaError: the dataset cannot be opened.
      UsageError: the mapping names what is not there, or maps no action.
    """
    path = DatasetPath.parse(source)
    fields = read_source_fields(path.directory)
    mapping = read_mapping(options.mapping, options.map, propose(fields))
    if keys.ACTION not in mapping.steps:
        raise UsageError(
            f"{path.directory}: nothing is mapped to `action`; name its source, e.g. --map "
            f"action=actions; --show lists the fields"
        )
    needed = _needed(fields, mapping)
    schema = _schema(fields, mapping, facts, options)
    files = read_dataset_files(path.directory)
    dataset = Dataset(path.directory, files, needed, read_provenance(path.directory))
    missing = [shard.path.name for shard in dataset.shards() if not shard.path.is_file()]
    if missing:
        raise DamagedDatasetError(f"{path}: missing shards: {', '.join(missing[:5])}")
    by_split, unreadable = locate_records(dataset)
    digest = digest_or_empty(dataset)
    return ImportPlan(
        source=RldsSource(needed, mapping, schema, facts, options.last_step, dataset.name),
        by_split=by_split,
        notes=tuple(_notes(fields, mapping, facts)),
        parents=(Parent(str(path.directory), dataset.name, dataset.version, digest),),
        unreadable=unreadable,
        card=copy_card(dataset, f"Imported by serlds from {dataset.name} {dataset.version}."),
    )


def show(source: str | Path) -> str:
    """The fields of a dataset and the mapping that would be used, as text with TOML in it."""
    fields = read_source_fields(DatasetPath.parse(source).directory)
    lines = ["# Fields of the source:"]
    lines += [f"#   {field.path}: {field.describe()}" for field in fields.steps]
    lines += [f"#   {METADATA_PREFIX}{field.path}: {field.describe()}" for field in fields.metadata]
    lines += [f"#   {path}: cannot be read: {reason}" for path, reason in fields.unreadable]
    lines += ["", "# Proposed mapping; change it and give it with --mapping FILE:"]
    return "\n".join(lines) + "\n" + propose(fields).to_toml()


def _needed(fields: SourceFields, mapping: RldsMapping) -> Schema:
    paths = {path for sources in mapping.steps.values() for path in sources} | {keys.IS_FIRST}
    metadata = {METADATA_PREFIX + path for path in mapping.metadata.values()}
    metadata |= {path for path in paths if path.startswith(METADATA_PREFIX)}
    return Schema(
        tuple(fields.field(path) for path in sorted(paths - metadata)),
        tuple(fields.field(path) for path in sorted(metadata)),
    )


def _schema(
    fields: SourceFields, mapping: RldsMapping, facts: EpisodeFacts, options: RldsOptions
) -> Schema:
    steps = {
        target: _target_field(target, [fields.field(path) for path in sources], facts, options)
        for target, sources in mapping.steps.items()
    }
    for field in STEP_FIELDS:
        if field.path != keys.TIMESTAMP_S or facts.hz is not None or field.path in steps:
            steps[field.path] = field
    standard = {field.path: field for field in METADATA_FIELDS}
    for name, path in mapping.metadata.items():
        source = fields.field(METADATA_PREFIX + path)
        if name in standard and source.dtype != standard[name].dtype:
            raise SchemaError(
                f"metadata {name}: expected {standard[name].dtype}, found {source.describe()} in "
                f"{path}; leave it out with --map {METADATA_PREFIX}{name}="
            )
        standard.setdefault(name, dataclasses.replace(source, path=name))
    return Schema(tuple(sorted(steps.values(), key=lambda f: f.path)), tuple(standard.values()))


def _target_field(
    target: str, sources: Sequence[Field], facts: EpisodeFacts, options: RldsOptions
) -> Field:
    first = sources[0]
    listed = ", ".join(f"{field.path} {field.describe()}" for field in sources)
    if target in _STANDARD:
        return _STANDARD[target]
    if target.startswith(keys.IMAGE_PREFIX):
        if len(sources) > 1 or not is_frame(first):
            raise SchemaError(f"{target}: one field of uint8 frames is needed, found {listed}")
        shape = first.shape if first.is_image else first.shape[-3:]
        return Field(target, "uint8", shape, first.encoding or facts.image_encoding, first.about)
    if any(field.dtype == STRING or field.is_image or None in field.shape for field in sources):
        raise SchemaError(f"{target}: numbers are needed, found {listed}")
    size = sum(field.size for field in sources)
    about = first.about if len(sources) == 1 else FieldDoc("Joined: " + listed + ".")
    if target == keys.ACTION:
        if options.action_scale or options.action_frame:
            chosen = TransitionOptions(
                action_scale=options.action_scale, action_frame=options.action_frame
            ).action_doc(size, 1.0, about.frame, gripper="")
            about = dataclasses.replace(chosen, doc=about.doc or chosen.doc)
        return Field(target, "float32", (size,), None, about)
    if target.startswith(keys.STATE_PREFIX):
        shape = first.shape if len(sources) == 1 and len(first.shape) == 1 else (size,)
        return Field(target, "float32", shape, None, about)
    raise UsageError(
        f"--map: {target!r} is no field of serlds; targets are action, {keys.IMAGE_PREFIX}NAME, "
        f"{keys.STATE_PREFIX}NAME, {', '.join(_STANDARD)} and {METADATA_PREFIX}NAME"
    )


def _column(source: Episode, paths: Sequence[str], target: Field, needed: Schema) -> Column:
    if target.is_image:
        return _frames(source.columns[paths[0]], target, needed[paths[0]])
    if target.dtype == STRING:
        return _texts(source, paths[0])
    parts = []
    for path in paths:
        if path.startswith(METADATA_PREFIX):
            raise bad("metadata cannot be a number of each step", None, path)
        parts.append(np.asarray(source.columns[path], target.dtype).reshape(len(source), -1))
    return np.concatenate(parts, axis=1).reshape(len(source), *target.shape)


def _frames(column: Column, target: Field, source: Field) -> list[bytes]:
    if source.is_image:
        return list(column)
    pixels = np.asarray(column).reshape(-1, *target.shape)
    return [encode_image(frame, target.encoding or "jpeg") for frame in pixels]


def _texts(source: Episode, path: str) -> list[str]:
    if path.startswith(METADATA_PREFIX):
        return [str(source.metadata[path.removeprefix(METADATA_PREFIX)])] * len(source)
    column = source.columns[path]
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        # Bytes of UTF-8, filled up with zeros, as in language_table.
        rows = column.reshape(len(source), -1)
        return [bytes(int(v) & 255 for v in row if v).decode(errors="replace") for row in rows]
    return [str(text) for text in column]


def _with_one_more(path: str, column: Column) -> Column:
    """The column with a row for the observation after the last action: the last one, repeated."""
    if isinstance(column, list):
        return [*column, column[-1]]
    if path in _OF_ACTION:
        return np.concatenate([column, np.zeros_like(column[:1])])
    if path == keys.TIMESTAMP_S and len(column) > 1:
        return np.concatenate([column, column[-1:] + (column[-1:] - column[-2:-1])])
    return np.concatenate([column, column[-1:]])


def _hash(columns: dict[str, Column]) -> str:
    digest = hashlib.sha256()
    for path in sorted(columns):
        column = columns[path]
        if isinstance(column, np.ndarray):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:12]


def _notes(fields: SourceFields, mapping: RldsMapping, facts: EpisodeFacts) -> list[str]:
    used = {path for sources in mapping.steps.values() for path in sources}
    used |= {METADATA_PREFIX + path for path in mapping.metadata.values()}
    have = [field.path for field in fields.steps]
    have += [METADATA_PREFIX + field.path for field in fields.metadata]
    notes = []
    if unused := [path for path in have if path not in used]:
        notes.append(f"not imported: {', '.join(unused)}")
    for path, reason in fields.unreadable:
        notes.append(f"not imported: {path}: {reason}")
    if keys.LANGUAGE_INSTRUCTION not in mapping.steps and not facts.instruction:
        notes.append("there is no language instruction; --instruction gives one")
    if keys.REWARD not in mapping.steps:
        notes.append("there is no reward in the source; it is 0 everywhere")
    return notes
