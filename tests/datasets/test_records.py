"""TFRecord framing and the column-wise tf.Example, against TensorFlow and TFDS themselves."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from serlds.datasets import keys
from serlds.datasets.episode import Episode
from serlds.datasets.errors import DamagedDatasetError, SchemaError
from serlds.datasets.records import (
    decode_episode,
    encode_episode,
    frame_record,
    read_record_at,
    read_records,
    record_spans,
)
from serlds.datasets.schema import Field, Schema

payloads = st.lists(st.binary(max_size=300), min_size=1, max_size=4)
few = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(few, max_examples=8)
@given(payloads)
def test_framing_is_byte_for_byte_tensorflows(tmp_path, contents):
    import tensorflow as tf

    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for content in contents:
            writer.write(content)
    ours.write_bytes(b"".join(frame_record(content) for content in contents))
    assert ours.read_bytes() == theirs.read_bytes()
    assert list(read_records(theirs)) == contents
    read_back = tf.data.TFRecordDataset(str(ours)).as_numpy_iterator()
    assert list(read_back) == contents


@few
@given(payloads)
def test_spans_lead_to_each_record(tmp_path, contents):
    path = tmp_path / "shard"
    path.write_bytes(b"".join(frame_record(content) for content in contents))
    spans = list(record_spans(path))
    assert [length for _, length, _ in spans] == [len(content) for content in contents]
    assert [read_record_at(path, offset) for offset, _, _ in spans] == contents


@few
@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_flipped_bit_anywhere_is_found(tmp_path, content, data):
    path = tmp_path / "shard"
    frame = bytearray(frame_record(content))
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(frame)
    with pytest.raises(DamagedDatasetError, match="record 0 at byte 0"):
        list(read_records(path))


@few
@given(st.binary(max_size=100), st.data())
def test_a_torn_end_is_found(tmp_path, content, data):
    path = tmp_path / "shard"
    whole = frame_record(b"first")
    second = frame_record(content)
    path.write_bytes(whole + second[: data.draw(st.integers(1, len(second) - 1))])
    records = read_records(path)
    assert next(records) == b"first"
    with pytest.raises(DamagedDatasetError, match=f"shard: record 1 at byte {len(whole)}"):
        next(records)
    with pytest.raises(DamagedDatasetError, match="record 1"):
        list(record_spans(path))


_FIELDS = (
    Field("observation/state/a", "float32", (2,)),
    Field("observation/state/b", "float32"),
    Field("observation/image/c", "uint8", (4, 4, 3), "png"),
    Field("action", "float32", (2, 2)),
    Field("count", "int64", (3,)),
    Field("level", "uint8"),
    Field("text", "string"),
    Field("words", "string", (2,)),
    Field(keys.IS_FIRST, "bool"),
)
_RICH = Schema(_FIELDS, (Field("name", "string"), Field("seed", "int64"), Field("hz", "float32")))


@st.composite
def episodes(draw):
    steps = draw(st.integers(1, 5))
    columns = {}
    for field in _FIELDS:
        shape = (steps, *field.shape)
        if field.is_image:
            columns[field.path] = draw(
                st.lists(st.binary(max_size=20), min_size=steps, max_size=steps)
            )
        elif field.dtype == "string":
            texts = draw(npst.arrays(object, shape, elements=st.text(max_size=8)))
            columns[field.path] = texts if field.shape else list(texts)
        else:
            columns[field.path] = draw(npst.arrays(field.dtype, shape))
    seed = draw(st.integers(-(2**63), 2**63 - 1))
    hz = float(draw(st.floats(width=32, allow_nan=False)))
    return Episode(columns, {"name": draw(st.text(max_size=8)), "seed": seed, "hz": hz})


@settings(max_examples=60, deadline=None)
@given(episodes())
def test_decoding_inverts_encoding(episode):
    found = decode_episode(encode_episode(episode, _RICH), _RICH)
    assert found.metadata == episode.metadata
    for path, column in episode.columns.items():
        np.testing.assert_array_equal(found[path], column)
        assert isinstance(found[path], np.ndarray) == isinstance(column, np.ndarray)
        if isinstance(column, np.ndarray):
            assert (found[path].dtype, found[path].shape) == (column.dtype, column.shape)


@settings(max_examples=15, deadline=None)
@given(episodes())
def test_encoding_equals_the_one_of_tfds(episode):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    # TFDS takes pixels and encodes them itself, so the image's bytes are left out.
    steps = [
        {
            "observation": {
                "state": {name: episode[f"observation/state/{name}"][t] for name in "ab"},
                "image": {"c": np.zeros((4, 4, 3), np.uint8)},
            },
            **{path: episode[path][t] for path in episode.columns if "/" not in path},
        }
        for t in range(len(episode))
    ]
    features = _RICH.to_features()
    serializer = tfds.core.ExampleSerializer(features.get_serialized_info())
    encoded = features.encode_example({"steps": steps, "episode_metadata": episode.metadata})
    theirs = tf_example_pb2.Example.FromString(serializer.serialize_example(encoded))
    ours = tf_example_pb2.Example.FromString(encode_episode(episode, _RICH))
    for example in (ours, theirs):
        del example.features.feature["steps/observation/image/c"].bytes_list.value[:]
    # As bytes: NaN does not equal itself.
    ours, theirs = (e.SerializeToString(deterministic=True) for e in (ours, theirs))
    assert ours == theirs


BAD_COLUMNS = {
    "dtype": ("action", lambda c: c.astype(np.float64), "expected float32 .* found float64"),
    "shape": (
        "action",
        lambda c: c[:, :6],
        r"expected float32 \(7,\) per step, found float32 \(6,",
    ),
    "length": ("action", lambda c: c[:-1], "expected 5 steps, found 4"),
    "first text": ("language_instruction", lambda c: [None, *c[1:]], "step 0: expected str"),
    "later text": ("language_instruction", lambda c: [*c[:3], 3, c[4]], "step 3: expected str"),
    "image": ("observation/image/front", lambda c: ["text", *c[1:]], "step 0: expected bytes"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_column_that_does_not_fit_is_refused_by_name(case, make_schema, make_episode):
    path, spoil, message = BAD_COLUMNS[case]
    schema = make_schema(cameras=["front"])
    episode = make_episode(schema, 7)
    episode.columns[path] = spoil(episode.columns[path])
    with pytest.raises(SchemaError, match=f"'episode-00007', field {path}.*{message}"):
        encode_episode(episode, schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (keys.SUCCESS, "yes"),
        (keys.SUCCESS, None),
        (keys.SEED, 1.5),
        (keys.SEED, 2**63),
        (keys.TASK, 3),
        (keys.CONTROL_HZ, [10.0]),
    ],
)
def test_metadata_that_does_not_fit_is_refused_by_name(name, value, schema, make_episode):
    episode = make_episode(schema, 1)
    episode.metadata[name] = value
    with pytest.raises(SchemaError, match=f"metadata field {name}: expected"):
        encode_episode(episode, schema)


@pytest.mark.parametrize("kind", ["columns", "metadata"])
def test_missing_and_unknown_fields_are_named(kind, schema, make_episode):
    extra = make_episode(schema, 1)
    getattr(extra, kind)["surprise"] = np.zeros(5, np.float32)
    with pytest.raises(SchemaError, match="not in the schema: surprise"):
        encode_episode(extra, schema)
    lacking = make_episode(schema, 1)
    gone = next(iter(getattr(lacking, kind)))
    del getattr(lacking, kind)[gone]
    with pytest.raises(SchemaError, match=f"missing: {gone}"):
        encode_episode(lacking, schema)


def test_a_record_that_does_not_fit_the_schema_is_damage(schema, make_episode):
    payload = encode_episode(make_episode(schema, 1), schema)
    wider = Schema((*schema.steps, Field("observation/state/more", "float32")), schema.metadata)
    with pytest.raises(DamagedDatasetError, match="lacks the field steps/observation/state/more"):
        decode_episode(payload, wider)
    with pytest.raises(DamagedDatasetError, match=r"not a tf\.Example"):
        decode_episode(b"\xff\xff\xff", schema)
    with pytest.raises(DamagedDatasetError, match="no steps"):
        decode_episode(b"", Schema(schema.steps, ()))
    with pytest.raises(DamagedDatasetError, match="steps/language_instruction, value 0: not UTF-8"):
        decode_episode(payload.replace(b"pick the cube", b"pick the\xffcube"), schema)
    retyped = tuple(
        dataclasses.replace(field, dtype="int64") if field.path == keys.ACTION else field
        for field in schema.steps
    )
    with pytest.raises(DamagedDatasetError, match="steps/action: expected an int64_list, found a"):
        decode_episode(payload, Schema(retyped, schema.metadata))
