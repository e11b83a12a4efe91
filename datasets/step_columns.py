"""The columns of an episode while it is being recorded, checked and encoded step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import keys
from .episode import Column, encode_image
from .errors import SchemaError
from .schema import STRING, Field, Schema

JPEG_QUALITY = 95
# dm_env leaves the type of these open (a Python float is common), so they are converted.
_CONVERTED = frozenset({keys.REWARD, keys.DISCOUNT, keys.TIMESTAMP_S})
_FLAGS = frozenset({keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL})


class StepColumns:
    """Takes observations and actions in turn: o0, a0, o1, ..., a(N-1), oN, then `complete`.

    Images are encoded as they come, so that the end of an episode has little left to do. Arrays are
    copied: an environment may reuse its buffers.
    """

    def __init__(self, schema: Schema):
        """Columns for the step fields of `schema`."""
        self._schema = schema
        self._fields_of_action = [f for f in schema.steps if keys.is_of_action(f.path)]
        self._fields_of_observation = [
            f for f in schema.steps if not keys.is_of_action(f.path) and f.path not in _FLAGS
        ]
        self._values: dict[str, list[Any]] = {field.path: [] for field in schema.steps}
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
        self._add(self._fields_of_observation, values)
        self._num_observations += 1

    def add_action(self, values: Mapping[str, Any]) -> None:
        """Takes the action from the last observation, with its reward, discount and labels.

        Raises:
          SchemaError: as `add_observation`.
        """
        self._add(self._fields_of_action, values)

    def complete(self) -> None:
        """Marks the last observation as the end; its action, reward and discount become zeros."""
        zeros = {f.path: np.zeros(f.shape, f.dtype) for f in self._fields_of_action}
        terminated = bool(self._values[keys.DISCOUNT]) and self._values[keys.DISCOUNT][-1] == 0
        self.add_action(zeros)
        steps = len(self)
        self._values[keys.IS_FIRST] = [step == 0 for step in range(steps)]
        self._values[keys.IS_LAST] = [step == steps - 1 for step in range(steps)]
        self._values[keys.IS_TERMINAL] = [terminated and step == steps - 1 for step in range(steps)]
        self.is_complete = True

    def columns(self) -> dict[str, Column]:
        """The columns of a completed episode, as `Episode` takes them."""
        return {
            field.path: self._values[field.path]
            if field.is_image or field.dtype == STRING
            else np.asarray(self._values[field.path], dtype=field.dtype)
            for field in self._schema.steps
        }

    def _add(self, fields: list[Field], values: Mapping[str, Any]) -> None:
        if missing := [field.path for field in fields if values.get(field.path) is None]:
            raise SchemaError(f"missing: {', '.join(missing)}")
        if unknown := sorted(values.keys() - {field.path for field in fields}):
            raise SchemaError(f"not in the schema: {', '.join(unknown)}")
        for field in fields:
            self._values[field.path].append(_checked(field, values[field.path]))


def flatten(observation: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a nested observation with their paths below `path`."""
    if isinstance(observation, Mapping):
        for name, child in observation.items():
            yield from flatten(child, f"{path}/{name}")
    else:
        yield path, observation


def _checked(field: Field, value: Any) -> Any:
    if field.dtype == STRING and not field.shape:
        if not isinstance(value, str):
            raise SchemaError(f"{field.path}: expected a string, found {value!r}")
        return value
    array = np.asarray(value)
    if field.path in _CONVERTED and array.dtype.kind in "fiu":
        array = array.astype(field.dtype)
    fits = array.dtype.kind in "OU" if field.dtype == STRING else array.dtype == field.dtype
    if not fits or array.shape != field.shape:
        raise SchemaError(
            f"{field.path}: expected {field.describe()}, found {array.dtype} {array.shape}"
        )
    if field.encoding:
        return encode_image(array, field.encoding, JPEG_QUALITY)
    return array.copy()
