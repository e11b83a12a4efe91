import pytest

from serlds.datasets.schema import Field, FieldDoc
from serlds.pipelines.dimensions import dimension_names, dimension_units

NUMBERED = "State. 0 gripper_pos (m); 1 tcp_pos.0 (m); 2 tcp_pos.1 (m); 3 tcp_pos.2 (m)."


def field(size, about, path="observation/state"):
    return Field(path, "float32", (size,), None, about)


@pytest.mark.parametrize(
    ("about", "size", "names", "units"),
    [
        (FieldDoc(NUMBERED), 4, ["gripper_pos", "tcp_pos.0", "tcp_pos.1", "tcp_pos.2"], ["m"] * 4),
        (FieldDoc(NUMBERED), 5, ["0", "1", "2", "3", "4"], [""] * 5),
        (FieldDoc(unit="m"), 3, ["x", "y", "z"], ["m"] * 3),
        (FieldDoc(unit="rad"), 3, ["0", "1", "2"], ["rad"] * 3),
        (FieldDoc(unit="m, rad", scale=(0.02, 0.1)), 2, ["0", "1"], ["0.02 m", "0.1 rad"]),
        (FieldDoc(unit="m, 1", scale=(0.02, 1.0)), 2, ["0", "1"], ["0.02 m", "1"]),
        (FieldDoc(), 1, [""], [""]),
    ],
)
def test_names_and_units_are_what_the_documentation_says(about, size, names, units):
    assert dimension_names(field(size, about)) == names
    assert dimension_units(field(size, about)) == units
