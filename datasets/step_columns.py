"""The columns of an episode while it is being recorded, checked and encoded step by step."""

from __future__ import annotations

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
_ARRAYS = (np.ndarray, np.generic)
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
        of_action = [field for field in given if keys.is_of_action(field.path)]
        self._of_action = _Columns(of_action)
        self._of_observation = _Columns([field for field in given if field not in of_action])
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
        self._of_observation.append(values)
        self._num_observations += 1

    def add_action(self, values: Mapping[str, Any]) -> None:
        """Takes the action from the last observation, with its reward, discount and labels.

        Raises:
          SchemaError: as `add_observation`.
        """
        self._of_action.append(values)

    def complete(self) -> None:
        """Marks the last observation as the end; its action, reward and discount become zeros."""
        fields = self._of_action.fields
        self.add_action({path: np.zeros(f.shape, f.dtype) for path, f in fields.items()})
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
    for name, child in observation.items():
        if isinstance(child, np.ndarray):  # as nearly all are
            leaves[f"{path}/{name}"] = child
        else:
            leaves |= flatten(child, f"{path}/{name}")
    return leaves


class _Columns:
    """The columns of some fields, which grow together; numbers in arrays that double when full."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = {field.path: field for field in fields}
        self._numbers = {
            path: np.empty((_FIRST_STEPS, *field.shape), field.dtype)
            for path, field in self.fields.items()
            if not (field.is_image or field.dtype == STRING)
        }
        self._items: dict[str, list[Any]] = {
            path: [] for path in self.fields if path not in self._numbers
        }
        self._room = _FIRST_STEPS
        self._length = 0
        self._plan = self._planned()

    def append(self, values: Mapping[str, Any]) -> None:
        if values.keys() != self.fields.keys():
            if missing := [path for path in self.fields if values.get(path) is None]:
                raise SchemaError(f"missing: {', '.join(missing)}")
            unknown = sorted(values.keys() - self.fields.keys())
            raise SchemaError(f"not in the schema: {', '.join(unknown)}")
        if self._length == self._room:
            self._grow()
        length = self._length
        for path, column, dtype, shape, converts in self._plan:  # a dozen of these at every step
            value = values[path]
            array = value if isinstance(value, _ARRAYS) else np.asarray(value)
            found = array.dtype
            fits = found == dtype or (converts and found.kind in "fiu")
            if not fits or array.shape != shape:
                raise _unfit(self.fields[path], value)
            column[length] = array
        for path, items in self._items.items():
            items.append(_item(self.fields[path], values[path]))
        self._length = length + 1

    def values(self) -> dict[str, Column]:
        numbers = {path: column[: self._length] for path, column in self._numbers.items()}
        return {**numbers, **self._items}

    def _grow(self) -> None:
        self._numbers = {
            path: np.concatenate([column, np.empty_like(column)])
            for path, column in self._numbers.items()
        }
        self._room *= 2
        self._plan = self._planned()

    def _planned(self) -> list[tuple[str, np.ndarray, np.dtype, tuple[int, ...], bool]]:
        return [
            (path, column, column.dtype, column.shape[1:], path in _CONVERTED)
            for path, column in self._numbers.items()
        ]


def _item(field: Field, value: Any) -> Any:
    """A value of a field of text or of encoded images, as it is kept."""
    if field.dtype == STRING and not field.shape:
        if not isinstance(value, str):
            raise _unfit(field, value)
        return value
    array = np.asarray(value)
    fits = array.dtype.kind in "OU" if field.dtype == STRING else array.dtype == field.dtype
    if not fits or array.shape != field.shape:
        raise _unfit(field, value)
    encoding = field.encoding
    return encode_image(array, encoding, JPEG_QUALITY) if encoding else array.copy()


def _unfit(field: Field, value: Any) -> SchemaError:
    if value is None:
        return SchemaError(f"missing: {field.path}")
    if field.dtype == STRING and not field.shape:
        return SchemaError(f"{field.path}: expected a string, found {value!r}")
    array = np.asarray(value)
    return SchemaError(
        f"{field.path}: expected {field.describe()}, found {array.dtype} {array.shape}"
    )
