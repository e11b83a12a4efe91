"""The protobuf wire format of `tf.train.Example`, read and written with numpy.

    Example {Features features = 1}            Feature {oneof: BytesList bytes_list = 1,
    Features {map<string, Feature> feature = 1}                FloatList float_list = 2,
    BytesList, FloatList, Int64List                            Int64List int64_list = 3}
        {repeated value = 1}, numbers packed

A record holds few features of many values, so walking it in Python is cheap as long as values are
not: a packed list becomes an array in one step, and bytes are cut out of the record.
Sources: https://protobuf.dev/programming-guides/encoding and TensorFlow's example.proto and
feature.proto.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .errors import DamagedDatasetError

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_KINDS = {1: "bytes_list", 2: "float_list", 3: "int64_list"}
_PLAIN = (0x0A, 0x0A, 0x12)  # tags of an entry of the map, of its name, of its value
_KIND_BY_TAG = {number << 3 | _BYTES: kind for number, kind in _KINDS.items()}
_VALUE_IN_BYTES = b"\x0a"  # field 1, length-delimited: every list and map of the format
_MAX_GROUPS = 100  # as deep as protobuf itself follows unknown groups

_MAX_VARINT = 2**64 - 1  # what a tenth byte has beyond is dropped

Spans = list[tuple[int, int]]


class _MalformedError(ValueError):
    """Bytes that are not protobuf, with the place among them."""


class WireFeature(NamedTuple):
    """The undecoded values of one feature.

    Attributes:
      name: key in the map of features.
      kind: `bytes_list`, `float_list`, `int64_list`, or empty where none is set.
      record: the whole record.
      spans: where in it the list is; a list may come in several pieces.
    """

    name: str
    kind: str
    record: bytes
    spans: Spans

    def floats(self) -> np.ndarray:
        """The values of a `float_list`: (V,) float32, read-only.

        Raises:
          DamagedDatasetError: the list is malformed or of another kind, naming the feature.
        """
        return self._numbers("float_list", _FIXED32, np.dtype("<f4"), _packed_floats)

    def ints(self) -> np.ndarray:
        """The values of an `int64_list`: (V,) int64; errors as `floats`."""
        return self._numbers("int64_list", _VARINT, np.dtype(np.int64), _packed_varints)

    def byte_strings(self) -> Sequence[bytes]:
        """The values of a `bytes_list`; errors as `floats`."""
        self._check_kind("bytes_list")
        if len(self.spans) == 1 and (values := _repeated(self.record, *self.spans[0])):
            return values
        with _naming(self.name):
            return ByteStrings(self.record, self.spans)

    def _numbers(self, kind, single, dtype, packed) -> np.ndarray:
        self._check_kind(kind)
        with _naming(self.name):
            if len(self.spans) == 1 and (span := _only_value(self.record, *self.spans[0])):
                return packed(self.record, *span)
            pieces = [
                packed(self.record, begin, end)
                for start, stop in self.spans
                for number, wire, begin, end in _fields(self.record, start, stop)
                if number == 1 and wire in (single, _BYTES)
            ]
        return np.concatenate([np.empty(0, dtype), *pieces])

    def _check_kind(self, kind: str) -> None:
        if self.kind not in (kind, ""):
            raise DamagedDatasetError(
                f"field {self.name}: expected {_article(kind)}, found {_article(self.kind)}"
            )


class ByteStrings(Sequence[bytes]):
    """The values of a bytes list, cut out of the record when they are asked for.

    Serialized again, the list is copied as it stands. It cannot be changed.
    """

    def __init__(self, record: bytes, spans: Spans):
        """Finds the values; see `WireFeature`."""
        self._record = record
        self._places: Spans = []
        self._is_plain = True
        for begin, end in spans:
            self._is_plain &= _find_strings(record, begin, end, self._places)
        self._spans = spans

    def serialized(self) -> list[bytes]:
        """The content of the list, in pieces."""
        if self._is_plain:
            return [self._record[begin:end] for begin, end in self._spans]
        return _serialize_strings(self._values)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index):
        return self._values[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == list(other) if isinstance(other, (list, ByteStrings)) else False

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self):
        return list, (self._values,)

    @functools.cached_property
    def _values(self) -> list[bytes]:
        record = self._record
        return [record[begin:end] for begin, end in self._places]


def parse_features(record: bytes) -> dict[str, WireFeature]:
    """The features of a serialized `tf.train.Example`, by name, their values undecoded.

    As in protobuf: of a name that comes twice the last counts, unknown fields are skipped.

    Raises:
      DamagedDatasetError: the record is not a `tf.train.Example`.
    """
    features: dict[str, WireFeature] = {}
    with _naming(""):
        for start, stop in _submessages(record, 0, len(record)):
            # What is not laid out as all writers do is rare, and read again with every rule.
            if not _add_plain_entries(record, start, stop, features):
                for entry in _submessages(record, start, stop):
                    feature = _any_entry(record, *entry)
                    features[feature.name] = feature
    return features


def serialize_features(features: Mapping[str, np.ndarray | Sequence[bytes]]) -> list[bytes]:
    """A serialized `tf.train.Example` in pieces, which are long where the values are.

    Joined they are byte for byte what protobuf's deterministic writer gives.

    Args:
      features: by name: float32 arrays, int64 arrays, or byte strings; arrays are flattened.
    """
    pieces: list[bytes] = []
    size = 0
    # In protobuf's order a name comes after those that it begins; FF is in no UTF-8 name.
    for name in sorted(features, key=lambda name: name.encode() + b"\xff"):
        entry = _serialize_entry(name.encode(), features[name])
        pieces += entry
        size += sum(map(len, entry))
    return [_VALUE_IN_BYTES + _encode_varint(size), *pieces]


def _article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("int") else f"a {kind}"


class _naming:
    """Turns a malformed record into an error that names the feature."""

    def __init__(self, name: str):
        self._where = f"field {name}: " if name else ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _MalformedError):
            raise DamagedDatasetError(
                f"{self._where}the record is not a tf.Example: {error}"
            ) from error


def _add_plain_entries(record: bytes, at: int, end: int, features: dict[str, WireFeature]) -> bool:
    """Adds the entries of a map while each is a name, then a value that is one list.

    All writers lay them out so. Every record has dozens, so nothing is called for a length below
    128. False where an entry is otherwise; those before it have been added then.
    """
    try:
        while at < end:
            tag, length, begin = record[at], record[at + 1], at + 2
            if length >= 0x80:
                length, begin = _decode_varint(record, at + 1, end)
            at = begin + length  # where the entry ends, and the next begins
            name, length = begin + 2, record[begin + 1]
            value = name + length
            if length >= 0x80 or (tag, record[begin], record[value]) != _PLAIN or at > end:
                return False
            length, feature = record[value + 1], value + 2
            if length >= 0x80:
                length, feature = _decode_varint(record, value + 1, at)
            size, values = record[feature + 1], feature + 2
            if size >= 0x80:
                size, values = _decode_varint(record, feature + 1, at)
            kind = _KIND_BY_TAG.get(record[feature])
            if kind is None or feature + length != at or values + size != at:
                return False
            key = record[name:value].decode()
            features[key] = WireFeature(key, kind, record, [(values, at)])
    except (IndexError, UnicodeDecodeError, _MalformedError):
        return False
    return True


def _any_entry(record: bytes, begin: int, end: int) -> WireFeature:
    key, values = b"", []
    for number, wire, start, stop in _fields(record, begin, end):
        if wire == _BYTES and number == 1:
            key = record[start:stop]
        elif wire == _BYTES and number == 2:
            values.append((start, stop))
    kind, spans = "", []
    for value in values:
        for number, wire, start, stop in _fields(record, *value):
            if wire == _BYTES and number in _KINDS:
                # Lists of one kind are joined; one of another kind replaces what came before.
                if kind != _KINDS[number]:
                    kind, spans = _KINDS[number], []
                spans.append((start, stop))
    return WireFeature(_name(key, begin), kind, record, spans)


def _name(key: bytes, at: int) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise _MalformedError(f"a name at byte {at} is not UTF-8") from error


def _only_value(record: bytes, begin: int, end: int) -> tuple[int, int] | None:
    """Where the packed values of a list are that is nothing else; None for any other list."""
    if begin == end or record[begin] != _VALUE_IN_BYTES[0]:
        return None
    length, begin = _decode_varint(record, begin + 1, end)
    return (begin, end) if begin + length == end else None


def _submessages(record: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each value of field 1, which is where the format keeps all that counts."""
    for number, wire, begin, end in _fields(record, start, stop):
        if number == 1 and wire == _BYTES:
            yield begin, end


def _fields(record: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, begin, end of the value) of each field of a message."""
    while at < end:
        number, wire, at = _tag(record, at, end)
        if wire == _GROUP:
            begin, at = at, _skip_group(record, number, at, end)
        else:
            begin, at = _value(record, wire, at, end)
        yield number, wire, begin, at


def _tag(record: bytes, at: int, end: int) -> tuple[int, int, int]:
    tag, after = _decode_varint(record, at, end)
    if tag >> 32 or after - at > 5 or not tag >> 3:
        raise _MalformedError(f"at byte {at}: no field has the number {tag >> 3}")
    return tag >> 3, tag & 7, after


def _value(record: bytes, wire: int, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the value whose tag was just read."""
    if wire == _BYTES:
        length, at = _decode_varint(record, at, end)
        after = at + length
    elif wire == _VARINT:
        after = _decode_varint(record, at, end)[1]
    elif wire in (_FIXED32, _FIXED64):
        after = at + (4 if wire == _FIXED32 else 8)
    else:
        raise _MalformedError(f"at byte {at}: there is no wire type {wire} here")
    if after > end:
        raise _ends_early(at, after - at, end)
    return at, after


def _ends_early(at: int, length: int, end: int) -> _MalformedError:
    return _MalformedError(f"at byte {at}: a value of {length} bytes ends after byte {end}")


def _skip_group(record: bytes, number: int, at: int, end: int) -> int:
    opened = [number]
    while opened:
        inner, wire, at = _tag(record, at, end)
        if wire == _GROUP:
            opened.append(inner)
        elif wire == _GROUP_END:
            if opened.pop() != inner:
                raise _MalformedError(f"at byte {at}: a group ends that did not begin")
        else:
            at = _value(record, wire, at, end)[1]
        if len(opened) > _MAX_GROUPS:
            raise _MalformedError(f"at byte {at}: more than {_MAX_GROUPS} groups in each other")
    return at


def _decode_varint(record: bytes, at: int, end: int) -> tuple[int, int]:
    if at + 1 < end:  # most are this short
        if (first := record[at]) < 0x80:
            return first, at + 1
        if (second := record[at + 1]) < 0x80:
            return first & 0x7F | second << 7, at + 2
    value = shift = 0
    for place in range(at, min(end, at + 10)):
        byte = record[place]
        if byte < 0x80:
            return (value | byte << shift) & _MAX_VARINT, place + 1
        value |= (byte & 0x7F) << shift
        shift += 7
    raise _MalformedError(f"at byte {at}: a number does not end")


def _packed_floats(record: bytes, begin: int, end: int) -> np.ndarray:
    if (end - begin) % 4:
        raise _MalformedError(f"at byte {begin}: {end - begin} bytes are no list of floats")
    return np.frombuffer(record, "<f4", (end - begin) // 4, begin)


def _packed_varints(record: bytes, begin: int, end: int) -> np.ndarray:
    data = np.frombuffer(record, np.uint8, end - begin, begin)
    if record[begin:end].isascii():  # every number has one byte
        return data.astype(np.int64)
    if len(data) <= 10:  # often one large number, such as a seed
        number, after = _decode_varint(record, begin, end)
        if after == end:
            return np.array([number], np.uint64).view(np.int64)
    ends = np.flatnonzero(data < 0x80)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise _MalformedError(f"at byte {begin}: the last number of a list does not end")
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    if lengths.max() > 10:
        raise _MalformedError(f"at byte {begin}: a number of a list is longer than 64 bits")
    place = np.arange(len(data)) - np.repeat(begins, lengths)
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(bits, begins).view(np.int64)


def _repeated(record: bytes, begin: int, end: int) -> list[bytes]:
    """The values of a list that repeats one short value, as instructions do, or nothing."""
    if begin + 2 > end or record[begin] != _VALUE_IN_BYTES[0] or record[begin + 1] >= 0x80:
        return []
    size = 2 + record[begin + 1]
    count, rest = divmod(end - begin, size)
    first = record[begin : begin + size]
    return [first[2:]] * count if not rest and record[begin:end] == first * count else []


def _find_strings(record: bytes, at: int, end: int, places: Spans) -> bool:
    """Adds begin and end of each value; false where there is something else among them."""
    tag = _VALUE_IN_BYTES[0]
    add = places.append
    while at < end and record[at] == tag:
        begin = at + 3
        if begin <= end and record[at + 1] >= 0x80 > record[at + 2]:  # as most images are
            at = begin + (record[at + 1] & 0x7F | record[at + 2] << 7)
        else:
            length, begin = _decode_varint(record, at + 1, end)
            at = begin + length
        if at > end:
            raise _ends_early(begin, at - begin, end)
        add((begin, at))
    if at == end:
        return True
    places += (
        (begin, stop)
        for number, wire, begin, stop in _fields(record, at, end)
        if number == 1 and wire == _BYTES
    )
    return False


def _serialize_entry(name: bytes, values: np.ndarray | Sequence[bytes]) -> list[bytes]:
    """A map entry, in pieces."""
    if isinstance(values, ByteStrings):
        tag, content = b"\x0a", values.serialized()
    elif not isinstance(values, np.ndarray):
        tag, content = b"\x0a", _serialize_strings(values)
    elif values.dtype == np.float32:
        tag, content = b"\x12", _serialize_packed(values.astype("<f4", copy=False).tobytes())
    else:
        tag, content = b"\x1a", _serialize_packed(_serialize_varints(values.ravel()))
    size = sum(map(len, content))
    feature = tag + _encode_varint(size)
    key = _VALUE_IN_BYTES + _encode_varint(len(name)) + name
    value = b"\x12" + _encode_varint(len(feature) + size)
    whole = _encode_varint(len(key) + len(value) + len(feature) + size)
    return [b"".join((_VALUE_IN_BYTES, whole, key, value, feature)), *content]


def _serialize_packed(values: bytes) -> list[bytes]:
    return [_VALUE_IN_BYTES + _encode_varint(len(values)), values] if values else []


def _serialize_strings(values: Sequence[bytes]) -> list[bytes]:
    if values and values.count(values[0]) == len(values):
        return [(_VALUE_IN_BYTES + _encode_varint(len(values[0])) + values[0]) * len(values)]
    pieces = []
    for value in values:
        pieces += (_VALUE_IN_BYTES + _encode_varint(len(value)), value)
    return pieces


def _serialize_varints(values: np.ndarray) -> bytes:
    if len(values) == 0 or (values.min() >= 0 and values.max() < 0x80):
        return values.astype(np.uint8).tobytes()
    shifts = np.arange(0, 70, 7, dtype=np.uint64)
    shifted = values.astype(np.int64).view(np.uint64)[:, None] >> shifts  # (V, 10)
    used = shifted > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    groups = (shifted & np.uint64(0x7F)).astype(np.uint8) | np.where(more, 0x80, 0).astype(np.uint8)
    return groups[used].tobytes()


def _encode_varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    return bytes((value & 0x7F | 0x80,)) + _encode_varint(value >> 7)
