import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.datasets.episode import Episode
from serlds.datasets.records import check_episode, decode_episode, encode_episode
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.added_fields import AddField, FieldFromMetadata
from serlds.pipelines.transforms.field_values import CastField, SelectDimensions
from serlds.pipelines.transforms.fields import DropField, RenameField

FRONT, POS = "observation/image/front", "observation/state/tcp_pos"


def test_rename_and_drop_map_episode_and_schema_alike(world):
    rename = RenameField(old=FRONT, new="observation/image/main")
    drop = DropField(path="intervened")
    schema = drop.map_schema(rename.map_schema(world.schema))
    episode = world.episode(0)
    result = drop(rename(episode, world.schema), schema)
    check_episode(result, schema)
    assert result["observation/image/main"] is episode[FRONT]
    assert "intervened" not in schema and FRONT not in schema


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ("0.72", "float32", ()),
        ("[0.5, 0.25]", "float64", (2,)),
        ("[[1, 2], [3, 4]]", "int32", (2, 2)),
        ("true", "bool", ()),
        ("7", "uint8", ()),
        ("table, wood", "string", ()),
    ],
)
def test_added_field_is_stored(world, value, dtype, shape):
    add = AddField(path="observation/extra", value=value, dtype=dtype, unit="m", doc="Extra.")
    schema = add.map_schema(world.schema)
    result = add(world.episode(0), world.schema)
    assert schema["observation/extra"].shape == shape
    assert schema["observation/extra"].about.unit == "m"
    column = decode_episode(encode_episode(result, schema), schema)["observation/extra"]
    assert len(column) == 13 and np.array_equal(column, result["observation/extra"])


@pytest.mark.parametrize(("name", "expected"), [("task", "pick"), ("seed", 4), ("success", True)])
def test_field_from_metadata(world, name, expected):
    add = FieldFromMetadata(metadata=name, path="told")
    result = add(world.episode(4), world.schema)
    check_episode(result, add.map_schema(world.schema))
    assert list(result["told"]) == [expected] * 13


@given(dims=st.permutations(range(7)).flatmap(lambda p: st.integers(1, 7).map(lambda n: p[:n])))
def test_select_dimensions(arm_world, dims):
    select = SelectDimensions("action", tuple(dims))
    episode = arm_world.episode(0)
    schema = select.map_schema(arm_world.schema)
    result = select(episode, arm_world.schema)
    check_episode(result, schema)
    np.testing.assert_array_equal(result["action"], episode["action"][:, dims])
    scale = (0.02,) * 3 + (0.1,) * 3 + (1.0,)
    units = ["m"] * 3 + ["rad"] * 3 + ["fraction of opening"]
    about = schema["action"].about
    assert about.scale == tuple(scale[dim] for dim in dims)
    wanted = [units[dim] for dim in dims]
    assert about.unit == (wanted[0] if len(set(wanted)) == 1 else ", ".join(wanted))


@pytest.mark.parametrize(
    ("values", "dtype", "fits"),
    [
        ([0.0, 255.0, 3.0], "uint8", True),
        ([0.0, 255.5, 3.0], "uint8", False),
        ([0.0, 256.0, 3.0], "uint8", False),
        ([0.0, -1.0, 3.0], "uint16", False),
        ([0.0, -1.0, 2.0**31 - 200], "int32", True),
        ([0.0, 2.0**31, 0.0], "int32", False),
        ([0.0, 2.0**63, 0.0], "int64", False),
        ([0.0, np.nan, 0.0], "int64", False),
        ([0.0, 1.0, 0.0], "bool", True),
        ([0.0, 0.5, 0.0], "bool", False),
        ([0.0, 0.1, 0.0], "float64", True),
    ],
)
def test_cast_holds_every_value_or_names_the_step(world, values, dtype, fits):
    episode = world.episode(0)
    column = np.tile(np.array(values, np.float32), (13, 1))
    column[:9] = 0
    episode = Episode({**episode.columns, POS: column}, episode.metadata)
    cast = CastField(POS, dtype)
    if fits:
        result = cast(episode, world.schema)
        check_episode(result, cast.map_schema(world.schema))
        np.testing.assert_array_equal(result[POS].astype(np.float64), column.astype(np.float64))
    else:
        with pytest.raises(BadEpisodeError) as error:
            cast(episode, world.schema)
        assert (error.value.finding.step, error.value.finding.field) == (9, POS)


def test_cast_to_the_same_type_changes_nothing(world):
    episode = world.episode(0)
    assert CastField(POS, "float32")(episode, world.schema) is episode
