import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.rotation_fields import ConvertRotation
from serlds.pipelines.transforms.rotations import (
    RotationError,
    from_rotation,
    rotation_size,
    to_rotation,
)

ROTVEC = "observation/state/tcp_rotvec"
NAMES = ("quat_xyzw", "quat_wxyz", "euler_xyz", "rotvec", "rot6d", "matrix")
HALF = np.sqrt(0.5)
# A quarter turn about z, written by hand.
QUARTER = {
    "quat_xyzw": [0, 0, HALF, HALF],
    "quat_wxyz": [HALF, 0, 0, HALF],
    "euler_xyz": [0, 0, np.pi / 2],
    "rotvec": [0, 0, np.pi / 2],
    "rot6d": [0, 1, 0, -1, 0, 0],
    "matrix": [0, -1, 0, 1, 0, 0, 0, 0, 1],
}


@pytest.mark.parametrize("name", NAMES)
def test_order_of_the_numbers(name):
    np.testing.assert_allclose(
        from_rotation(to_rotation([QUARTER["rotvec"]], "rotvec"), name), [QUARTER[name]], atol=1e-12
    )


def test_euler_angles_turn_about_fixed_axes():
    roll, pitch, yaw = 0.3, -0.5, 1.1
    about = [
        Rotation.from_rotvec(axis * angle).as_matrix()
        for axis, angle in zip(np.eye(3), (roll, pitch, yaw), strict=True)
    ]
    matrix = to_rotation([[roll, pitch, yaw]], "euler_xyz").as_matrix()[0]
    np.testing.assert_allclose(matrix, about[2] @ about[1] @ about[0], atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-9, 1e-3, 1.0, 3.14159]),
    source=st.sampled_from(NAMES),
    target=st.sampled_from(NAMES),
)
def test_every_conversion_keeps_the_rotation(seed, scale, source, target):
    rotvec = np.random.default_rng(seed).normal(size=(7, 3))
    rotvec *= scale / np.linalg.norm(rotvec, axis=1, keepdims=True)
    rotation = Rotation.from_rotvec(rotvec)
    there = from_rotation(to_rotation(from_rotation(rotation, source), source), target)
    assert there.shape == (7, rotation_size(target))
    assert (rotation.inv() * to_rotation(there, target)).magnitude().max() < 1e-6


@given(seed=st.integers(0, 1000), name=st.sampled_from(["quat_xyzw", "quat_wxyz"]))
def test_quaternions_do_not_flip(seed, name):
    rng = np.random.default_rng(seed)
    # A smooth turn far beyond pi, its quaternions read with random signs.
    turn = np.linspace(0, 20, 200)[:, None] * rng.normal(size=3) / 2
    quat = Rotation.from_rotvec(turn).as_quat() * rng.choice([-1, 1], (200, 1))
    written = from_rotation(to_rotation(quat, "quat_xyzw"), name)
    assert np.sum(written[1:] * written[:-1], axis=1).min() > 0.5
    assert written[0, {"quat_xyzw": 3, "quat_wxyz": 0}[name]] >= 0


def test_columns_that_are_not_orthonormal_are_made_so():
    """Gram-Schmidt: the first keeps its direction, the second loses its share of the first."""
    rotation = to_rotation([[0, 3, 0, -5, 7, 0]], "rot6d")
    np.testing.assert_allclose(from_rotation(rotation, "rot6d"), [QUARTER["rot6d"]], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("quat_xyzw", [0, 0, 0, 0]),
        ("rot6d", [0, 0, 0, 1, 0, 0]),
        ("rot6d", [1, 0, 0, 2, 0, 0]),
        ("matrix", [1, 0, 0, 0, 1, 0, 0, 0, -1]),
        ("rotvec", [np.nan, 0, 0]),
        ("euler_xyz", [np.inf, 0, 0]),
    ],
)
def test_what_is_no_rotation_is_found(name, values):
    rows = np.array([QUARTER[name], QUARTER[name], values], float)
    with pytest.raises(RotationError) as error:
        to_rotation(rows, name)
    assert error.value.row == 2


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("last_row", [True, False])
def test_state_field_there_and_back(deltas, target, last_row):
    there = ConvertRotation(ROTVEC, "rotvec", target)
    back = ConvertRotation(ROTVEC, target, "rotvec")
    episode = deltas.episode(2, last_row=last_row)
    schema = there.map_schema(deltas.schema)
    converted = there(episode, deltas.schema)
    assert check_one(converted, schema) == []
    assert schema[ROTVEC].about.unit == ("rad" if target in ("rotvec", "euler_xyz") else "1")
    assert schema[ROTVEC].about.frame == "robot base"
    np.testing.assert_allclose(back(converted, schema)[ROTVEC], episode[ROTVEC], atol=2e-6)
    # Notes in the schema do not pile up.
    again = back.map_schema(schema)[ROTVEC].about.doc
    assert again.startswith("Turn of the tool. ") and again.count("Dimensions") == 1


@pytest.mark.parametrize("target", NAMES)
def test_rotation_slice_of_a_scaled_action(deltas, target):
    there = ConvertRotation("action", "rotvec", target, start=3)
    episode = deltas.episode(2)
    schema = there.map_schema(deltas.schema)
    result = there(episode, deltas.schema)
    size = rotation_size(target)
    action, about = result["action"], schema["action"].about
    assert action.shape == (13, 4 + size) and not action[-1].any()
    np.testing.assert_array_equal(action[:, :3], episode["action"][:, :3])
    np.testing.assert_array_equal(action[:, -1], episode["action"][:, -1])
    physical = action[:-1] * np.array(about.scale)
    expected = Rotation.from_rotvec(episode["action"][:-1, 3:6] * 0.1)
    difference = expected.inv() * to_rotation(physical[:, 3:-1], target)
    assert difference.magnitude().max() < 1e-6
    angles = target in ("rotvec", "euler_xyz")
    assert about.scale == (0.02,) * 3 + ((0.1,) * 3 if angles else (1.0,) * size) + (1.0,)
    assert about.unit.split(", ")[3 : 3 + size] == ["rad" if angles else "1"] * size
    assert check_one(result, schema) == []


def test_a_quaternion_of_length_zero_names_its_step(deltas):
    there = ConvertRotation(ROTVEC, "rotvec", "quat_xyzw")
    schema = there.map_schema(deltas.schema)
    episode = there(deltas.episode(2), deltas.schema)
    episode[ROTVEC][5] = 0
    with pytest.raises(BadEpisodeError) as error:
        ConvertRotation(ROTVEC, "quat_xyzw", "matrix")(episode, schema)
    finding = error.value.finding
    assert (finding.step, finding.field) == (5, ROTVEC) and finding.found == "[0, 0, 0, 0]"


def test_angles_beyond_the_scale_are_refused(deltas):
    episode = deltas.episode(2)
    action = np.array(episode["action"])
    action[4, 3:6] = (1, 1, 1)
    episode = Episode({**episode.columns, "action": action}, episode.metadata)
    with pytest.raises(BadEpisodeError, match=r"step 4.*larger than its scale allows"):
        ConvertRotation("action", "rotvec", "euler_xyz", start=3)(episode, deltas.schema)


def test_quaternions_are_mended_by_converting_them_to_what_they_are(deltas):
    there = ConvertRotation(ROTVEC, "rotvec", "quat_xyzw")
    schema = there.map_schema(deltas.schema)
    episode = there(deltas.episode(2), deltas.schema)
    right = episode[ROTVEC]
    bent = right * np.where(np.arange(13) % 3, -1.1, 0.9)[:, None].astype(np.float32)
    broken = Episode({**episode.columns, ROTVEC: bent}, episode.metadata)
    mend = ConvertRotation(ROTVEC, "quat_xyzw", "quat_xyzw")
    assert mend.map_schema(schema) == schema
    np.testing.assert_allclose(mend(broken, schema)[ROTVEC], right, atol=1e-6)
