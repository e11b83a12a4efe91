"""Reading pickles that hold data and nothing else.

A pickle is a program, and Python's own reader runs it. This reader knows the instructions that
build numbers, text, plain containers and numpy arrays, and refuses all others before they do
anything; it imports nothing and calls nothing that the file names. Claimed sizes are checked
against the file, so that a small file cannot ask for much memory or time. The bytes of large arrays
are not copied: the arrays are read-only views of the memory-mapped file, which the operating system
shares among processes and can drop again.

The instructions are those of Python's `pickletools`; how arrays are pickled is read from numpy's
`ndarray.__reduce__`, in its old (`numpy.core`) and new (`numpy._core`) places, and, for arrays of
JAX, from `jax._src.array._reconstruct_array`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...datasets.errors import DamagedDatasetError, DatasetNotFoundError, SerldsError
from .pickle_values import (
    FUNCTIONS,
    MAX_NUMBER_BYTES,
    ArrayInMaking,
    DtypeInMaking,
    NamedFunction,
    RefusedError,
    TornError,
    checked_key,
    expect,
    fill_dict,
    finished,
    finished_array,
    set_of,
    to_integer,
)

# Shorter byte strings are copied; longer ones stay views of the file.
_COPIED_BYTES = 1024


class UnsafePickleError(SerldsError):
    """A pickle holds something other than plain data."""


def load_plain_pickle(path: str | Path) -> Any:
    """Reads a pickle of numbers, text, bytes, lists, tuples, dictionaries, sets and numpy arrays.

    Arrays are read-only; ordered dictionaries become dictionaries, byte arrays bytes, arrays of JAX
    those of numpy. A long byte string inside nested tuples stays a view of the file.

    Raises:
      UnsafePickleError: the file names anything else; says what and at which byte.
      DamagedDatasetError: the file ends too early, claims more than it holds, or is no pickle.
      DatasetNotFoundError: there is no such file.
      OSError: it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DamagedDatasetError(f"{path}: the file is empty")
        machine = _Machine(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return machine.run()
    except RefusedError as error:
        raise UnsafePickleError(
            f"{path}: refused {error} at byte {machine.at}: a file of demonstrations may hold only "
            f"numbers, text, plain containers and numpy arrays; anything else could run code when "
            f"it is loaded. Save it again with plain values (e.g. `numpy.asarray`)"
        ) from error
    except Exception as error:  # a damaged file can do anything to the machine, but not more
        reason = str(error) if isinstance(error, TornError) else f"{type(error).__name__}: {error}"
        raise DamagedDatasetError(
            f"{path}: not a readable pickle, at byte {machine.at} of {machine.size}: {reason[:200]}"
        ) from error


class _Machine:
    """The stack machine of a pickle, without the instructions that call or import."""

    def __init__(self, file: mmap.mmap):
        self._file = file
        self._data = memoryview(file)
        self.size = len(file)
        self._next = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.at = 0

    def run(self) -> Any:
        while True:
            self.at = self._next
            code = self._take(1)[0]
            if code == 0x2E:  # STOP
                return finished(self._stack.pop())
            handler = _HANDLERS.get(code)
            if handler is None:
                known = _REFUSED.get(code)
                raise (
                    RefusedError(known) if known else TornError(f"unknown instruction {code:#04x}")
                )
            handler(self)

    # The file.

    def _take(self, size: int) -> memoryview:
        begin = self._next
        if size < 0 or begin + size > self.size:
            raise TornError(f"{size} bytes are claimed, {self.size - begin} are left")
        self._next = begin + size
        return self._data[begin : self._next]

    def _number(self, code: str) -> int:
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]

    def _line(self) -> str:
        end = self._file.find(b"\n", self._next)
        if end < 0:
            raise TornError("a line does not end")
        line = self._take(end + 1 - self._next)
        return str(line[:-1], "latin1")

    # The stack.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop_to_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    # Instructions, in the order of `pickletools`.

    def _int_line(self) -> None:
        text = self._line()
        self._push({"00": False, "01": True}.get(text, text) if len(text) == 2 else text)
        if isinstance(self._stack[-1], str):
            self._push(to_integer(self._stack.pop()))

    def _long(self, code: str) -> None:
        size = self._number(code)
        if not 0 <= size <= MAX_NUMBER_BYTES:
            raise TornError(f"a number of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _bytes(self, code: str) -> None:
        view = self._take(self._number(code))
        self._push(bytes(view) if len(view) <= _COPIED_BYTES else view)

    def _text(self, code: str) -> None:
        self._push(str(self._take(self._number(code)), "utf-8", "surrogatepass"))

    def _text_line(self) -> None:
        self._push(self._line().encode("latin1").decode("raw-unicode-escape"))

    def _append(self) -> None:
        value = finished(self._stack.pop())
        expect(self._stack[-1], list).append(value)

    def _appends(self) -> None:
        items = self._pop_to_mark()
        expect(self._stack[-1], list).extend(map(finished, items))

    def _setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        expect(self._stack[-1], dict)[checked_key(key)] = finished(value)

    def _setitems(self) -> None:
        items = self._pop_to_mark()
        fill_dict(expect(self._stack[-1], dict), items)

    def _dict(self) -> None:
        items = self._pop_to_mark()
        self._push({})
        fill_dict(self._stack[-1], items)

    def _additems(self) -> None:
        items = self._pop_to_mark()
        expect(self._stack[-1], set).update(map(checked_key, items))

    def _tuple(self, size: int | None = None) -> None:
        if size is None:
            items = self._pop_to_mark()
        else:
            items = [self._stack.pop() for _ in range(size)][::-1]
        self._push(tuple(map(finished_array, items)))

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise TornError(f"memo {index} is empty")
        self._push(self._memo[index])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _global(self, module: Any, name: Any) -> None:
        if (module, name) not in FUNCTIONS:
            raise RefusedError(f"{module!s:.80}.{name!s:.80}")
        self._push(FUNCTIONS[module, name])

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise TornError("a name that is no text")
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, NamedFunction) or not isinstance(arguments, tuple):
            raise TornError("something is called that is no function")
        self._push(function(*arguments))

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, ArrayInMaking | DtypeInMaking):
            raise RefusedError(f"the attributes of a {type(target).__name__}")
        target.build(state)


def _ignore(code: str) -> Callable[[_Machine], None]:
    def ignore(machine: _Machine) -> None:
        machine._number(code)

    return ignore


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda machine: machine._push(value)


_HANDLERS: dict[int, Callable[[_Machine], None]] = {
    ord("I"): _Machine._int_line,
    ord("J"): lambda m: m._push(m._number("i")),
    ord("K"): lambda m: m._push(m._number("B")),
    ord("M"): lambda m: m._push(m._number("H")),
    ord("L"): lambda m: m._push(to_integer(m._line())),
    0x8A: lambda m: m._long("B"),
    0x8B: lambda m: m._long("i"),
    0x8E: lambda m: m._bytes("Q"),
    0x96: lambda m: m._bytes("Q"),
    ord("B"): lambda m: m._bytes("I"),
    ord("C"): lambda m: m._bytes("B"),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("V"): _Machine._text_line,
    0x8C: lambda m: m._text("B"),
    ord("X"): lambda m: m._text("I"),
    0x8D: lambda m: m._text("Q"),
    ord("F"): lambda m: m._push(float(m._line())),
    ord("G"): lambda m: m._push(struct.unpack(">d", m._take(8))[0]),
    ord("]"): lambda m: m._push([]),
    ord("a"): _Machine._append,
    ord("e"): _Machine._appends,
    ord("l"): lambda m: m._push(list(map(finished, m._pop_to_mark()))),
    ord(")"): _constant(()),
    ord("t"): _Machine._tuple,
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("}"): lambda m: m._push({}),
    ord("d"): _Machine._dict,
    ord("s"): _Machine._setitem,
    ord("u"): _Machine._setitems,
    0x8F: lambda m: m._push(set()),
    0x90: _Machine._additems,
    0x91: lambda m: m._push(set_of(m._pop_to_mark())),
    ord("0"): _Machine._pop,
    ord("2"): lambda m: m._push(m._stack[-1]),
    ord("("): _Machine._mark,
    ord("1"): lambda m: m._pop_to_mark() and None,
    ord("g"): lambda m: m._get(to_integer(m._line())),
    ord("h"): lambda m: m._get(m._number("B")),
    ord("j"): lambda m: m._get(m._number("I")),
    ord("p"): lambda m: m._put(to_integer(m._line())),
    ord("q"): lambda m: m._put(m._number("B")),
    ord("r"): lambda m: m._put(m._number("I")),
    0x94: lambda m: m._put(len(m._memo)),
    ord("c"): lambda m: m._global(m._line(), m._line()),
    0x93: _Machine._stack_global,
    ord("R"): _Machine._reduce,
    ord("b"): _Machine._build,
    0x80: _ignore("B"),
    0x95: _ignore("Q"),
}
"""By the code of each instruction; what is not here or in `_REFUSED` is no instruction."""

_REFUSED: dict[int, str] = {
    ord("S"): "a text of Python 2",
    ord("T"): "a text of Python 2",
    ord("U"): "a text of Python 2",
    ord("i"): "an object of a class (instruction INST)",
    ord("o"): "an object of a class (instruction OBJ)",
    0x81: "an object of a class (instruction NEWOBJ)",
    0x92: "an object of a class (instruction NEWOBJ_EX)",
    0x82: "a registered extension",
    0x83: "a registered extension",
    0x84: "a registered extension",
    ord("P"): "a reference to something outside the file",
    ord("Q"): "a reference to something outside the file",
    0x97: "a buffer outside the file",
    0x98: "a buffer outside the file",
}
