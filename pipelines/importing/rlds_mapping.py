"""Which fields of an RLDS dataset become which: read, proposed, and told by a person."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets import keys
from ...datasets.errors import DamagedDatasetError, SchemaError, UsageError
from ...datasets.schema import FEATURES_FILE, METADATA_FIELDS, STRING, Field, Schema, read_features

METADATA_PREFIX = f"{keys.EPISODE_METADATA}/"
_FLAGS = (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL)
_DERIVED = (keys.REWARD, keys.DISCOUNT, keys.TIMESTAMP_S, keys.INTERVENED, *_FLAGS)
# Of several texts the instruction is the first of these; embeddings are not text.
_INSTRUCTION_NAMES = ("language_instruction", "natural_language_instruction", "instruction", "task")
_NOT_STATE = re.compile(r"embedding|instruction|_mask$|pad_mask")
# The parts of an action dictionary in the order of RT-1's vector.
_ACTION_ORDER = ("world_vector", "rotation_delta", "gripper_closedness_action", "open_gripper")
_ACTION_OMITTED = ("terminate_episode", "base_displacement", "_v2")


@dataclasses.dataclass(frozen=True)
class SourceFields:
    """The fields of a dataset.

    Attributes:
      steps: those of each step that can be read.
      metadata: those of the episode.
      unreadable: the others, with the reason.
    """

    steps: tuple[Field, ...]
    metadata: tuple[Field, ...]
    unreadable: tuple[tuple[str, str], ...]

    def field(self, path: str) -> Field:
        """The field at a path; those of the metadata begin with `episode_metadata/`.

        Raises:
          UsageError: there is none; names the ones there are.
        """
        have = {field.path: field for field in self.steps}
        have |= {METADATA_PREFIX + field.path: field for field in self.metadata}
        if path not in have:
            raise UsageError(
                f"--map: there is no source field {path!r}; the fields are {', '.join(have)}"
            )
        return have[path]


def read_source_fields(directory: Path) -> SourceFields:
    """The fields in a dataset's `features.json`, each on its own, so that one cannot hide others.

    Raises:
      DatasetNotFoundError: the file is not there.
      DamagedDatasetError: it is not of TFDS.
      SchemaError: it is not RLDS.
    """
    path, features = directory / FEATURES_FILE, read_features(directory)
    try:
        is_rlds = keys.STEPS in features and hasattr(features[keys.STEPS], "feature")
        steps = dict(_feature_leaves(features[keys.STEPS].feature, "")) if is_rlds else {}
        has_metadata = is_rlds and keys.EPISODE_METADATA in features
        metadata = (
            dict(_feature_leaves(features[keys.EPISODE_METADATA], "")) if has_metadata else {}
        )
    except Exception as error:  # TFDS raises what its JSON and proto parsers raise
        raise DamagedDatasetError(f"{path}: not a readable features file: {error}") from error
    if keys.IS_FIRST not in steps:
        raise SchemaError(f"{path}: not RLDS: there is no nested `steps` with `{keys.IS_FIRST}`")
    unreadable: list[tuple[str, str]] = []
    read_steps, read_metadata = [], []
    for name, feature in steps.items():
        _read_one(name, feature, keys.STEPS, read_steps, unreadable)
    for name, feature in metadata.items():
        _read_one(name, feature, keys.EPISODE_METADATA, read_metadata, unreadable)
    return SourceFields(tuple(read_steps), tuple(read_metadata), tuple(unreadable))


def _feature_leaves(features: Any, path: str) -> Iterable[tuple[str, Any]]:
    import tensorflow_datasets as tfds

    if isinstance(features, Mapping | tfds.features.FeaturesDict):
        for name, feature in features.items():
            yield from _feature_leaves(feature, f"{path}/{name}" if path else name)
    else:
        yield path, features


def _read_one(
    path: str, feature: Any, place: str, read: list[Field], unreadable: list[tuple[str, str]]
) -> None:
    import numpy as np
    import tensorflow_datasets as tfds

    nested: Any = feature
    for name in reversed(path.split("/")):
        nested = {name: nested}
    alone: dict[str, Any] = {
        keys.STEPS: nested if place == keys.STEPS else {keys.IS_FIRST: np.bool_}
    }
    alone[keys.STEPS] = tfds.features.Dataset(alone[keys.STEPS])
    if place == keys.EPISODE_METADATA:
        alone[place] = nested
    try:
        schema = Schema.from_features(tfds.features.FeaturesDict(alone))
        read += schema.steps if place == keys.STEPS else schema.metadata
    except Exception as error:  # serlds cannot read this feature; the others may do
        where = "" if place == keys.STEPS else METADATA_PREFIX
        unreadable.append((where + path, str(error)[:200]))


@dataclasses.dataclass(frozen=True)
class RldsMapping:
    """The sources of each field, side by side: several are joined to one vector.

    Attributes:
      steps: paths in the source by path in the new dataset. A source path that begins with
        `episode_metadata/` is repeated in each step.
      metadata: path in the source's metadata by name.
    """

    steps: dict[str, tuple[str, ...]]
    metadata: dict[str, str]

    def to_toml(self) -> str:
        """As a file that `read_mapping` reads."""
        lines = ["[steps]"]
        for target, sources in self.steps.items():
            value = f'"{sources[0]}"' if len(sources) == 1 else str(list(sources)).replace("'", '"')
            lines.append(f'"{target}" = {value}')
        lines += ["", "[metadata]", *(f'"{k}" = "{v}"' for k, v in self.metadata.items())]
        return "\n".join(lines) + "\n"


def propose(fields: SourceFields) -> RldsMapping:
    """A mapping by the names that published datasets use."""
    steps: dict[str, tuple[str, ...]] = {}
    for field in fields.steps:
        target = _propose_target(field)
        if target:
            steps.setdefault(target, (field.path,))
    if parts := _action_parts(fields.steps):
        steps[keys.ACTION] = parts
    if instruction := _instruction(fields):
        steps[keys.LANGUAGE_INSTRUCTION] = (instruction,)
    standard = {field.path: field for field in METADATA_FIELDS}
    metadata = {
        field.path: field.path
        for field in fields.metadata
        if not field.shape
        and not field.is_image
        and (field.path not in standard or field.dtype == standard[field.path].dtype)
    }
    return RldsMapping(dict(sorted(steps.items())), dict(sorted(metadata.items())))


def _propose_target(field: Field) -> str:
    path = field.path
    if path in _DERIVED:
        return path if field.size == 1 and field.dtype != STRING else ""
    if not path.startswith("observation"):
        return ""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", path.removeprefix("observation").strip("/")) or "proprio"
    for prefix in ("image_", "state_"):
        name = name.removeprefix(prefix) or name
    name = "proprio" if name == "state" else name
    if is_frame(field):
        return keys.IMAGE_PREFIX + name
    numeric = field.dtype != STRING and field.dtype != "uint8" and field.size > 0
    if numeric and len(field.shape) <= 2 and not _NOT_STATE.search(path):
        return keys.STATE_PREFIX + name
    return ""


def is_frame(field: Field) -> bool:
    """Whether a field holds RGB or grey frames, encoded, or as pixels with or without a stack."""
    shape = field.shape
    if field.dtype != "uint8" or len(shape) not in (3, 4) or shape[-1] not in (1, 3):
        return False
    return field.is_image or (len(shape) == 3 or shape[0] == 1)


def _action_parts(steps: Sequence[Field]) -> tuple[str, ...]:
    numeric = [field for field in steps if field.dtype != STRING and not field.is_image]
    if any(field.path == keys.ACTION for field in numeric):
        return (keys.ACTION,)
    parts = [
        field.path
        for field in numeric
        if field.path.startswith(f"{keys.ACTION}/")
        and not any(word in field.path for word in _ACTION_OMITTED)
    ]
    order = {name: index for index, name in enumerate(_ACTION_ORDER)}
    return tuple(sorted(parts, key=lambda path: order.get(path.split("/")[-1], len(order))))


def _instruction(fields: SourceFields) -> str:
    texts = [field.path for field in fields.steps if field.dtype == STRING and not field.shape]
    texts += [
        METADATA_PREFIX + f.path for f in fields.metadata if f.dtype == STRING and not f.shape
    ]
    coded = [f.path for f in fields.steps if f.dtype in ("int32", "uint8") and len(f.shape) == 1]
    for name in _INSTRUCTION_NAMES:
        for path in (*texts, *coded):
            if path.split("/")[-1] == name:
                return path
    return next((path for path in texts if "language" in path), "")


def read_mapping(path: Path | None, items: Sequence[str], proposed: RldsMapping) -> RldsMapping:
    """The proposed mapping, changed by a file and then by items.

    Args:
      path: TOML with tables `steps` and `metadata`, as `to_toml` writes; it replaces the proposal.
      items: `TARGET=SOURCE` or `TARGET=SOURCE+SOURCE`; without a source the target is left out. A
        target of the metadata begins with `episode_metadata/`.
      proposed: what to start from.

    Raises:
      UsageError: the file or an item cannot be understood.
    """
    base = proposed if path is None else _from_toml(path)
    steps, metadata = dict(base.steps), dict(base.metadata)
    for item in items:
        target, equals, source = item.partition("=")
        if not equals or not target:
            raise UsageError(
                f"--map {item!r}: expected TARGET=SOURCE, e.g. action=action/arm+action/gripper"
            )
        if target.startswith(METADATA_PREFIX):
            metadata[target.removeprefix(METADATA_PREFIX)] = source.removeprefix(METADATA_PREFIX)
        else:
            steps[target] = tuple(filter(None, source.split("+")))
    return RldsMapping(
        {target: sources for target, sources in steps.items() if sources},
        {target: source for target, source in metadata.items() if source},
    )


def _from_toml(path: Path) -> RldsMapping:
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--mapping {path}: cannot be read: {error}") from error
    if unknown := sorted(set(values) - {"steps", "metadata"}):
        raise UsageError(f"--mapping {path}: tables are steps and metadata, found {unknown}")
    steps: dict[str, tuple[str, ...]] = {}
    for target, source in values.get("steps", {}).items():
        listed = [source] if isinstance(source, str) else source
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise UsageError(
                f"--mapping {path}: {target}: a source path or a list of them is needed"
            )
        steps[target] = tuple(listed)
    metadata = values.get("metadata", {})
    if not all(isinstance(source, str) for source in metadata.values()):
        raise UsageError(f"--mapping {path}: the sources of metadata are paths")
    return RldsMapping(steps, dict(metadata))
