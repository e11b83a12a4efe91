import contextlib
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.datasets.episode import Episode
from serlds.datasets.errors import UsageError
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.expressions import NUMBER, TEXT, Expression, ExpressionError
from serlds.pipelines.transforms.fields import DropField
from serlds.pipelines.transforms.filtering import KeepIf, OnlySuccessful

KINDS = {"success": NUMBER, "num_steps": NUMBER, "task": TEXT, "nothing": NUMBER}
VALUES = {"success": True, "num_steps": 13, "task": "pick", "nothing": 0}


def value(text):
    expression = Expression.parse(text)
    expression.check(KINDS)
    return expression.value(VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("success", True),
        ("not success", False),
        ("success and num_steps > 10 and task != 'random'", True),
        ("success or 1 / nothing", True),
        ("10 < num_steps <= 13", True),
        ("10 < num_steps < 13", False),
        ("num_steps % 5 == 3 and num_steps // 5 == 2", True),
        ("-num_steps + 2 * 3 == -7", True),
        ("task in ('pick', 'place')", True),
        ("task not in ['place']", True),
        ("'ic' in task", True),
        ("num_steps in (1, 13)", True),
        ("success == true and success != false", True),
        ("success ==\n   True", True),
        ("task == 'a  b'", False),
        ("task < 'z'", True),
    ],
)
def test_value(text, expected):
    assert value(text) is expected


@pytest.mark.parametrize(
    ("text", "complaint", "mark"),
    [
        ("sucess and 1", "no 'sucess' is known; known are success, num_steps", 0),
        ("success and", "invalid syntax", None),
        ("", "invalid syntax", None),
        ("success and task", "this is text", 12),
        ("num_steps > 'a'", "compared with a number; this is text", 12),
        ("task == 3", "compared with text; this is a number", 8),
        ("task + 'x' == 'y'", "arithmetic needs numbers", 7),
        ("task", "the whole must be true or false", 0),
        ("num_steps in task", "a number cannot be in text", 13),
        ("num_steps in ('a',)", "this is text", 14),
        ("num_steps in num_steps", "`in` needs a list", 13),
        ("len(task) > 3", "a call cannot stand here", 0),
        ("task.__class__", "a dot cannot stand here", 0),
        ("task[0] == 'a'", "an index cannot stand here", 0),
        ("success if success else 1", "ifexp cannot stand here", 0),
        ("(x := 1)", "cannot stand here", 1),
        ("num_steps ** 9", "cannot stand here", 0),
        ("~num_steps", "cannot stand here", 0),
        ("success is True", "compare with ==", 11),
        ("lambda: 1", "lambda cannot stand here", 0),
        ("f'{task}' == 'a'", "cannot stand here", 0),
        ("None", "cannot stand here", 0),
        ("1j", "cannot stand here", 0),
        ("task == 'ü' and no", "no 'no' is known", 16),
        ("-" * 200 + "1", "nested too deeply", None),
        ("1" + " + 1" * 200, "too long or nested", None),
        ("1" * 3000, "at most 2000 characters", None),
        ("a; b", "invalid syntax", 1),
    ],
)
def test_wrong_expression_points_at_its_place(text, complaint, mark):
    with pytest.raises(ExpressionError) as error:
        value(text)
    assert complaint in str(error.value)
    if mark is not None:
        assert str(error.value).splitlines()[-1] == " " * (2 + mark) + "^"


ALPHABET = string.ascii_lowercase[:4] + " ()[]{}'\"<>=!+-*/%,.:0123@\\\n"
WORDS = ["success", "num_steps", "task", "and", "or", "not", "in", "'a'", "(", ")", ",", "<", "1"]


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=40) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_a_value_or_a_clear_error(text):
    with contextlib.suppress(ExpressionError, ArithmeticError):
        assert isinstance(value(text), (bool, int, float))


def test_only_successful(world):
    keep = OnlySuccessful()
    assert keep(world.episode(0), world.schema) is not None
    assert keep(world.episode(0, success=False), world.schema) is None


@pytest.mark.parametrize("last_row", [True, False])
@pytest.mark.parametrize(
    "where",
    [
        "num_actions == 12",
        "episode_return == 1",
        "terminated and success",
        "abs_s < 0 or seed == 4",
        "intervened_share == 0.25",
        "collector == 'scripted' and control_hz > 9",
    ],
)
def test_figures(deltas, where, last_row):
    where = where.replace("abs_s < 0 or ", "duration_s > 1 and duration_s < 1.3 and ")
    episode = deltas.episode(4, last_row=last_row)
    episode.columns["intervened"] = np.arange(len(episode)) < 3
    keep = KeepIf(where)
    keep.map_schema(deltas.schema)
    assert keep(episode, deltas.schema) is episode
    assert KeepIf(f"not ({where})")(episode, deltas.schema) is None


def test_figure_without_its_field_is_unknown(deltas):
    schema = DropField(path="timestamp_s").map_schema(deltas.schema)
    with pytest.raises(UsageError, match="no 'duration_s' is known"):
        KeepIf("duration_s > 1").map_schema(schema)


def test_division_by_zero_is_a_finding(deltas):
    with pytest.raises(BadEpisodeError, match="has no value: division by zero"):
        KeepIf("1 / (seed - 4)")(deltas.episode(4), deltas.schema)


def test_metadata_named_as_a_figure_comes_first(deltas):
    episode = deltas.episode(4)
    episode = Episode(episode.columns, {**episode.metadata, "num_steps": 99})
    assert KeepIf("num_steps == 99")(episode, deltas.schema) is episode
