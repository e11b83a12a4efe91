"""The schema, from spaces to features and back, and the episode that follows it."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.datasets import keys
from serlds.datasets.episode import decode_image, encode_image
from serlds.datasets.errors import DamagedDatasetError, SchemaError, UsageError
from serlds.datasets.paths import DatasetPath
from serlds.datasets.schema import Field, FieldDoc, Schema, check_fits, state_size

plain_text = st.text(st.characters(codec="ascii", exclude_characters="[]\n\r\t"), max_size=20).map(
    lambda text: " ".join(text.split())
)
scales = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple)


@given(st.builds(FieldDoc, plain_text, plain_text, plain_text, scales))
def test_documentation_survives_as_text(doc):
    assert FieldDoc.from_text(doc.to_text()) == doc


@pytest.mark.parametrize("text", ["Pose. [scale: metric]", "[scale: 1.0, 2.0.1]"])
def test_words_of_others_in_brackets_stay(text):
    assert FieldDoc.from_text(text) == FieldDoc(text)


def by_path(fields):
    return {field.path: field for field in fields}


@pytest.mark.parametrize("cameras", [(), ("front", "wrist")])
def test_features_describe_the_whole_schema(make_schema, cameras):
    schema = make_schema(cameras=cameras)
    found = Schema.from_features(schema.to_features())
    assert by_path(found.steps) == by_path(schema.steps)
    assert by_path(found.metadata) == by_path(schema.metadata)


def test_a_schema_from_spaces_has_the_contracts_fields(make_schema):
    schema = make_schema(cameras=("wrist", "front"))
    assert [field.path for field in schema.image_fields] == [
        "observation/image/front",
        "observation/image/wrist",
    ]
    assert [field.path for field in schema.state_fields] == [
        "observation/state/gripper",
        "observation/state/tcp_pos",
    ]
    assert state_size(schema) == 4
    assert schema.action.about.scale == (0.05,) * 7
    assert {field.path for field in schema.steps} > {keys.REWARD, keys.DISCOUNT, keys.IS_TERMINAL}
    with pytest.raises(SchemaError, match=r"no step field 'speed'; the fields are .*action"):
        schema["speed"]


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Dict(state=gym.spaces.Dict(q=gym.spaces.Box(-1, 1, (3,), np.float64))),
        gym.spaces.Dict(state=gym.spaces.Dict(q=gym.spaces.Discrete(3))),
        gym.spaces.Dict(depth=gym.spaces.Box(-1, 1, (3,), np.float32)),
        gym.spaces.Dict(image=gym.spaces.Dict(front=gym.spaces.Box(0, 1, (8, 8, 3), np.float32))),
    ],
)
def test_spaces_outside_the_contract_are_refused(space):
    with pytest.raises(SchemaError, match=r"space of 'observation/.*expected observation/image"):
        Schema.from_spaces(space, gym.spaces.Box(-1, 1, (7,), np.float32), {})


def test_docs_for_unknown_fields_are_refused():
    space = gym.spaces.Dict(state=gym.spaces.Dict(q=gym.spaces.Box(-1, 1, (3,), np.float32)))
    with pytest.raises(SchemaError, match="no space has: observation/state/p"):
        Schema.from_spaces(
            space, gym.spaces.Box(-1, 1, (7,), np.float32), {"observation/state/p": FieldDoc("?")}
        )


def test_features_that_are_not_rlds_are_refused():
    import tensorflow_datasets as tfds

    features = tfds.features
    steps = {keys.IS_FIRST: features.Scalar(dtype=np.bool_)}
    for extra in (
        features.Tensor(shape=(None, 3), dtype=np.float32),
        features.Tensor(shape=(3,), dtype=np.float32, encoding="zlib"),
        features.Sequence(features.Scalar(dtype=np.float32)),
        features.ClassLabel(num_classes=3),
    ):
        described = features.FeaturesDict({"steps": features.Dataset({**steps, "extra": extra})})
        with pytest.raises(SchemaError, match=r"field 'extra': .*not supported"):
            Schema.from_features(described)
    with pytest.raises(SchemaError, match="no nested dataset `steps`"):
        Schema.from_features(features.FeaturesDict({"image": features.Text()}))
    with pytest.raises(SchemaError, match=r"not supported: \['label'\]"):
        Schema.from_features(
            features.FeaturesDict({"steps": features.Dataset(steps), "label": features.Text()})
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dtype": "complex64"}, "dtype 'complex64' cannot be stored; use one of float32"),
        ({"dtype": "uint8", "shape": (4, 4, 3), "encoding": "gif"}, "'gif' is unknown"),
        ({"dtype": "float32", "shape": (4, 4, 3), "encoding": "png"}, "needs dtype uint8"),
        ({"dtype": "uint8", "shape": (4, 4), "encoding": "png"}, r"shape \(H, W, C\)"),
    ],
)
def test_a_field_that_cannot_be_stored_is_refused(values, message):
    with pytest.raises(SchemaError, match=f"field 'x': .*{message}"):
        Field("x", **values)


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(SchemaError, match="fields named twice: a"):
        Schema((Field("a", "bool"), Field("a", "float32")))


def test_what_a_schema_lacks_is_listed(schema):
    needed = [
        Field("observation/state/tcp_pos", "float32", (6,)),
        Field("observation/state/speed", "float32", (3,)),
        Field(keys.ACTION, "float32", (7,)),
    ]
    with pytest.raises(SchemaError) as caught:
        check_fits(needed, schema, "the environment", "dataset x")
    text = str(caught.value)
    assert "dataset x does not fit the environment" in text
    assert "tcp_pos: expected float32 (6,), found float32 (3,)" in text
    assert "speed: expected float32 (3,), found no such field" in text
    assert "action:" not in text


def test_the_state_matrix_is_in_the_schemas_order(schema, make_episode):
    episode = make_episode(schema, 1)
    expected = [episode[field.path].reshape(len(episode), -1) for field in schema.state_fields]
    np.testing.assert_array_equal(episode.state_matrix(), np.concatenate(expected, axis=1))
    assert episode.state_matrix().dtype == np.float32
    assert (len(episode), episode.num_transitions) == (5, 4)
    assert episode.episode_return() == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless_and_jpeg_close(channels):
    across, down = np.meshgrid(np.linspace(0, 255, 32), np.linspace(0, 255, 24))
    pixels = np.stack([across, down, (across + down) / 2][:channels], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(encode_image(pixels, "png")), pixels)
    decoded = decode_image(encode_image(pixels, "jpeg"))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 1


def test_an_image_that_cannot_be_decoded_is_named(make_schema, make_episode):
    episode = make_episode(make_schema(cameras=["front"]), 3)
    path = "observation/image/front"
    episode.columns[path][2] = episode.columns[path][2][:20]
    with pytest.raises(DamagedDatasetError, match=f"'episode-00003', field {path}, step 2"):
        episode.pixels(path)


@pytest.mark.parametrize(
    ("text", "version"),
    [("d/pick_cube", "1.10.0"), ("d/pick_cube/1.9.0", "1.9.0"), ("d/other", "1.0.0")],
)
def test_a_path_means_the_newest_version_or_the_one_it_names(tmp_path, text, version):
    for present in ("1.9.0", "1.10.0"):
        (tmp_path / "d" / "pick_cube" / present).mkdir(parents=True)
    path = DatasetPath.parse(tmp_path / text)
    assert path.version == version
    assert path.data_dir == tmp_path / "d"
    assert path.directory == tmp_path / "d" / path.name / version


@pytest.mark.parametrize("name", ["Cube", "a-b", "1a", "a__b", "a_", "a b"])
def test_names_that_tfds_does_not_take_are_refused(name):
    with pytest.raises(UsageError, match="is not allowed; a name is lower-case letters"):
        DatasetPath.parse(f"data/{name}")
