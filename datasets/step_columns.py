"""The columns of an episode while it is being recorded, checked and encoded step by step."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import keys
from .episode import Column, encode_image
from .errors import SchemaError
from .schema import STRING, Field, Schema

JPEG_QUALITY = 95
# dm_env leaves the type of these open (a Python float is common), so they are converted.
_CONVERTED = frozenset({keys.REWARD, keys.DISCOUNT, keys.TIMESTAMP_S})
_FLAGS = (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL)


class StepColumns:
    """Takes the time steps of an episode in turn, then `complete`.

    Images are encoded as they come, so that the end of an episode has little left to do. Arrays are
    copied: an environment may reuse its buffers.
    """

    def __init__(self, schema: Schema):
        """Columns for the step fields of `schema`."""
        self._schema = schema
        given = [field for field in schema.steps if field.path not in _FLAGS]
        of_action = [field for field in given if keys.is_of_action(field.path)]
        self._of_action = _Columns(of_action)
        self._of_observation = _Columns([field for field in given if field not in of_action])
        self._fields = {**self._of_observation.fields, **self._of_action.fields}
        self._num_observations = 0
        self.is_complete = False

    def __len__(self) -> int:
        """Number of observations so far."""
        return self._num_observations

    def add(self, values: Mapping[str, Any]) -> None:
        """Takes a time step's fields by path: everything but the flags.

        That is the observation's fields and, but for the first time step, those of the action that
        led to it: the action, its reward, discount and labels.

        Raises:
          SchemaError: a field is missing, unknown, or of another dtype, shape or type.
        """
        has_action = self._num_observations > 0
        wanted = self._fields if has_action else self._of_observation.fields
        if values.keys() != wanted.keys():
            raise _other_fields(values, wanted)
        if has_action:
            self._of_action.append(values)
        self._of_observation.append(values)
        self._num_observations += 1

    def complete(self) -> None:
        """Marks the last observation as the end; its action, reward and discount become zeros."""
        fields = self._of_action.fields
        self._of_action.append({path: np.zeros(f.shape, f.dtype) for path, f in fields.items()})
        self.is_complete = True

    def columns(self) -> dict[str, Column]:
        """The columns of a completed episode, as `Episode` takes them."""
        values = {**self._of_action.values(), **self._of_observation.values()}
        flags = {path: np.zeros(len(self), bool) for path in _FLAGS}
        flags[keys.IS_FIRST][0] = flags[keys.IS_LAST][-1] = True
        discount = np.asarray(values[keys.DISCOUNT])
        flags[keys.IS_TERMINAL][-1] = len(self) > 1 and discount[-2] == 0
        values |= flags
        return {field.path: values[field.path] for field in self._schema.steps}


def flatten(observation: Any, path: str) -> dict[str, Any]:
    """The leaves of a nested observation by their paths below `path`."""
    if not isinstance(observation, Mapping):
        return {path: observation}
    leaves: dict[str, Any] = {}
    below = _below(path)
    for name, child in observation.items():
        if isinstance(child, np.ndarray):  # as nearly all are
            leaves[below[name]] = child
        else:
            leaves |= flatten(child, below[name])
    return leaves


class _Below(dict[str, str]):
    """The paths below a path, by name: the same strings each time, whose hashes are known."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __missing__(self, name: str) -> str:
        self[name] = below = f"{self._path}/{name}"
        return below


_below = functools.cache(_Below)


class _Columns:
    """The columns of some fields, which grow together.

    What is kept of a value: of an array its bytes, which is the quickest copy of a small one; else
    what `_item` makes of it.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = {field.path: field for field in fields}
        self._arrays = [
            (field.path, np.dtype(field.dtype), field.shape) for field in fields if _is_array(field)
        ]
        self._others = [
            (field, _kept_as_they_are(field)) for field in fields if not _is_array(field)
        ]
        self._steps: list[list[Any]] = []

    def append(self, values: Mapping[str, Any]) -> None:
        step: list[Any] = []
        for path, dtype, shape in self._arrays:  # a dozen of these at every step
            value = values[path]
            array = value if isinstance(value, np.ndarray) else np.asarray(value)
            if array.dtype != dtype or array.shape != shape:
                raise _unfit(self.fields[path], value)
            step.append(array.tobytes())
        for field, types in self._others:
            value = values[field.path]
            step.append(value if type(value) in types else _item(field, value))
        self._steps.append(step)

    def values(self) -> dict[str, Column]:
        in_order = [path for path, *_ in self._arrays] + [field.path for field, _ in self._others]
        columns = zip(in_order, zip(*self._steps, strict=True), strict=True)
        return {path: _column(self.fields[path], kept) for path, kept in columns}


def _is_array(field: Field) -> bool:
    """Whether a field's values are arrays of its dtype, to be kept as they come."""
    return _is_number(field) and field.shape != () and field.path not in _CONVERTED


def _is_number(field: Field) -> bool:
    return not (field.is_image or field.dtype == STRING)


def _kept_as_they_are(field: Field) -> tuple[type, ...]:
    """The types of values that need no look at them: they fit and cannot be changed."""
    if field.shape:
        return ()
    if field.dtype == STRING:
        return (str,)
    if field.dtype == "bool":
        return (bool, np.bool_)
    own = np.dtype(field.dtype)
    is_converted = field.path in _CONVERTED and own.kind == "f"
    return (own.type, float) if is_converted else (own.type,)


def _column(field: Field, kept: Sequence[Any]) -> Column:
    if _is_array(field):
        shape = (len(kept), *field.shape)
        return np.ndarray(shape, field.dtype, buffer=bytearray().join(kept))
    return np.array(kept, field.dtype) if _is_number(field) else list(kept)


def _item(field: Field, value: Any) -> Any:
    """A value of a field of text, of encoded images or of single numbers, as it is kept."""
    if field.dtype == STRING and not field.shape:
        if not isinstance(value, str):
            raise _unfit(field, value)
        return value
    array = np.asarray(value)
    if field.dtype == STRING:
        fits = array.dtype.kind in "OU"
    else:
        converts = field.path in _CONVERTED and array.dtype.kind in "fiu"
        converts &= np.can_cast(array.dtype, field.dtype, "same_kind")
        fits = array.dtype == field.dtype or converts
    if not fits or array.shape != field.shape:
        raise _unfit(field, value)
    if field.encoding:
        return encode_image(array, field.encoding, JPEG_QUALITY)
    return array.copy() if field.shape else array[()]


def _other_fields(values: Mapping[str, Any], wanted: Mapping[str, Field]) -> SchemaError:
    if missing := [path for path in wanted if values.get(path) is None]:
        return SchemaError(f"missing: {', '.join(missing)}")
    unknown = sorted(values.keys() - wanted.keys())
    return SchemaError(f"not in the schema: {', '.join(unknown)}")


def _unfit(field: Field, value: Any) -> SchemaError:
    if value is None:
        return SchemaError(f"missing: {field.path}")
    if field.dtype == STRING and not field.shape:
        return SchemaError(f"{field.path}: expected a string, found {value!r}")
    array = np.asarray(value)
    return SchemaError(
        f"{field.path}: expected {field.describe()}, found {array.dtype} {array.shape}"
    )
