"""From the observations of a recording to fields: which key is a camera, which a state."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Column, encode_image
from ...datasets.errors import SchemaError, UsageError
from ...datasets.schema import Field
from ..findings import ERROR, BadEpisodeError, Finding
from .presets import split_state

CHECK = "import"
"""Name of the check in findings about a source."""

_MAX_DEPTH, _MAX_LEAVES, _MAX_LISTED = 8, 256, 2**20
# Groups that say what is in them and nothing else.
_GROUPS = frozenset({"state", "states", "image", "images", "observation", "observations", "obs"})
_IMAGE_ENDINGS = re.compile(r"_(image|rgb|img)$")
_PROPRIO = "proprio"

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""dtype kind (as `numpy.dtype.kind`, or `u1` for uint8) and shape by key."""


def bad(message: str, step: int | None = None, field: str = "", **said: str) -> BadEpisodeError:
    """The error of an episode that cannot be imported."""
    return BadEpisodeError(Finding(CHECK, ERROR, message, step, field, **said))


def leaves(observation: Any, step: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of a nested observation by key, the keys of the levels joined by `/`.

    Raises:
      BadEpisodeError: a leaf is no number or array of numbers, or there are too many.
    """
    found: dict[str, np.ndarray] = {}

    def visit(value: Any, path: tuple[str, ...]) -> None:
        key = "/".join(path)
        if isinstance(value, Mapping):
            if len(path) >= _MAX_DEPTH:
                raise bad(f"observations are nested deeper than {_MAX_DEPTH}", step, key)
            for name, child in value.items():
                if not isinstance(name, str):
                    raise bad(f"the key {name!r:.60} of an observation is no text", step, key)
                visit(child, (*path, name))
            return
        found[key or keys.STATE] = as_numbers(value, step, key or "observations")
        if len(found) > _MAX_LEAVES:
            raise bad(f"an observation has more than {_MAX_LEAVES} values", step)

    visit(observation, ())
    if not found:
        raise bad("the observation is empty", step, "observations")
    return found


def as_numbers(value: Any, step: int | None, field: str) -> np.ndarray:
    """The value as an array of numbers or bools.

    Raises:
      BadEpisodeError: it is something else, e.g. text, or lists of different lengths.
    """
    try:
        if isinstance(value, list | tuple):
            _check_small(value, [_MAX_LISTED], _MAX_DEPTH)
        array = np.asarray(value)
    except Exception as error:  # ragged lists, and what a hostile file can think of
        raise bad(f"not an array: {error}", step, field) from error
    if array.dtype.kind not in "biuf":
        kind = "text" if array.dtype.kind in "SU" else f"{type(value).__name__} of {array.dtype}"
        raise bad("not numeric", step, field, expected="numbers", found=kind)
    return array


def to_float32(values: Any) -> np.ndarray:
    """Values as float32; what is too large becomes infinite, which the checks will find."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32)


def _check_small(value: list[Any] | tuple[Any, ...], left: list[int], depth: int) -> None:
    # Lists that share their parts can stand for more numbers than there is memory.
    left[0] -= len(value)
    if left[0] < 0 or depth < 0:
        raise ValueError(f"a list of more than {_MAX_LISTED} numbers, or nested too deeply")
    for item in value:
        if isinstance(item, list | tuple):
            _check_small(item, left, depth - 1)


def shapes_of(values: Mapping[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """dtype kind and shape of each, to compare layouts."""
    return {key: (_kind(array.dtype), array.shape) for key, array in values.items()}


def _kind(dtype: np.dtype) -> str:
    return "u1" if dtype == np.uint8 else dtype.kind


@dataclasses.dataclass(frozen=True)
class Image:
    """A camera: its key in the source and its field."""

    key: str
    field: Field


@dataclasses.dataclass(frozen=True)
class State:
    """A numeric observation: its key in the source, its size, and the fields it is split into."""

    key: str
    size: int
    fields: tuple[Field, ...]


@dataclasses.dataclass(frozen=True)
class ObservationLayout:
    """How the observations of a source become fields."""

    images: tuple[Image, ...]
    states: tuple[State, ...]
    source_keys: frozenset[str]
    """All observations that each step of the source has, imported or not."""

    def check_keys(self, found: Iterable[str]) -> None:
        """Raises BadEpisodeError where an episode does not have the observations of the others."""
        if differing := sorted(self.source_keys ^ set(found)):
            what = "lacks" if differing[0] in self.source_keys else "alone has"
            raise bad(f"the episode {what} this observation", None, f"observations/{differing[0]}")

    @property
    def fields(self) -> tuple[Field, ...]:
        split = (field for state in self.states for field in state.fields)
        return (*(image.field for image in self.images), *split)

    def columns(self, values: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Column]:
        """The columns of T observations, images encoded.

        Args:
          values: by key, T arrays.

        Raises:
          BadEpisodeError: a key is missing or a value has another dtype or shape than declared.
        """
        made: dict[str, Column] = {}
        for image in self.images:
            frames = self._of(values, image.key)
            for step, frame in enumerate(frames):
                _check(frame, "u1", image.field.shape, step, image)
            encoding = image.field.encoding or "jpeg"
            made[image.field.path] = [encode_image(frame, encoding) for frame in frames]
        for state in self.states:
            made |= self._state_columns(state, self._of(values, state.key))
        return made

    def _of(self, values: Mapping[str, Sequence[np.ndarray]], key: str) -> Sequence[np.ndarray]:
        if key not in values:
            raise bad("the observation lacks this key", None, f"observations/{key}")
        return values[key]

    def _state_columns(self, state: State, rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        for step, row in enumerate(rows):
            if row.size != state.size or row.dtype.kind not in "biuf":
                raise bad(
                    "the observation is not like the others",
                    step,
                    f"observations/{state.key}",
                    expected=f"{state.size} numbers",
                    found=f"{row.dtype} {row.shape}",
                )
        matrix = to_float32(np.stack([row.ravel() for row in rows]))
        made, begin = {}, 0
        for field in state.fields:
            end = begin + field.size
            made[field.path] = matrix[:, begin:end].reshape(len(rows), *field.shape)
            begin = end
        return made


def _check(frame: np.ndarray, kind: str, shape: tuple[int, ...], step: int, image: Image) -> None:
    if _kind(frame.dtype) != kind or frame.shape != shape:
        raise bad(
            "the image is not like the others",
            step,
            f"observations/{image.key}",
            expected=f"uint8 {shape}",
            found=f"{frame.dtype} {frame.shape}",
        )


def layout_of(
    shapes: Shapes,
    encoding: str,
    where: str,
    *,
    state: Sequence[str] = (),
    only: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> ObservationLayout:
    """The layout of observations of some shapes.

    uint8 of shape (H, W, 1 or 3) is a camera; numbers of at most two axes are a state, float32.

    Args:
      shapes: dtype kind and shape of each key at one step.
      encoding: of the images.
      where: the file, for messages.
      state: how to split the flat state vector: see `split_state`.
      only: keys that are wanted; empty: all.
      leave_out: keys that are not.

    Raises:
      UsageError: an option names a key that is not there.
      SchemaError: a key is neither camera nor state; says how to leave it out.
    """
    if unknown := sorted({*leave_out, *only} - set(shapes)):
        raise UsageError(
            f"--observations, --leave-out: {where} has no "
            f"observation {', '.join(unknown)}; there are "
            f"{', '.join(sorted(shapes))}"
        )
    images: list[Image] = []
    states: list[State] = []
    for key in sorted((set(only) or set(shapes)) - set(leave_out)):
        kind, shape = shapes[key]
        if kind == "u1" and len(shape) == 3 and shape[2] in (1, 3) and min(shape) > 0:
            path = keys.IMAGE_PREFIX + _IMAGE_ENDINGS.sub("", _name(key))
            images.append(Image(key, Field(path, "uint8", shape, encoding)))
        elif len(shape) <= 2 and 0 not in shape:
            states.append(_state(key, shape, state))
        else:
            raise SchemaError(
                f"{where}: observation {key!r}: "
                f"{'uint8' if kind == 'u1' else kind} {shape} is neither an "
                f"image, uint8 (H, W, 3), nor a state vector; leave it out with --leave-out {key}"
            )
    layout = ObservationLayout(tuple(images), tuple(states), frozenset(shapes))
    if state and not any(len(one.fields) > 1 or one.key == keys.STATE for one in states):
        raise UsageError(f"--state: {where} has no flat state vector to split")
    paths = [field.path for field in layout.fields]
    if doubled := sorted({path for path in paths if paths.count(path) > 1}):
        raise SchemaError(f"{where}: observations would share a field: {', '.join(doubled)}")
    return layout


def _state(key: str, shape: tuple[int, ...], wanted: Sequence[str]) -> State:
    size = int(np.prod(shape, dtype=np.int64)) if shape else 1
    name = _name(key)
    if name == _PROPRIO:
        parts = split_state(size, wanted)
        fields = tuple(
            Field(keys.STATE_PREFIX + part.name, "float32", (part.size,), None, part.about)
            for part in parts
        )
    else:
        fields = (Field(keys.STATE_PREFIX + name, "float32", shape or (1,)),)
    return State(key, size, fields)


def _name(key: str) -> str:
    """The name of a field: `images/front` is front, `state` alone is proprio."""
    parts = key.split("/")
    while parts and parts[0] in _GROUPS:
        parts = parts[1:]
    name = re.sub(r"[^A-Za-z0-9_]+", "_", "_".join(parts)).strip("_")
    return name or _PROPRIO
