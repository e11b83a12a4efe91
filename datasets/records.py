"""Episodes as bytes: TFRecord framing and the column-wise `tf.Example` of RLDS.

A nested `steps` dataset is stored by TFDS as one feature list per field, so reading, filtering and
rewriting episodes needs no TensorFlow. Framing: length (8 bytes), masked CRC of the length (4),
payload, masked CRC of the payload (4), little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from . import keys
from .episode import Column, Episode
from .errors import DamagedDatasetError, SchemaError
from .schema import STRING, Field, Schema

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


def frame_record(payload: bytes) -> bytes:
    """The payload as one TFRecord."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (length, _FOOTER.pack(_masked_crc(length)), payload, _FOOTER.pack(_masked_crc(payload)))
    )


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


def encode_episode(episode: Episode, schema: Schema) -> bytes:
    """The episode as a serialized `tf.Example`, laid out as TFDS lays out `schema`'s features.

    Raises:
      SchemaError: a field is missing, unknown, or differs in dtype, shape or length.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    check_episode(episode, schema)
    example = tf_example_pb2.Example()
    features = example.features.feature
    for field in schema.steps:
        _fill(features[f"{keys.STEPS}/{field.path}"], field, episode.columns[field.path])
    for field in schema.metadata:
        value = episode.metadata[field.path]
        name = f"{keys.EPISODE_METADATA}/{field.path}"
        _fill(features[name], field, [value] if field.dtype == STRING else np.asarray([value]))
    return example.SerializeToString(deterministic=True)


def decode_episode(payload: bytes, schema: Schema) -> Episode:
    """Inverse of `encode_episode`.

    Raises:
      DamagedDatasetError: the payload is no `tf.Example`, lacks a field of the schema, or a field
        has another number of values than `is_first` has steps.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        features = tf_example_pb2.Example.FromString(payload).features.feature
    except DecodeError as error:
        raise DamagedDatasetError(f"record is not a tf.Example: {error}") from error
    metadata = {
        field.path: _scalar(_column(features, f"{keys.EPISODE_METADATA}/{field.path}", field, 1))
        for field in schema.metadata
    }
    first = f"{keys.STEPS}/{keys.IS_FIRST}"
    steps = len(features[first].int64_list.value) if first in features else 0
    if not steps:
        raise DamagedDatasetError(f"record has no steps: field {first} is missing or empty")
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
        kind = bytes if field.is_image else str
        if field.shape and not field.is_image:
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


def _list_of(field: Field) -> str:
    """Which of the three lists of a `tf.Example` feature holds the values."""
    if field.is_image or field.dtype == STRING:
        return "bytes_list"
    return "float_list" if field.dtype.startswith("float") else "int64_list"


def _fill(feature: Any, field: Field, column: Column) -> None:
    values = getattr(feature, _list_of(field)).value
    if field.is_image:
        values.extend(column)
    elif field.dtype == STRING:
        values.extend(text.encode() for text in np.asarray(column, dtype=object).ravel())
    elif field.dtype.startswith("float"):
        values.extend(np.asarray(column, np.float32).ravel().tolist())
    else:
        values.extend(np.asarray(column).astype(np.int64).ravel().tolist())


def _column(features: Any, name: str, field: Field, steps: int) -> Column:
    if name not in features:
        raise DamagedDatasetError(f"record lacks the field {name} of the schema")
    values = getattr(features[name], _list_of(field)).value
    expected = steps if field.is_image else steps * field.size
    if len(values) != expected:
        raise DamagedDatasetError(
            f"field {name}: expected {expected} values for {steps} steps, found {len(values)}"
        )
    if field.is_image:
        return list(values)
    if field.dtype == STRING:
        texts = [_text(value, name, index) for index, value in enumerate(values)]
        if not field.shape:
            return texts
        return np.array(texts, dtype=object).reshape(steps, *field.shape)
    return np.array(values, dtype=field.dtype).reshape(steps, *field.shape)


def _text(value: bytes, name: str, index: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DamagedDatasetError(f"field {name}, value {index}: not UTF-8: {error}") from error


def _scalar(column: Column) -> Any:
    value = column[0]
    return value.item() if isinstance(value, np.generic) else value


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
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
