"""The wire format against protobuf itself: what it reads, what it refuses, what it writes."""

import random
import time

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from serlds.datasets.errors import DamagedDatasetError
from serlds.datasets.example_wire import parse_features, serialize_features

READERS = {"bytes_list": "byte_strings", "float_list": "floats", "int64_list": "ints"}
int64s = st.integers(-(2**63), 2**63 - 1)
lists = st.one_of(
    st.lists(st.binary(max_size=40), max_size=9),
    st.lists(st.just(b"pick up the cube"), min_size=1, max_size=200),
    st.lists(st.floats(width=32), max_size=9).map(lambda v: np.array(v, np.float32)),
    st.lists(st.one_of(st.integers(0, 1), int64s), max_size=9).map(lambda v: np.array(v, np.int64)),
)
feature_maps = st.dictionaries(st.text(max_size=12), lists, max_size=5)


def theirs(record):
    """What protobuf reads: {name: (kind, values as comparable bytes)}, or None where it refuses."""
    try:
        features = tf_example_pb2.Example.FromString(record).features.feature
    except DecodeError:
        return None
    read = {}
    for name, feature in features.items():
        kind = feature.WhichOneof("kind") or ""
        read[name] = kind, comparable(kind, getattr(feature, kind).value) if kind else b""
    return read


def ours(record):
    try:
        features = parse_features(record)
        return {
            name: (
                feature.kind,
                comparable(feature.kind, getattr(feature, READERS[feature.kind])())
                if feature.kind
                else b"",
            )
            for name, feature in features.items()
        }
    except DamagedDatasetError:
        return None


def comparable(kind, values):
    return np.array(values, "<f4").tobytes() if kind == "float_list" else tuple(values)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, wire, payload):
    head = varint(number << 3 | wire)
    return head + varint(len(payload)) + payload if wire == 2 else head + payload


def entry(name, *features):
    value = b"".join(field(2, 2, feature) for feature in features)
    return field(1, 2, field(1, 2, name) + value)


def example(*entries):
    return field(1, 2, b"".join(entries))


@settings(max_examples=300, deadline=None)
@given(feature_maps)
def test_written_bytes_are_protobufs(features):
    message = tf_example_pb2.Example()
    message.features.SetInParent()
    for name, values in features.items():
        feature = message.features.feature[name]
        kind = "bytes_list" if isinstance(values, list) else None
        kind = kind or ("float_list" if values.dtype == np.float32 else "int64_list")
        getattr(feature, kind).SetInParent()
        getattr(feature, kind).value.extend(values if kind == "bytes_list" else values.tolist())
    record = b"".join(serialize_features(features))
    assert record == message.SerializeToString(deterministic=True)
    assert ours(record) == theirs(record)


FLOATS, INTS = field(2, 2, field(1, 2, b"\0\0\x80?" * 3)), field(3, 2, field(1, 2, b"\1\2\x96\1"))
BYTES = field(1, 2, field(1, 2, b"one") + field(1, 2, b"two"))


@pytest.mark.parametrize(
    "record",
    {
        "nothing": b"",
        "no features": example(),
        "a name without a value": example(field(1, 2, field(1, 2, b"a"))),
        "a value without a name": example(field(1, 2, field(2, 2, INTS))),
        "the value before the name": example(field(1, 2, field(2, 2, INTS) + field(1, 2, b"a"))),
        "unpacked floats": example(entry(b"a", field(2, 2, field(1, 5, b"\0\0\x80?") * 3))),
        "unpacked integers": example(
            entry(b"a", field(3, 2, field(1, 0, b"\x96\1") + field(1, 0, b"\1")))
        ),
        "packed and unpacked mixed": example(
            entry(
                b"a", field(3, 2, field(1, 0, b"\5") + field(1, 2, b"\6\7") + field(1, 0, b"\x08"))
            )
        ),
        "a name twice": example(entry(b"a", INTS), entry(b"b", BYTES), entry(b"a", FLOATS)),
        "features twice": example(entry(b"a", INTS)) + example(entry(b"a", BYTES)),
        "a list in two pieces": example(entry(b"a", INTS + INTS)),
        "a value in two pieces": example(entry(b"a", BYTES, BYTES)),
        "two kinds": example(entry(b"a", INTS + BYTES + INTS)),
        "unknown fields": field(9, 2, b"x")
        + field(7, 1, b"12345678")
        + example(
            entry(b"a", field(5, 0, b"\1") + INTS + field(2, 0, b"\1")),
            field(15, 5, b"1234"),
        ),
        "unknown groups": field(4, 3, field(5, 3, b"") + field(5, 4, b"") + b"\x08\1")
        + field(4, 4, b"")
        + example(entry(b"a", INTS)),
        "numbers written longer than needed": example(
            entry(
                b"a",
                field(3, 2, field(1, 2, b"\x81\x80\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")),
            )
        ),
        "a length written longer than needed": b"\x0a\x80\x00",
        "long names": example(entry(b"a" * 127, INTS), entry(b"b" * 133, FLOATS)),
        "a long value after a long name": example(entry(b"c" * 300, field(1, 2, BYTES * 50))),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_protobuf_accepts_is_read_equal(record):
    assert theirs(record[1]) is not None
    assert ours(record[1]) == theirs(record[1])


@pytest.mark.parametrize(
    "record, message",
    [
        (b"\x0a\x05ab", "ends after byte"),
        (b"\x00\x01", "no field has the number 0"),
        (b"\x0b", "does not end"),
        (b"\x0b\x14", "a group ends that did not begin"),
        (b"\x0c", "no wire type 4"),
        (b"\x0f", "no wire type 7"),
        (b"\x0b" * 1000, "groups in each other"),
        (b"\x0a" + b"\xff" * 11, "does not end"),
        (example(entry(b"\xff", INTS)), "not UTF-8"),
        (example(entry(b"a", field(2, 2, field(1, 2, b"12345")))), "field a: .* no list of floats"),
        (example(entry(b"a", field(3, 2, field(1, 2, b"\1\x80")))), "field a: .* does not end"),
        (
            example(entry(b"a", field(3, 2, field(1, 2, b"\x80" * 10 + b"\1")))),
            "field a: .*64 bits",
        ),
        (example(entry(b"a", field(1, 2, b"\x0a\x7fabc"))), "field a: .* ends after byte"),
    ],
)
def test_what_protobuf_refuses_is_damage_that_names_the_place(record, message):
    assert theirs(record) is None
    with pytest.raises(DamagedDatasetError, match=message):
        for feature in parse_features(record).values():
            getattr(feature, READERS[feature.kind])()


@settings(max_examples=2000, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_protobuf_reads_them(record):
    assert ours(record) == theirs(record)


def test_damaged_records_are_read_as_protobuf_reads_them():
    rng = random.Random(0)
    whole = b"".join(
        serialize_features(
            {
                "steps/action": np.linspace(-1, 1, 21, dtype=np.float32),
                "steps/is_first": np.array([1, 0, 0]),
                "steps/observation/image": [b"\xff\xd8 front" * 3, b"", b"\xff\xd8 last"],
                "steps/language_instruction": [b"pick"] * 3,
                "episode_metadata/seed": np.array([-1, 2**40]),
            }
        )
    )
    for _ in range(6000):
        record = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(record))
            action = rng.randrange(4)
            if action == 0:
                record[at] = rng.randrange(256)
            elif action == 1:
                record[at] ^= 1 << rng.randrange(8)
            elif action == 2:
                del record[at : at + rng.randint(1, 8)]
            else:
                record[at:at] = record[(other := rng.randrange(len(record))) : other + 8]
            if not record:
                break
        found, expected = ours(bytes(record)), theirs(bytes(record))
        assert (found is None) == (expected is None), bytes(record)
        # Python's protobuf drops an entry that has an unknown field in it; others keep it.
        assert expected is None or found.items() >= expected.items(), bytes(record)


def test_a_record_that_lies_about_its_lengths_costs_nothing():
    liar = b"\x0a" + varint(2**31 - 1) + entry(b"a", INTS)
    begin = time.process_time()
    for _ in range(1000):
        with pytest.raises(DamagedDatasetError, match="ends after byte"):
            parse_features(liar)
    assert time.process_time() - begin < 5
