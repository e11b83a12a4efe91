"""The columns of an episode while it is being recorded, checked and encoded step by step."""

from __future__ import annotations

from collections.abc import Mapping
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
_FIRST_STEPS = 64


class StepColumns:
    """Takes observations and actions in turn: o0, a0, o1, ..., a(N-1), oN, then `complete`.

    Images are encoded as they come, so that the end of an episode has little left to do. Arrays are
    copied: an environment may reuse its buffers.
    """

    def __init__(self, schema: Schema):
        """Columns for the step fields of `schema`."""
        self._schema = schema
        given = [field for field in schema.steps if field.path not in _FLAGS]
        columns = {field.path: _column(field) for field in given}
        of_action = [path for path in columns if keys.is_of_action(path)]
        self._of_action = {path: columns.pop(path) for path in of_action}
        self._of_observation = columns
        self._num_observations = 0
        self.is_complete = False

    def __len__(self) -> int:
        """Number of observations so far."""
        return self._num_observations

    def add_observation(self, values: Mapping[str, Any]) -> None:
        """Takes the observation's fields: everything but action fields and flags, by path.

        Raises:
          SchemaError: a field is missing, unknown, or of another dtype, shape or type.
        """
        _add(self._of_observation, values)
        self._num_observations += 1

    def add_action(self, values: Mapping[str, Any]) -> None:
        """Takes the action from the last observation, with its reward, discount and labels.

        Raises:
          SchemaError: as `add_observation`.
        """
        _add(self._of_action, values)

    def complete(self) -> None:
        """Marks the last observation as the end; its action, reward and discount become zeros."""
        fields = [column.field for column in self._of_action.values()]
        self.add_action({field.path: np.zeros(field.shape, field.dtype) for field in fields})
        self.is_complete = True

    def columns(self) -> dict[str, Column]:
        """The columns of a completed episode, as `Episode` takes them."""
        given = {**self._of_action, **self._of_observation}
        values = {path: column.values() for path, column in given.items()}
        flags = {path: np.zeros(len(self), bool) for path in _FLAGS}
        flags[keys.IS_FIRST][0] = flags[keys.IS_LAST][-1] = True
        discount = np.asarray(values[keys.DISCOUNT])
        flags[keys.IS_TERMINAL][-1] = len(self) > 1 and discount[-2] == 0
        values |= flags
        return {field.path: values[field.path] for field in self._schema.steps}


def flatten(observation: Any, path: str) -> dict[str, Any]:
    """The leaves of a nested observation by their paths below `path`."""
    leaves: dict[str, Any] = {}
    _flatten(observation, path, leaves)
    return leaves


def _flatten(observation: Any, path: str, leaves: dict[str, Any]) -> None:
    if not isinstance(observation, Mapping):
        leaves[path] = observation
        return
    for name, child in observation.items():
        _flatten(child, f"{path}/{name}", leaves)


def _add(columns: Mapping[str, _Numbers | _Items], values: Mapping[str, Any]) -> None:
    if values.keys() != columns.keys():
        if missing := [path for path in columns if values.get(path) is None]:
            raise SchemaError(f"missing: {', '.join(missing)}")
        unknown = sorted(values.keys() - columns.keys())
        raise SchemaError(f"not in the schema: {', '.join(unknown)}")
    for path, column in columns.items():
        column.append(values[path])


def _column(field: Field) -> _Numbers | _Items:
    return _Items(field) if field.is_image or field.dtype == STRING else _Numbers(field)


class _Numbers:
    """Values of a numeric field, in an array that doubles when it is full."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._dtype = np.dtype(field.dtype)
        self._shape = field.shape
        self._converts = field.path in _CONVERTED
        self._array = np.empty((_FIRST_STEPS, *field.shape), self._dtype)
        self._length = 0

    def append(self, value: Any) -> None:
        array = value if isinstance(value, np.ndarray | np.generic) else np.asarray(value)
        if array.dtype != self._dtype and not (self._converts and array.dtype.kind in "fiu"):
            raise _unfit(self.field, value)
        if array.shape != self._shape:
            raise _unfit(self.field, value)
        if self._length == len(self._array):
            self._array = np.concatenate([self._array, np.empty_like(self._array)])
        self._array[self._length] = array
        self._length += 1

    def values(self) -> np.ndarray:
        return self._array[: self._length].copy()


class _Items:
    """Values of a field of text or of encoded images."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._values: list[Any] = []

    def append(self, value: Any) -> None:
        field = self.field
        if field.dtype == STRING and not field.shape:
            if not isinstance(value, str):
                raise _unfit(field, value)
            self._values.append(value)
            return
        array = np.asarray(value)
        fits = array.dtype.kind in "OU" if field.dtype == STRING else array.dtype == field.dtype
        if not fits or array.shape != field.shape:
            raise _unfit(field, value)
        encoding = field.encoding
        self._values.append(
            encode_image(array, encoding, JPEG_QUALITY) if encoding else array.copy()
        )

    def values(self) -> list[Any]:
        return self._values


def _unfit(field: Field, value: Any) -> SchemaError:
    if value is None:
        return SchemaError(f"missing: {field.path}")
    if field.dtype == STRING and not field.shape:
        return SchemaError(f"{field.path}: expected a string, found {value!r}")
    array = np.asarray(value)
    return SchemaError(
        f"{field.path}: expected {field.describe()}, found {array.dtype} {array.shape}"
    )
