"""The fields of an RT-X export."""

from __future__ import annotations

import dataclasses

from ...datasets import keys
from ...datasets.errors import SchemaError, UsageError
from ...datasets.schema import STRING, Field, FieldDoc, Schema
from ..sentence_encoder import EMBEDDING_SIZE
from .actions import check_convertible
from .options import RtxOptions

IMAGE_ROOT = f"{keys.OBSERVATION}/"
STATE = f"{keys.OBSERVATION}/state"
LANGUAGE_EMBEDDING = "language_embedding"
FILE_PATH = "file_path"
ACTION_CONVENTION = "action_convention"
LANGUAGE_ENCODER = "language_encoder"
_MAIN_IMAGE = "image"

_FLAT = (
    "Change of the commanded tool pose: dx, dy, dz, droll, dpitch, dyaw (about the fixed axes x, "
    "y, z of the frame, in this order), then the gripper, absolute: 1 open, 0 closed. It is the "
    "action taken from the observation of the same step."
)


@dataclasses.dataclass(frozen=True)
class RtxLayout:
    """How the fields of a source become those of the export.

    Attributes:
      images: path in the export by path in the source.
      others: path in the export by path in the source, of fields that are taken over unchanged.
      states: paths of the source's state fields, in the order of the exported vector.
      schema: of the export.
    """

    images: dict[str, str]
    others: dict[str, str]
    states: tuple[str, ...]
    schema: Schema


def rtx_layout(source: Schema, options: RtxOptions, encoder: str) -> RtxLayout:
    """Maps a source schema to that of the export.

    Raises:
      SchemaError: the source lacks what the export needs; names what is missing.
      UsageError: the options name a camera or state field that is not there.
    """
    if options.actions == "as_is":
        _check_vector(source.action)
    else:
        check_convertible(source.action, options)
    missing = [path for path in (keys.REWARD, keys.DISCOUNT) if path not in source]
    if missing:
        raise SchemaError(f"the export needs the step fields {', '.join(missing)}")
    images, states = _image_paths(source, options), _state_paths(source, options)
    fields = [
        *(_image_field(source[old], new, options) for old, new in images.items()),
        *_state_fields(source, states),
        *_action_fields(source.action, options),
        *_step_fields(encoder),
    ]
    others = _other_paths(source, {field.path for field in fields})
    fields += [dataclasses.replace(source[old], path=new) for old, new in others.items()]
    fields.sort(key=lambda field: field.path)
    return RtxLayout(images, others, states, Schema(tuple(fields), _metadata(source)))


def action_convention(options: RtxOptions, action: Field) -> str:
    """What the exported actions mean, for a person.

    Args:
      options: which action space was asked for.
      action: the source's action.
    """
    frame = action.about.frame
    if options.actions == "as_is":
        unit = f" Units: {action.about.unit}." if action.about.unit else ""
        where = f" Frame: {frame}." if frame else ""
        return f"Not a 7-d end-effector delta. {action.about.doc}{unit}{where}"
    kind = _FLAT if options.actions == "flat" else "RT-1 dictionary. " + _FLAT
    return f"{kind} Units m and rad. Frame: {frame or 'robot base'}."


def _check_vector(action: Field) -> None:
    if len(action.shape) != 1 or not action.dtype.startswith("float"):
        raise SchemaError(
            f"field {action.path}: the export needs a vector of floats, found {action.describe()}"
        )


def _other_paths(source: Schema, taken: set[str]) -> dict[str, str]:
    """Fields that are passed on: all raw data is, as the format asks."""
    paths: dict[str, str] = {}
    for field in source.steps:
        path = field.path
        used = path == keys.ACTION or path.startswith((keys.STATE_PREFIX, f"{keys.ACTION}/"))
        if field.is_image or used:
            continue
        below = path.removeprefix(IMAGE_ROOT)
        new = IMAGE_ROOT + below.replace("/", "_") if path != below else path
        if new not in taken and path not in taken:
            paths[path] = new
    return paths


def _image_paths(source: Schema, options: RtxOptions) -> dict[str, str]:
    paths = {_camera(field): field.path for field in source.image_fields}
    cameras = list(paths)
    names = options.image_names
    if options.images != RtxOptions().images and (unknown := sorted(set(names) - set(cameras))):
        raise UsageError(
            f"images: there is no camera {', '.join(unknown)}; the cameras are "
            f"{', '.join(cameras) or 'none'}"
        )
    chosen = {camera: names.get(camera, _image_name(camera)) for camera in cameras}
    if _MAIN_IMAGE not in chosen.values() and options.images == RtxOptions().images:
        # Readers look for a camera of this name.
        fixed = [one for one in cameras if "wrist" not in one and "hand" not in one]
        if fixed or (len(cameras) == 1 and cameras[0] not in names):
            chosen[(fixed or cameras)[0]] = _MAIN_IMAGE
    if len(set(chosen.values())) < len(chosen):
        raise UsageError(f"images: two cameras would have the same name: {chosen}")
    return {paths[camera]: IMAGE_ROOT + name for camera, name in chosen.items()}


def _camera(field: Field) -> str:
    return field.path.removeprefix(keys.IMAGE_PREFIX).removeprefix(IMAGE_ROOT)


def _image_name(camera: str) -> str:
    """Readers also tell cameras by the word image in the name."""
    name = camera.replace("/", "_")
    return name if "image" in name else f"{name}_image"


def _state_paths(source: Schema, options: RtxOptions) -> tuple[str, ...]:
    have = [field.path for field in source.state_fields]
    asked = tuple(keys.STATE_PREFIX + name for name in options.state)
    if unknown := [path for path in asked if path not in have]:
        raise UsageError(
            f"state: there is no field {', '.join(unknown)}; the state fields are {', '.join(have)}"
        )
    return asked or tuple(have)


def _image_field(old: Field, new: str, options: RtxOptions) -> Field:
    text = old.about.doc or f"Camera {_camera(old)}."
    doc = FieldDoc(text if "RGB" in text else f"{text} RGB.")
    size = options.image_size
    return Field(new, "uint8", (size, size, old.shape[-1]), "jpeg", doc)


def _state_fields(source: Schema, states: tuple[str, ...]) -> list[Field]:
    if not states:
        return []
    names, index = [], 0
    for path in states:
        field = source[path]
        units = [unit.strip() for unit in field.about.unit.split(",")]
        for dimension in range(field.size):
            unit = units[dimension] if len(units) == field.size else field.about.unit
            name = path.removeprefix(keys.STATE_PREFIX)
            label = f"{name}.{dimension}" if field.size > 1 else name
            names.append(f"{index} {label}" + (f" ({unit})" if unit else ""))
            index += 1
    doc = FieldDoc("State of the robot and, where named, of objects. " + "; ".join(names) + ".")
    return [Field(STATE, "float32", (index,), None, doc)]


def _action_fields(action: Field, options: RtxOptions) -> list[Field]:
    frame = action.about.frame
    if options.actions == "as_is":
        about = FieldDoc(action_convention(options, action), action.about.unit, frame)
        return [Field(keys.ACTION, "float32", action.shape, None, about)]
    if options.actions == "flat":
        about = FieldDoc(_FLAT, "m, m, m, rad, rad, rad, 1", frame)
        return [Field(keys.ACTION, "float32", (7,), None, about)]
    fields = (
        ("world_vector", "float32", 3, "Commanded displacement of the tool.", "m"),
        ("rotation_delta", "float32", 3, "Commanded droll, dpitch, dyaw of the tool.", "rad"),
        ("gripper_closedness_action", "float32", 1, "Absolute: -1 open, +1 closed.", ""),
        ("terminate_episode", "int32", 3, "One-hot: terminate, arm, base.", ""),
        ("base_displacement_vector", "float32", 2, "Always 0.", "m"),
        ("base_displacement_vertical_rotation", "float32", 1, "Always 0.", "rad"),
    )
    return [
        Field(
            f"{keys.ACTION}/{name}",
            dtype,
            (size,),
            None,
            FieldDoc(doc, unit, frame if unit else ""),
        )
        for name, dtype, size, doc, unit in fields
    ]


def _step_fields(encoder: str) -> tuple[Field, ...]:
    return (
        Field(
            keys.REWARD,
            "float32",
            about=FieldDoc("Reward that followed the action; of a sparse task 1 at its success."),
        ),
        Field(
            keys.DISCOUNT,
            "float32",
            about=FieldDoc("0 where the episode terminated, else 1; a time limit keeps it 1."),
        ),
        Field(keys.IS_FIRST, "bool", about=FieldDoc("First step of the episode.")),
        Field(
            keys.IS_LAST,
            "bool",
            about=FieldDoc("Last step of the episode; its action was taken like any other."),
        ),
        Field(
            keys.IS_TERMINAL,
            "bool",
            about=FieldDoc(
                "Last step of an episode that terminated; false after a time limit or stop."
            ),
        ),
        Field(keys.LANGUAGE_INSTRUCTION, STRING, about=FieldDoc("What the robot is asked to do.")),
        Field(
            LANGUAGE_EMBEDDING,
            "float32",
            (EMBEDDING_SIZE,),
            about=FieldDoc(f"Embedding of the instruction, of length 1, from {encoder}."),
        ),
    )


def _metadata(source: Schema) -> tuple[Field, ...]:
    added = (
        Field(FILE_PATH, STRING, about=FieldDoc("File of the source dataset.")),
        Field(ACTION_CONVENTION, STRING, about=FieldDoc("What the actions mean.")),
        Field(LANGUAGE_ENCODER, STRING, about=FieldDoc("What made the language embedding.")),
    )
    names = {field.path for field in added}
    return (*added, *(field for field in source.metadata if field.path not in names))
