import pytest

from serlds.pipelines.engine.parts import RecordRef
from serlds.pipelines.pages.contact_sheet import choose
from serlds.pipelines.pages.survey import Look


@pytest.mark.parametrize(
    ("outcomes", "chosen"),
    [
        ("1" * 9 + "0" * 9, "111000"),
        ("1" * 9 + "0", "111110"),
        ("0" * 9, "000000"),
        ("???", "???"),
        ("1??", "1??"),
        ("", ""),
    ],
)
def test_half_of_the_shown_episodes_are_failures_where_there_are_enough(outcomes, chosen):
    looks = [
        Look(RecordRef("file", index, 0, 0), index, "", outcome, "", 1, 0.0)
        for index, outcome in enumerate(outcomes)
    ]
    found = choose(looks, 6)
    assert "".join(look.outcome for look in found) == chosen
    assert len({look.ordinal for look in found}) == len(found)
