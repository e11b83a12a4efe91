"""The values that a plain pickle can hold, and what stands for the functions that make them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_DTYPE = re.compile(r"[|<>=]?([biufcSUO])\d{0,9}")
_MAX_KEY_LENGTH = 8
MAX_NUMBER_BYTES = 64
"""Longer integers are refused: their arithmetic is slow."""


class RefusedError(Exception):
    """What the file asks for is not plain data."""


class TornError(Exception):
    """What the file holds contradicts itself or its size."""


class ArrayInMaking:
    """An array between its creation and the instruction that fills it."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise TornError("the state of an array is not what numpy writes")
        shape, dtype, fortran, raw = state[-4:]
        self.value = _array(raw, dtype, shape, "F" if fortran is True else "C")


class DtypeInMaking:
    """A dtype between its creation and the instruction that sets its byte order."""

    def __init__(self, name: Any) -> None:
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise RefusedError(f"the numpy dtype {name!r:.60}")
        self.value = np.dtype(name)

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise RefusedError("a numpy dtype with named fields or sub-arrays")
        if state[1] not in ("<", ">", "|", "="):
            raise TornError("a dtype has no byte order")
        if state[1] in "<>":
            self.value = self.value.newbyteorder(state[1])


class NamedFunction:
    """What stands for a named function; it does the same to plain data as the one named."""

    def __init__(self, name: str, call: Callable[..., Any]):
        self._name = name
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._call(*arguments)
        except (RefusedError, TornError):
            raise
        except Exception as error:
            raise TornError(f"{self._name}: {type(error).__name__}: {error}") from error


def _array(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    """The array of some bytes, or of a list of plain things where the dtype is object."""
    if not isinstance(dtype, DtypeInMaking):
        raise TornError("an array without a dtype")
    kind = dtype.value
    if not isinstance(shape, tuple) or len(shape) > 16 or not all(_is_size(n) for n in shape):
        raise TornError(f"an array of shape {shape!r:.80}")
    count = math.prod(shape)
    if kind.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise TornError(f"an array of objects, {count} expected")
        array = np.empty(count, object)
        array[:] = raw
    else:
        if not isinstance(raw, bytes | bytearray | memoryview) or not kind.itemsize:
            raise TornError("an array without bytes")
        if len(raw) != count * kind.itemsize:
            raise TornError(f"an array of {shape} {kind} cannot have {len(raw)} bytes")
        array = np.frombuffer(raw, kind)
    return array.reshape(shape, order=order)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _reconstruct(subtype: Any, shape: Any, typecode: Any) -> ArrayInMaking:
    if subtype is not _NDARRAY:
        raise RefusedError("an array of a class other than numpy.ndarray")
    return ArrayInMaking()


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (1,), "C")[0] if not dtype.value.hasobject else _no("object scalar")


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(raw, dtype, shape, "F" if order == "F" else "C")


def _jax_array(function: Any, arguments: Any, state: Any, aval_state: Any) -> np.ndarray:
    if function is not _RECONSTRUCT or not isinstance(arguments, tuple):
        raise RefusedError("an array of JAX that is not made from one of numpy")
    array = function(*arguments)
    array.build(state)
    return array.value


def _encode(text: Any, encoding: Any) -> bytes:
    # How protocols 0 to 2 write bytes.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise TornError("bytes in an unknown encoding")
    return text.encode("latin1")


def _ordered_dict(pairs: Sequence[Any] = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        made[checked_key(key)] = finished(value)
    return made


def set_of(items: Sequence[Any] = ()) -> set[Any]:
    """A set of plain members."""
    return set(map(checked_key, expect(items, list | tuple)))


def _bytes_of(content: Any = b"", encoding: Any = "latin1") -> bytes:
    if isinstance(content, str):
        return _encode(content, encoding)
    return bytes(expect(content, bytes | memoryview))


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(expect(real, float), expect(imaginary, float))


def _no(what: str) -> Any:
    raise RefusedError(what)


_NDARRAY = NamedFunction("numpy.ndarray", lambda *_: _no("a direct call of numpy.ndarray"))
_RECONSTRUCT = NamedFunction("numpy _reconstruct", _reconstruct)
FUNCTIONS: dict[tuple[str, str], NamedFunction] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): NamedFunction("numpy.dtype", lambda name, *_: DtypeInMaking(name)),
    ("_codecs", "encode"): NamedFunction("_codecs.encode", _encode),
    ("collections", "OrderedDict"): NamedFunction("OrderedDict", _ordered_dict),
    ("jax._src.array", "_reconstruct_array"): NamedFunction("jax array", _jax_array),
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _RECONSTRUCT),
            ("multiarray", "scalar", NamedFunction("numpy scalar", _scalar)),
            ("numeric", "_frombuffer", NamedFunction("numpy _frombuffer", _frombuffer)),
        )
    },
    **{
        (module, name): NamedFunction(name, call)
        for module in ("builtins", "__builtin__")
        for name, call in (
            ("set", set_of),
            ("frozenset", set_of),
            ("bytes", _bytes_of),
            ("bytearray", _bytes_of),
            ("complex", _complex),
        )
    },
}


def finished(value: Any) -> Any:
    """What goes into a container: complete arrays and bytes instead of views."""
    if isinstance(value, memoryview):
        return bytes(value)
    if type(value) is tuple and len(value) <= _MAX_KEY_LENGTH:
        if any(isinstance(item, memoryview) for item in value):
            return tuple(map(finished, value))
        return value
    return finished_array(value)


def finished_array(value: Any) -> Any:
    """What goes into a tuple: complete arrays; dtypes may still get their byte order."""
    if isinstance(value, ArrayInMaking):
        if value.value is None:
            raise TornError("an array is used before it has its values")
        return value.value
    return value


def fill_dict(target: dict[Any, Any], items: list[Any]) -> None:
    """Puts keys and values, in turn, into a dictionary."""
    if len(items) % 2:
        raise TornError("a key without a value")
    for position in range(0, len(items), 2):
        target[checked_key(items[position])] = finished(items[position + 1])


def checked_key(value: Any) -> Any:
    """A key or member: shallow, because the hash of a nested tuple can take forever."""
    if type(value) is tuple and len(value) <= _MAX_KEY_LENGTH:
        return tuple(
            checked_key(item) if type(item) is not tuple else _no("a nested key") for item in value
        )
    if value is None or isinstance(value, str | bytes | bool | int | float | np.generic):
        return value
    raise RefusedError(f"a {type(value).__name__} as a key")


def expect(value: Any, kind: Any) -> Any:
    """The value, if it is of the kind that is needed."""
    if not isinstance(value, kind):
        raise TornError(f"a {type(value).__name__} where {kind} is needed")
    return value


def to_integer(text: str) -> int:
    """The integer of a line of text, if it is not too long."""
    return int(text.removesuffix("L")) if len(text) <= 2 * MAX_NUMBER_BYTES else _torn_number()


def _torn_number() -> Any:
    raise TornError("a number of too many digits")
