import dataclasses

import pytest

from serlds.training.child_process import ProcessDiedError
from serlds.training.restarts import Restarts


@dataclasses.dataclass
class Dead:
    """What a restart is decided by."""

    exit_code: int
    started_s: float = 0.0
    name: str = "learner"

    def died(self):
        return ProcessDiedError("the learner was killed. Its last words:\n  so long")


def test_each_quick_death_in_a_row_is_waited_for_twice_as_long_until_the_run_ends():
    restarts = Restarts(most_quick_deaths=4, clock=lambda: 10.0)
    assert [restarts.delay_s(Dead(-9)) for _ in range(3)] == [1.0, 2.0, 4.0]
    assert restarts.delay_s(Dead(-9, name="actor")) == 1.0
    with pytest.raises(ProcessDiedError, match=r"(?s)the learner died 4 times in a row.*so long"):
        restarts.delay_s(Dead(-9))


def test_a_long_life_makes_up_for_earlier_deaths():
    now_s = 10.0
    restarts = Restarts(most_quick_deaths=3, clock=lambda: now_s)
    assert [restarts.delay_s(Dead(-9)) for _ in range(2)] == [1.0, 2.0]
    now_s = 1000.0
    assert restarts.delay_s(Dead(-9, started_s=100.0)) == 1.0


@pytest.mark.parametrize("code", [70, 75, -9, -11, 0])
def test_after_an_accident_there_is_another_try(code):
    assert Restarts(clock=lambda: 1.0).delay_s(Dead(code)) == 1.0


@pytest.mark.parametrize("code", [1, 2])
def test_an_error_on_purpose_would_come_again(code):
    with pytest.raises(ProcessDiedError, match="so long"):
        Restarts(clock=lambda: 1.0).delay_s(Dead(code))
