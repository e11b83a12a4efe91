"""Episodes as bytes: TFRecord framing and the column-wise `tf.Example` of RLDS.

A nested `steps` dataset is stored by TFDS as one feature list per field, so reading, filtering and
rewriting episodes needs no TensorFlow. Framing: length (8 bytes), masked CRC of the length (4),
payload, masked CRC of the payload (4), little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from . import keys
from .episode import Column, Episode
from .errors import DamagedDatasetError, SchemaError
from .example_wire import ByteStrings, WireFeature, parse_features, serialize_features
from .schema import STRING, Field, Schema

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def frame_record(payload: bytes) -> bytes:
    """The payload as one TFRecord."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (length, _FOOTER.pack(_masked_crc(length)), payload, _FOOTER.pack(_masked_crc(payload)))
    )


def write_record(file: BinaryIO, pieces: Sequence[bytes]) -> int:
    """Writes a payload, given in pieces, as one TFRecord; returns the bytes written."""
    length = struct.pack("<Q", sum(map(len, pieces)))
    crc = 0
    for piece in pieces:
        crc = google_crc32c.extend(crc, piece)
    frame = [length, _FOOTER.pack(_masked_crc(length)), *pieces, _FOOTER.pack(_mask(crc))]
    file.writelines(frame)
    return sum(map(len, frame))


def read_records(path: Path) -> Iterator[bytes]:
    """The payloads of a TFRecord file, in order, each checked against its CRC.

    Raises:
      DamagedDatasetError: a torn or altered record, naming the file, the record and the offset.
    """
    with path.open("rb") as file:
        index = 0
        while header := file.read(_HEADER.size):
            yield _read_payload(file, header, path, index)
            index += 1


def record_spans(path: Path) -> Iterator[tuple[int, int, int]]:
    """(offset, payload length, masked payload CRC) of each record, without reading payloads.

    Raises:
      DamagedDatasetError: after the last whole record, where the file ends inside one or the
        checksum of a length is wrong.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        index = 0
        while header := file.read(_HEADER.size):
            offset = file.tell() - len(header)
            length = _payload_length(header, path, index, offset)
            if offset + _HEADER.size + length + _FOOTER.size > size:
                raise _torn(path, index, offset)
            file.seek(length, os.SEEK_CUR)
            yield offset, length, _FOOTER.unpack(file.read(_FOOTER.size))[0]
            index += 1


def read_record_at(path: Path, offset: int) -> bytes:
    """The payload of the record that begins at byte `offset`; errors as `read_records`."""
    with path.open("rb") as file:
        file.seek(offset)
        return _read_payload(file, file.read(_HEADER.size), path, None)


def payload_length(header: bytes) -> int | None:
    """The length that a record's first 12 bytes give; None where their checksum is wrong."""
    if len(header) < _HEADER.size:
        return None
    length, crc = _HEADER.unpack(header)
    return length if _masked_crc(header[:8]) == crc else None


def encode_episode(episode: Episode, schema: Schema) -> bytes:
    """The episode as a serialized `tf.Example`, laid out as TFDS lays out `schema`'s features.

    Raises:
      SchemaError: a field is missing, unknown, or differs in dtype, shape or length.
    """
    return b"".join(encode_in_pieces(episode, schema))


def encode_in_pieces(episode: Episode, schema: Schema) -> list[bytes]:
    """What `encode_episode` gives, in pieces, so that images are copied once less."""
    check_episode(episode, schema)
    features = {
        f"{keys.STEPS}/{field.path}": _values(field, episode.columns[field.path])
        for field in schema.steps
    }
    for field in schema.metadata:
        value = episode.metadata[field.path]
        column = [value] if field.dtype == STRING else np.asarray([value])
        features[f"{keys.EPISODE_METADATA}/{field.path}"] = _values(field, column)
    return serialize_features(features)


def decode_episode(payload: bytes, schema: Schema) -> Episode:
    """Inverse of `encode_episode`.

    Raises:
      DamagedDatasetError: the payload is no `tf.Example`, lacks a field of the schema, or a field
        has another number of values than `is_first` has steps.
    """
    features = parse_features(payload)
    first = features.get(f"{keys.STEPS}/{keys.IS_FIRST}")
    steps = len(first.ints()) if first else 0
    if not steps:
        name = f"{keys.STEPS}/{keys.IS_FIRST}"
        raise DamagedDatasetError(f"record has no steps: field {name} is missing or empty")
    metadata = {
        field.path: _scalar(_column(features, f"{keys.EPISODE_METADATA}/{field.path}", field, 1))
        for field in schema.metadata
    }
    columns = {
        field.path: _column(features, f"{keys.STEPS}/{field.path}", field, steps)
        for field in schema.steps
    }
    return Episode(columns, metadata)


def check_episode(episode: Episode, schema: Schema) -> None:
    """Checks that an episode has exactly the schema's fields, dtypes, shapes and one length.

    Raises:
      SchemaError: naming the episode, the field, what was expected and what was found.
    """
    where = f"episode {episode.episode_id!r}"
    for kind, have, fields in (
        ("step field", episode.columns, schema.steps),
        ("metadata field", episode.metadata, schema.metadata),
    ):
        wanted = {field.path for field in fields}
        if missing := sorted(wanted - set(have)):
            raise SchemaError(f"{where}: {kind} missing: {', '.join(missing)}")
        if unknown := sorted(set(have) - wanted):
            raise SchemaError(f"{where}: {kind} not in the schema: {', '.join(unknown)}")
    for field in schema.steps:
        _check_column(where, field, episode.columns[field.path], len(episode))
    for field in schema.metadata:
        _check_metadata(where, field, episode.metadata[field.path])


def _check_column(where: str, field: Field, column: Column, steps: int) -> None:
    if len(column) != steps:
        raise SchemaError(
            f"{where}, field {field.path}: expected {steps} steps, found {len(column)}"
        )
    if field.is_image or field.dtype == STRING:
        if isinstance(column, ByteStrings):
            return
        kind = bytes if field.is_image else str
        if field.shape and not field.is_image:
            return
        if set(map(type, column)) == {kind}:
            return
        wrong = next((i for i, item in enumerate(column) if not isinstance(item, kind)), None)
        if wrong is not None:
            raise SchemaError(
                f"{where}, field {field.path}, step {wrong}: expected {kind.__name__}, found "
                f"{type(column[wrong]).__name__}"
            )
        return
    array = np.asarray(column)
    if array.dtype != np.dtype(field.dtype) or array.shape[1:] != tuple(field.shape):
        raise SchemaError(
            f"{where}, field {field.path}: expected {field.describe()} per step, found "
            f"{array.dtype} {array.shape[1:]}"
        )


def _check_metadata(where: str, field: Field, value: Any) -> None:
    array = np.asarray(value)
    if field.dtype == STRING:
        fits = array.dtype.kind == "U" or (array.dtype.kind == "O" and bool(field.shape))
    elif array.dtype.kind in "iu" and np.dtype(field.dtype).kind in "iu":
        limits = np.iinfo(field.dtype)
        fits = array.size == 0 or (limits.min <= array.min() and array.max() <= limits.max)
    else:
        fits = array.dtype.kind != "O" and np.can_cast(array.dtype, field.dtype, "same_kind")
    if not fits or array.shape != tuple(field.shape):
        raise SchemaError(
            f"{where}, metadata field {field.path}: expected {field.describe()}, found "
            f"{type(value).__name__} {value!r}"
        )


def _values(field: Field, column: Column) -> np.ndarray | Sequence[bytes]:
    """A column as one of the three kinds of list of a `tf.Example`."""
    if field.is_image:
        return column
    if field.dtype == STRING:
        return _encoded(np.asarray(column, dtype=object).ravel().tolist())
    dtype = np.float32 if field.dtype.startswith("float") else np.int64
    return np.asarray(column).astype(dtype, copy=False)


def _column(features: dict[str, WireFeature], name: str, field: Field, steps: int) -> Column:
    if name not in features:
        raise DamagedDatasetError(f"record lacks the field {name} of the schema")
    feature = features[name]
    expected = steps if field.is_image else steps * field.size
    if field.is_image or field.dtype == STRING:
        items = feature.byte_strings()
        _check_count(name, len(items), expected, steps)
        if field.is_image:
            return items
        texts = _decoded(items, name)
        return np.array(texts, object).reshape(steps, *field.shape) if field.shape else texts
    numbers = feature.floats() if field.dtype.startswith("float") else feature.ints()
    _check_count(name, len(numbers), expected, steps)
    # A copy, so that a column is aligned, may be written to, and does not keep the record alive.
    return _cast(numbers, field, name).reshape(steps, *field.shape)


def _check_count(name: str, found: int, expected: int, steps: int) -> None:
    if found != expected:
        raise DamagedDatasetError(
            f"field {name}: expected {expected} values for {steps} steps, found {found}"
        )


def _cast(numbers: np.ndarray, field: Field, name: str) -> np.ndarray:
    cast = numbers.astype(field.dtype)
    if numbers.dtype == np.int64 and field.dtype not in ("bool", "int64"):
        wrong = np.flatnonzero(cast.astype(np.int64) != numbers)
        if wrong.size:
            raise DamagedDatasetError(
                f"field {name}, value {wrong[0]}: {numbers[wrong[0]]} does not fit {field.dtype}"
            )
    return cast


def _encoded(texts: list[str]) -> list[bytes]:
    # Most texts are one instruction repeated at every step.
    known = {text: text.encode() for text in set(texts)}
    return [known[text] for text in texts]


def _decoded(items: Sequence[bytes], name: str) -> list[str]:
    if isinstance(items, list) and items.count(items[0]) == len(items):
        return [_text(items[0], name, 0)] * len(items)  # most texts are one instruction
    known: dict[bytes, str] = {}
    texts = []
    for index, item in enumerate(items):
        if (text := known.get(item)) is None:
            text = known[item] = _text(item, name, index)
        texts.append(text)
    return texts


def _text(value: bytes, name: str, index: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DamagedDatasetError(f"field {name}, value {index}: not UTF-8: {error}") from error


def _scalar(column: Column) -> Any:
    value = column[0]
    return value.item() if isinstance(value, np.generic) else value


def _masked_crc(data: bytes) -> int:
    return _mask(google_crc32c.value(data))


def _mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _payload_length(header: bytes, path: Path, index: int | None, offset: int) -> int:
    if len(header) < _HEADER.size:
        raise _torn(path, index, offset)
    length, crc = _HEADER.unpack(header)
    if _masked_crc(header[:8]) != crc:
        raise DamagedDatasetError(
            f"{path}: {_record(index)} at byte {offset}: the checksum of its length is wrong"
        )
    return length


def _read_payload(file: BinaryIO, header: bytes, path: Path, index: int | None) -> bytes:
    offset = file.tell() - len(header)
    length = _payload_length(header, path, index, offset)
    payload = file.read(length)
    footer = file.read(_FOOTER.size)
    if len(payload) < length or len(footer) < _FOOTER.size:
        raise _torn(path, index, offset)
    if _FOOTER.unpack(footer)[0] != _masked_crc(payload):
        raise DamagedDatasetError(
            f"{path}: {_record(index)} at byte {offset}: the checksum of its content is wrong"
        )
    return payload


def _record(index: int | None) -> str:
    return "record" if index is None else f"record {index}"


def _torn(path: Path, index: int | None, offset: int) -> DamagedDatasetError:
    return DamagedDatasetError(
        f"{path}: {_record(index)} at byte {offset}: the file ends inside it"
    )
