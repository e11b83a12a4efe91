"""The schema of a dataset: each field's path, dtype, shape, image encoding, unit, frame and scale.

It is derived from an environment's spaces, kept in the dataset's `features.json` (units, frames and
scales in the documentation strings) and read back from there.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import keys
from .errors import DamagedDatasetError, DatasetNotFoundError, SchemaError
from .untrusted import check_feature_classes

if TYPE_CHECKING:
    import gymnasium
    import tensorflow_datasets as tfds

FEATURES_FILE = "features.json"
STRING = "string"
_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "uint16", "bool", STRING)
_ENCODINGS = ("jpeg", "png")
_DOC_TAGS = re.compile(r" ?\[(unit|frame|scale): ([^\]]*)\]")


@dataclasses.dataclass(frozen=True)
class FieldDoc:
    """What a space cannot say about a field.

    Attributes:
      doc: one sentence.
      unit: unit of the values, or one per dimension separated by commas, e.g. `m` or `m, m, rad`.
      frame: coordinate frame of the values, e.g. `robot base`.
      scale: physical value, in `unit`, of 1.0 in each dimension; empty where values are physical.
    """

    doc: str = ""
    unit: str = ""
    frame: str = ""
    scale: tuple[float, ...] = ()

    def to_text(self) -> str:
        """One line for a person that `from_text` reads back without loss."""
        text = self.doc
        for tag in ("unit", "frame"):
            if value := getattr(self, tag):
                text += f" [{tag}: {value}]"
        if self.scale:
            text += f" [scale: {', '.join(repr(float(value)) for value in self.scale)}]"
        return text.strip()

    @classmethod
    def from_text(cls, text: str) -> FieldDoc:
        """Inverse of `to_text`; text without tags, or with a scale of no numbers, becomes `doc`."""
        tags = dict(_DOC_TAGS.findall(text))
        numbers = tags.pop("scale", "").split(",")
        try:
            scale = tuple(float(number) for number in numbers if number.strip())
        except ValueError:  # somebody else's words
            return cls(doc=text.strip())
        return cls(doc=_DOC_TAGS.sub("", text).strip(), scale=scale, **tags)


@dataclasses.dataclass(frozen=True)
class Field:
    """One column of a dataset.

    Attributes:
      path: name inside the step (`observation/state/tcp_pos`) or the episode metadata (`seed`).
      dtype: numpy dtype name, or `string`.
      shape: shape at one step, without the time axis.
      encoding: `jpeg` or `png` for images, which are stored encoded; None for all else.
      about: meaning, unit, frame, scale.
    """

    path: str
    dtype: str
    shape: tuple[int, ...] = ()
    encoding: str | None = None
    about: FieldDoc = FieldDoc()

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise SchemaError(
                f"field {self.path!r}: dtype {self.dtype!r} cannot be stored; use one of "
                f"{', '.join(_DTYPES)}"
            )
        if self.encoding not in (None, *_ENCODINGS):
            raise SchemaError(
                f"field {self.path!r}: image encoding {self.encoding!r} is unknown; use one of "
                f"{', '.join(_ENCODINGS)}"
            )
        if self.encoding and (self.dtype != "uint8" or len(self.shape) != 3):
            raise SchemaError(
                f"field {self.path!r}: an image needs dtype uint8 and shape (H, W, C), found "
                f"{self.dtype} {self.shape}"
            )

    @property
    def is_image(self) -> bool:
        return self.encoding is not None

    @property
    def size(self) -> int:
        """Number of values at one step."""
        return math.prod(self.shape)

    def describe(self) -> str:
        """dtype and shape in a few characters, e.g. `float32 (3,)`."""
        return f"{self.dtype} {self.shape}" + (f" {self.encoding}" if self.encoding else "")


STEP_FIELDS = (
    Field(keys.REWARD, "float32", about=FieldDoc("Reward that followed the action.")),
    Field(
        keys.DISCOUNT,
        "float32",
        about=FieldDoc("0 where the episode terminated, else 1; a time limit keeps it 1."),
    ),
    Field(keys.IS_FIRST, "bool", about=FieldDoc("First step of the episode.")),
    Field(
        keys.IS_LAST,
        "bool",
        about=FieldDoc("Last step: holds an observation; its action, reward, discount are void."),
    ),
    Field(keys.IS_TERMINAL, "bool", about=FieldDoc("Last step of an episode that terminated.")),
    Field(keys.LANGUAGE_INSTRUCTION, STRING, about=FieldDoc("What the robot is asked to do.")),
    Field(keys.INTERVENED, "bool", about=FieldDoc("A human drove the robot at this step.")),
    Field(
        keys.TIMESTAMP_S,
        "float32",
        about=FieldDoc("Time of the observation since the start of the episode.", unit="s"),
    ),
)

METADATA_FIELDS = (
    Field(keys.EPISODE_ID, STRING, about=FieldDoc("Unique; sorts by time of recording.")),
    Field(keys.TASK, STRING, about=FieldDoc("Name of the task.")),
    Field(keys.ENV_ID, STRING, about=FieldDoc("Gymnasium id of the environment.")),
    Field(keys.ROBOT, STRING, about=FieldDoc("Robot model.")),
    Field(keys.COLLECTOR, STRING, about=FieldDoc("One of " + ", ".join(keys.COLLECTORS) + ".")),
    Field(keys.POLICY_CHECKPOINT, STRING, about=FieldDoc("Checkpoint that acted, or empty.")),
    Field(keys.SUCCESS, "bool", about=FieldDoc("The task was achieved.")),
    Field(keys.SEED, "int64", about=FieldDoc("Seed given to the environment's reset.")),
    Field(keys.CONTROL_HZ, "float32", about=FieldDoc("Rate of actions.", unit="Hz")),
    Field(keys.CREATED_UTC, STRING, about=FieldDoc("Start of the episode, ISO 8601, UTC.")),
    Field(keys.SERLDS_VERSION, STRING, about=FieldDoc("Version that recorded the episode.")),
)

LABEL_FIELD = Field(
    keys.LABEL, STRING, about=FieldDoc("What every step shows: " + " or ".join(keys.LABELS) + ".")
)
"""Metadata of episodes that were recorded for a success classifier."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """All fields of a dataset: those of each step and those of the episode metadata."""

    steps: tuple[Field, ...]
    metadata: tuple[Field, ...] = METADATA_FIELDS

    def __post_init__(self) -> None:
        for fields in (self.steps, self.metadata):
            paths = [field.path for field in fields]
            if doubled := sorted({path for path in paths if paths.count(path) > 1}):
                raise SchemaError(f"fields named twice: {', '.join(doubled)}")

    @classmethod
    def from_spaces(
        cls,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        docs: Mapping[str, FieldDoc],
        image_encoding: str = "jpeg",
    ) -> Schema:
        """The schema of episodes recorded from an environment.

        Args:
          observation_space: `Dict(image=Dict(<camera>: uint8 (H, W, 3)), state=Dict(<name>:
            float32))`; without cameras there is no `image`.
          action_space: `Box` of float32, shape (A,).
          docs: meaning, unit, frame and scale by field path.
          image_encoding: `jpeg` or `png`.

        Raises:
          SchemaError: a space of another kind, naming the field.
        """
        flat = dict(_flat_spaces(observation_space, keys.OBSERVATION))
        flat[keys.ACTION] = action_space
        if unknown := sorted(set(docs) - set(flat)):
            raise SchemaError(f"docs for fields that no space has: {', '.join(unknown)}")
        fields = [
            _field_of_space(path, space, docs.get(path, FieldDoc()), image_encoding)
            for path, space in flat.items()
        ]
        return cls(steps=(*sorted(fields, key=lambda field: field.path), *STEP_FIELDS))

    @classmethod
    def from_features(cls, features: tfds.features.FeaturesDict) -> Schema:
        """The schema that TFDS features of an RLDS dataset describe.

        Raises:
          SchemaError: no `steps`, or a feature that is no tensor, image, text or dictionary.
        """
        if keys.STEPS not in features or not hasattr(features[keys.STEPS], "feature"):
            raise SchemaError("not RLDS: the features have no nested dataset `steps`")
        if others := sorted(set(features) - {keys.STEPS, keys.EPISODE_METADATA}):
            raise SchemaError(
                f"features beside `steps` and `episode_metadata` are not supported: {others}"
            )
        metadata = features[keys.EPISODE_METADATA] if keys.EPISODE_METADATA in features else {}
        return cls(
            steps=_sorted(_fields_of_features(features[keys.STEPS].feature, "")),
            metadata=_sorted(_fields_of_features(metadata, "")),
        )

    def to_features(self) -> tfds.features.FeaturesDict:
        """The same as TFDS features: `{steps: Dataset, episode_metadata: FeaturesDict}`."""
        import tensorflow_datasets as tfds

        top: dict[str, Any] = {keys.STEPS: tfds.features.Dataset(_nest(self.steps))}
        if self.metadata:
            top[keys.EPISODE_METADATA] = _nest(self.metadata)
        return tfds.features.FeaturesDict(top)

    @functools.cached_property
    def _by_path(self) -> dict[str, Field]:
        return {field.path: field for field in self.steps}

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def __getitem__(self, path: str) -> Field:
        """The step field at `path`; raises SchemaError naming the fields there are."""
        if path not in self._by_path:
            raise SchemaError(
                f"there is no step field {path!r}; the fields are {', '.join(self._by_path)}"
            )
        return self._by_path[path]

    @property
    def state_fields(self) -> tuple[Field, ...]:
        """The fields below `observation/state/`, sorted by path: the order of state vectors."""
        return self._below(keys.STATE_PREFIX)

    @property
    def image_fields(self) -> tuple[Field, ...]:
        """All image fields, sorted by path."""
        images = (field for field in self.steps if field.is_image)
        return tuple(sorted(images, key=lambda field: field.path))

    @property
    def action(self) -> Field:
        return self[keys.ACTION]

    def _below(self, prefix: str) -> tuple[Field, ...]:
        below = (field for field in self.steps if field.path.startswith(prefix))
        return tuple(sorted(below, key=lambda field: field.path))


def state_size(schema: Schema) -> int:
    """Length of the state vector: all state fields, concatenated in the order of their paths."""
    return sum(field.size for field in schema.state_fields)


def read_schema(directory: Path) -> Schema:
    """The schema in a dataset directory's `features.json`.

    Raises:
      DatasetNotFoundError: the file is not there.
      DamagedDatasetError: it is not valid JSON of TFDS features.
      SchemaError: it describes something that is not RLDS.
    """
    features = read_features(directory)
    try:
        return Schema.from_features(features)
    except SchemaError as error:
        raise SchemaError(f"{directory / FEATURES_FILE}: {error}") from error


def read_features(directory: Path) -> Any:
    """The `FeaturesDict` of TFDS in a dataset directory's `features.json`.

    Raises:
      DatasetNotFoundError: the file is not there.
      DamagedDatasetError: it is not valid JSON of TFDS features.
    """
    import tensorflow_datasets as tfds

    path = directory / FEATURES_FILE
    if not path.is_file():
        raise DatasetNotFoundError(
            f"no dataset in {directory}: there is no {FEATURES_FILE}; give the directory "
            f"<data_dir>/<name>/<version> or <data_dir>/<name>"
        )
    try:
        check_feature_classes(path)
        return tfds.features.FeaturesDict.from_config(str(directory))
    except DamagedDatasetError:
        raise
    except Exception as error:  # TFDS raises what its JSON and proto parsers raise
        raise DamagedDatasetError(f"{path}: not a readable features file: {error}") from error


def check_fits(needed: Iterable[Field], have: Schema, needed_by: str, had_by: str) -> None:
    """Checks that every needed step field is there with the same dtype and shape.

    Raises:
      SchemaError: lists each field that is missing or differs, with what was expected and found.
    """
    problems = []
    for field in needed:
        if field.path not in have:
            problems.append(f"{field.path}: expected {field.describe()}, found no such field")
        elif (field.dtype, field.shape) != (have[field.path].dtype, have[field.path].shape):
            found = have[field.path].describe()
            problems.append(f"{field.path}: expected {field.describe()}, found {found}")
    if problems:
        raise SchemaError(
            f"{had_by} does not fit {needed_by}:\n  " + "\n  ".join(problems) + "\n"
            "Record a dataset with the same environment arguments, or change them to match."
        )


def _flat_spaces(space: gymnasium.Space, path: str) -> Iterable[tuple[str, gymnasium.Space]]:
    children = getattr(space, "spaces", None)
    if not isinstance(children, Mapping):
        yield path, space
        return
    for name, child in children.items():
        yield from _flat_spaces(child, f"{path}/{name}")


def _field_of_space(path: str, space: Any, about: FieldDoc, image_encoding: str) -> Field:
    shape, dtype = getattr(space, "shape", None), getattr(space, "dtype", None)
    expected = {keys.IMAGE_PREFIX: "uint8", keys.STATE_PREFIX: "float32", keys.ACTION: "float32"}
    kind = next((prefix for prefix in expected if path.startswith(prefix)), None)
    if kind is None or shape is None or str(dtype) != expected[kind]:
        raise SchemaError(
            f"space of {path!r} is {space}; expected observation/image/<camera> Box uint8 "
            f"(H, W, 3), observation/state/<name> Box float32 or action Box float32"
        )
    encoding = image_encoding if kind == keys.IMAGE_PREFIX else None
    return Field(path, str(dtype), tuple(shape), encoding, about)


def _sorted(fields: Iterable[Field]) -> tuple[Field, ...]:
    # Features come back from JSON in no particular order.
    return tuple(sorted(fields, key=lambda field: field.path))


def _fields_of_features(features: Any, path: str) -> Iterable[Field]:
    import tensorflow_datasets as tfds

    if isinstance(features, (Mapping, tfds.features.FeaturesDict)):
        for name, feature in features.items():
            yield from _fields_of_features(feature, f"{path}/{name}" if path else name)
        return
    about = FieldDoc.from_text(features.doc.desc or "")
    if isinstance(features, tfds.features.Text):
        yield Field(path, STRING, (), None, about)
    elif isinstance(features, tfds.features.Image):
        # TFDS itself encodes as PNG where a dataset declares no encoding.
        encoding = features.encoding_format or "png"
        yield Field(path, np.dtype(features.np_dtype).name, features.shape, encoding, about)
    elif type(features) in (tfds.features.Tensor, tfds.features.Scalar):
        stored = features.get_serialized_info()
        if None in features.shape or stored.np_dtype != features.np_dtype:
            raise SchemaError(
                f"field {path!r}: feature {features!r} is not supported: serlds reads tensors of "
                f"fixed shape that are stored without compression"
            )
        dtype = features.np_dtype
        name = STRING if np.dtype(dtype).kind in "OSU" else np.dtype(dtype).name
        yield Field(path, name, tuple(features.shape), None, about)
    else:
        raise SchemaError(f"field {path!r}: feature {features!r} is not supported in a step")


def _nest(fields: Iterable[Field]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for field in fields:
        *parents, name = field.path.split("/")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = _feature_of_field(field)
    return nested


def _feature_of_field(field: Field) -> Any:
    import tensorflow_datasets as tfds

    doc = field.about.to_text() or None
    if field.is_image:
        return tfds.features.Image(
            shape=field.shape, dtype=np.uint8, encoding_format=field.encoding, doc=doc
        )
    if field.dtype == STRING and not field.shape:
        return tfds.features.Text(doc=doc)
    dtype = np.object_ if field.dtype == STRING else np.dtype(field.dtype).type
    if not field.shape:
        return tfds.features.Scalar(dtype=dtype, doc=doc)
    return tfds.features.Tensor(shape=field.shape, dtype=dtype, doc=doc)
