import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from serlds.datasets.episode import Episode
from serlds.datasets.errors import SchemaError
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.delta_actions import ToAbsoluteActions, ToDeltaActions
from serlds.pipelines.transforms.rotation_fields import ConvertRotation

POS, ROTVEC = "observation/state/tcp_pos", "observation/state/tcp_rotvec"
WAYS = [{"frame": f, "reference": r} for f in ("base", "tool") for r in ("state", "command")]


def with_action(episode, action):
    return Episode({**episode.columns, "action": action}, episode.metadata)


def angle_between(left, right):
    return (Rotation.from_rotvec(left).inv() * Rotation.from_rotvec(right)).magnitude().max()


@settings(deadline=None, max_examples=30)
@given(
    index=st.integers(0, 1000),
    way=st.sampled_from(WAYS),
    scaled=st.booleans(),
    last_row=st.booleans(),
)
def test_round_trip(poses, index, way, scaled, last_row):
    scales = {"scale_m": 0.5, "scale_rad": 3.2} if scaled else {}
    there, back = ToDeltaActions(**way, **scales), ToAbsoluteActions(**way)
    episode = poses.episode(index, last_row=last_row)
    schema = there.map_schema(poses.schema)
    deltas = there(episode, poses.schema)
    assert check_one(deltas, schema) == []
    result = back(deltas, schema)
    rows = 12
    # float32 holds a position to 3e-8 m and an angle to 2e-7 rad; twelve of them add up.
    np.testing.assert_allclose(result["action"][:, :3], episode["action"][:, :3], atol=3e-6)
    assert angle_between(result["action"][:rows, 3:6], episode["action"][:rows, 3:6]) < 2e-5
    np.testing.assert_array_equal(result["action"][:, 6], episode["action"][:, 6])
    assert back.map_schema(schema)["action"].about.scale == ()


def test_rotation_matrices_by_hand(poses):
    """The definition, written out with rotation matrices."""
    episode = poses.episode(5)
    now = Rotation.from_rotvec(episode[ROTVEC][3]).as_matrix()
    target = Rotation.from_rotvec(episode["action"][3, 3:6]).as_matrix()
    moved = episode["action"][3, :3] - episode[POS][3]
    base = ToDeltaActions(frame="base")(episode, poses.schema)["action"][3]
    tool = ToDeltaActions(frame="tool")(episode, poses.schema)["action"][3]
    np.testing.assert_allclose(base[:3], moved, atol=1e-6)
    np.testing.assert_allclose(tool[:3], now.T @ moved, atol=1e-6)
    base_turn, tool_turn = (Rotation.from_rotvec(one[3:6]).as_matrix() for one in (base, tool))
    np.testing.assert_allclose(base_turn @ now, target, atol=1e-5)
    np.testing.assert_allclose(now @ tool_turn, target, atol=1e-5)


def test_command_reference_starts_from_the_command_before(poses):
    episode = poses.episode(5)
    action = ToDeltaActions(reference="command")(episode, poses.schema)["action"]
    np.testing.assert_allclose(action[0, :3], episode["action"][0, :3] - episode[POS][0], atol=1e-6)
    np.testing.assert_allclose(
        action[1:-1, :3], np.diff(episode["action"][:-1, :3], axis=0), atol=1e-6
    )


def test_schema_tells_unit_scale_and_frame(poses, deltas):
    scaled = ToDeltaActions(scale_m=0.05, scale_rad=0.25).map_schema(poses.schema)["action"]
    assert scaled.about.scale == (0.05,) * 3 + (0.25,) * 3 + (1.0,)
    assert scaled.about.unit == "m, m, m, rad, rad, rad, fraction of opening"
    assert scaled.about.frame == "robot base" and "along the axes of the base" in scaled.about.doc
    tool = ToDeltaActions(frame="tool").map_schema(poses.schema)["action"]
    assert tool.about.frame == "tool" and tool.about.scale == ()
    back = ToAbsoluteActions().map_schema(deltas.schema)["action"]
    assert back.about.scale == () and back.about.doc.startswith("Absolute tool pose")
    # What the schema says of the gripper stays, there and back.
    said = deltas.schema["action"].about.doc.partition("gripper")[2]
    assert said and back.about.doc.endswith(f"gripper{said}")
    again = ToDeltaActions().map_schema(ToAbsoluteActions().map_schema(deltas.schema))["action"]
    assert (
        again.about.doc.endswith(f"gripper{said}")
        and "bsolute" not in again.about.doc.split("gripper")[0]
    )


def test_scaled_deltas_are_in_physical_units_in_the_result(deltas):
    episode = deltas.episode(5)
    result = ToAbsoluteActions()(episode, deltas.schema)["action"]
    moved = result[:-1, :3] - episode[POS][:-1]
    np.testing.assert_allclose(moved, episode["action"][:-1, :3] * 0.02, atol=1e-6)
    np.testing.assert_array_equal(result[:, 6], episode["action"][:, 6])


@pytest.mark.parametrize("representation", ["quat_wxyz", "euler_xyz", "rot6d"])
def test_other_representations(poses, representation):
    to_action = ConvertRotation("action", "rotvec", representation, start=3)
    to_state = ConvertRotation(ROTVEC, "rotvec", representation)
    schema = to_state.map_schema(to_action.map_schema(poses.schema))
    episode = poses.episode(5)
    other = to_state(to_action(episode, poses.schema), schema)
    parameters = {"rotation": representation, "orientation_as": representation}
    there, back = ToDeltaActions(**parameters), ToAbsoluteActions(**parameters)
    delta_schema = there.map_schema(schema)
    result = back(there(other, schema), delta_schema)
    again = ConvertRotation("action", representation, "rotvec", start=3)(result, schema)
    assert angle_between(again["action"][:-1, 3:6], episode["action"][:-1, 3:6]) < 1e-5


def test_positions_without_rotation(poses):
    parameters = {"rotation": "none", "orientation_as": "none"}
    there, back = ToDeltaActions(scale_m=0.1, **parameters), ToAbsoluteActions(**parameters)
    episode = poses.episode(5)
    schema = there.map_schema(poses.schema)
    result = there(episode, poses.schema)
    np.testing.assert_array_equal(result["action"][:, 3:], episode["action"][:, 3:])
    np.testing.assert_allclose(back(result, schema)["action"], episode["action"], atol=1e-6)


def test_requested_action_goes_along(poses):
    schema = poses.schema
    requested = dataclasses.replace(schema["action"], path="action_requested")
    schema = type(schema)((*schema.steps, requested))
    episode = poses.episode(5)
    episode.columns["action_requested"] = episode["action"][::1].copy()
    result = ToDeltaActions()(episode, schema)
    np.testing.assert_array_equal(result["action_requested"], result["action"])


def test_displacement_beyond_the_scale_names_its_step_or_is_clipped(poses):
    episode = poses.episode(5)
    action = np.array(episode["action"])
    action[4, 1] += 1
    episode = with_action(episode, action)
    scales = {"scale_m": 0.1, "scale_rad": 3.2}
    with pytest.raises(BadEpisodeError) as error:
        ToDeltaActions(**scales)(episode, poses.schema)
    finding = error.value.finding
    assert (finding.step, finding.field, finding.expected) == (4, "action", "at most 0.1")
    clipped = ToDeltaActions(**scales, clip=True)(episode, poses.schema)["action"]
    assert clipped[4, 1] == 1 and np.abs(clipped[:, :6]).max() <= 1


def test_action_that_is_no_rotation_names_its_step(poses):
    episode = poses.episode(5)
    action = np.array(episode["action"])
    action[7, 4] = np.nan
    with pytest.raises(BadEpisodeError) as error:
        ToDeltaActions()(with_action(episode, action), poses.schema)
    assert (error.value.finding.step, error.value.finding.field) == (7, "action")


@pytest.mark.parametrize("path", ["action", POS, ROTVEC])
def test_other_units_are_refused(poses, path):
    other = {"action": "mm, mm, mm, rad, rad, rad, 1", POS: "mm", ROTVEC: "deg"}[path]
    schema = poses.schema
    field = dataclasses.replace(
        schema[path], about=dataclasses.replace(schema[path].about, unit=other)
    )
    schema = type(schema)(tuple(field if one.path == path else one for one in schema.steps))
    with pytest.raises(SchemaError, match=rf"{path}: .*expected the unit (m|rad), found (mm|deg)"):
        ToDeltaActions().map_schema(schema)
