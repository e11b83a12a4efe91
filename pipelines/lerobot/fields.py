"""How LeRobot features become the fields of an RLDS dataset."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ...datasets import keys
from ...datasets.errors import SchemaError
from ...datasets.schema import METADATA_FIELDS, STEP_FIELDS, Field, FieldDoc, Schema
from . import layout
from .metadata import LeRobotInfo

_OBSERVATION = "observation."
_NUMBERS = ("float32", "float64", "int32", "int64", "bool")


@dataclasses.dataclass(frozen=True)
class ImportLayout:
    """How features map.

    Attributes:
      images: path of the image field by feature.
      states: by feature, the fields that its vector is cut into, in order.
      schema: of the episodes.
      left_out: features that have no place.
    """

    images: dict[str, str]
    states: dict[str, tuple[Field, ...]]
    schema: Schema
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, info: LeRobotInfo, image_encoding: str) -> ImportLayout:
        """Maps the features of a dataset.

        Raises:
          SchemaError: there is no action that is a vector, an image is no image, or two features
            would have one name.
        """
        try:
            return cls._of(info, image_encoding)
        except SchemaError as error:
            raise SchemaError(f"{info.root / layout.INFO_FILE}: {error}") from error

    @classmethod
    def _of(cls, info: LeRobotInfo, image_encoding: str) -> ImportLayout:
        images, states, left_out = {}, {}, []
        for name, feature in info.features.items():
            if feature["dtype"] in ("video", "image"):
                images[name] = keys.IMAGE_PREFIX + _tail(name, "images").replace(".", "_")
            elif name.startswith(_OBSERVATION) and _is_vector(feature):
                states[name] = _state_fields(name, feature)
            elif name not in _USED:
                left_out.append(name)
        action = info.features.get(layout.ACTION)
        if action is None or not _is_vector(action):
            raise SchemaError(f"expected a feature `action` that is a vector, found {action}")
        fields = [
            Field(keys.ACTION, "float32", tuple(action["shape"]), None, _about(action)),
            *(_image_field(images[name], info.features[name], image_encoding) for name in images),
            *(field for cut in states.values() for field in cut),
            *(field for field in STEP_FIELDS if field.path != keys.INTERVENED),
        ]
        fields.sort(key=lambda field: field.path)
        return cls(images, states, Schema(tuple(fields), METADATA_FIELDS), tuple(left_out))


_USED = {
    layout.ACTION,
    layout.REWARD,
    layout.DONE,
    layout.TRUNCATED,
    layout.SUCCESS,
    *layout.BOOKKEEPING,
}


def _tail(name: str, kind: str) -> str:
    """`front` of `observation.images.front`; `image` of `observation.image`."""
    short = name.removeprefix(_OBSERVATION)
    return short.removeprefix(f"{kind}.") if short.startswith(f"{kind}.") else short


def _is_vector(feature: dict[str, Any]) -> bool:
    return len(feature["shape"]) == 1 and feature["dtype"] in _NUMBERS


def _state_fields(name: str, feature: dict[str, Any]) -> tuple[Field, ...]:
    size = feature["shape"][0]
    cut = feature.get("fields")  # written by `serlds export lerobot`
    if isinstance(cut, dict) and sum(map(math.prod, cut.values())) == size:
        docs = _docs(feature.get("doc", ""), tuple(cut))
        return tuple(
            Field(keys.STATE_PREFIX + part, "float32", tuple(shape), None, docs[part])
            for part, shape in cut.items()
        )
    path = keys.STATE_PREFIX + name.removeprefix(_OBSERVATION).replace(".", "_")
    return (Field(path, "float32", (size,), None, _about(feature)),)


def _docs(text: str, parts: tuple[str, ...]) -> dict[str, FieldDoc]:
    """What the export says about each part: `name: text; name: text`."""
    docs, rest = {}, text
    for part in reversed(parts):
        before, found, after = rest.rpartition(f"{part}: ")
        docs[part] = FieldDoc.from_text(after) if found else FieldDoc()
        rest = before.removesuffix("; ") if found else rest
    return docs


def _about(feature: dict[str, Any]) -> FieldDoc:
    if doc := feature.get("doc"):
        return FieldDoc.from_text(doc.removeprefix(f"{layout.ACTION}: "))
    names = feature.get("names")
    if isinstance(names, dict):  # {"motors": [...]} or {"x": 0, "y": 1}
        lists = [value for value in names.values() if isinstance(value, list)]
        names = lists[0] if lists else list(names)
    return FieldDoc(f"Dimensions: {', '.join(map(str, names))}." if names else "")


def _image_field(path: str, feature: dict[str, Any], encoding: str) -> Field:
    shape = feature["shape"]
    if len(shape) != 3:
        raise SchemaError(f"{path}: expected height, width and channels, found {shape}")
    names = feature.get("names") or []
    channels_first = list(names)[:1] == ["channels"] or (shape[0] == 3 and shape[-1] != 3)
    height_width = shape[1:] if channels_first else shape[:2]
    return Field(path, "uint8", (*height_width, 3), encoding, FieldDoc("RGB."))
