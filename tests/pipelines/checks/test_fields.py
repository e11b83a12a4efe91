"""Which fields are what, told by names and documentation."""

import pytest

from serlds.datasets.schema import Field, FieldDoc, Schema
from serlds.pipelines.checks.fields import Fields

NUMBERED = "State. 0 gripper_pos (m); 1 tcp_pos.0 (m); 2 tcp_pos.1 (m); 3 tcp_pos.2 (m)."
POSE = "; ".join(f"{i} tcp_pose.{i} ({'m' if i < 3 else 'rad'})" for i in range(6))


def field(path, size, about):
    return Field(path, "float32", (size,), None, about)


@pytest.mark.parametrize(
    ("path", "size", "about", "expected"),
    [
        ("observation/state/tcp_pos", 3, FieldDoc(unit="m"), (0, 3)),
        ("observation/state", 4, FieldDoc(NUMBERED), (1, 4)),
        ("observation/state", 6, FieldDoc(f"State. {POSE}."), (0, 3)),
        ("observation/state", 4, FieldDoc(NUMBERED.replace("(m)", "(mm)")), None),
        ("observation/state", 4, FieldDoc(NUMBERED.replace("tcp_pos.2", "cube_pos.2")), None),
        ("observation/state", 7, FieldDoc("State of the robot."), None),
        ("observation/state/cube_pos", 3, FieldDoc(unit="m"), None),
    ],
)
def test_the_position_of_the_tool_is_never_guessed(path, size, about, expected):
    found = Fields(Schema((field(path, size, about),), ())).position
    assert (found and (found.start, found.stop)) == expected


@pytest.mark.parametrize(
    ("doc", "absolute"),
    [
        ("Absolute tool pose to reach; gripper +1 open, -1 closed.", True),
        ("Target pose and gripper.", True),
        ("Displacement of the tool; gripper, absolute: 1 open, 0 closed.", False),
        ("Displacement of the tool, target gripper opening.", False),
    ],
)
def test_what_is_said_of_the_gripper_does_not_make_actions_absolute(doc, absolute):
    assert Fields(Schema((field("action", 7, FieldDoc(doc)),), ())).targets_absolute == absolute
