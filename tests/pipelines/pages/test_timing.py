import numpy as np
import pytest

from serlds.datasets.episode import Episode
from serlds.pipelines.pages.timing import Timing, timing_of


def episode(times, control_hz=10.0):
    times = np.asarray(times, np.float32)
    columns = {"is_first": np.arange(len(times)) == 0, "timestamp_s": times}
    return Episode(columns, {"control_hz": control_hz})


def test_rate_jitter_and_gaps():
    found = timing_of(episode([0, 0.1, 0.2, 0.5, 0.61]))
    assert (found.count, found.gaps, found.missing) == (4, 1, 2)
    assert found.rate_hz == pytest.approx(4 / 0.61, rel=1e-5)
    assert found.jitter_s == pytest.approx(np.std([0.1, 0.1, 0.3, 0.11]), rel=1e-5)
    assert found.longest_s == pytest.approx(0.3, rel=1e-5)


def test_without_a_declared_rate_the_median_interval_is_the_period():
    found = timing_of(episode([0, 0.2, 0.4, 1.0], control_hz=0.0))
    assert (found.gaps, found.missing, found.declared) == (1, 2, {"0": 1})


def test_time_that_stands_still_or_runs_back_is_counted():
    assert timing_of(episode([0, 0.1, 0.1, 0.05])).backwards == 2


@pytest.mark.parametrize("times", [[], [0.0], [np.nan, np.nan, 0.1]])
def test_no_intervals_are_nothing(times):
    assert timing_of(episode(times)) == Timing()


def test_ages_of_what_was_observed_add_up():
    young, old = episode([0, 0.1, 0.2]), episode([0, 0.1])
    young.columns["age_s/state"] = np.array([[0.01, 0.02]] * 3, np.float32)
    old.columns["age_s/state"] = np.array([[0.03, 0.05]] * 2, np.float32)
    old.columns["age_s/image/front"] = np.array([0.1, 0.2], np.float32)
    found = Timing.from_json((timing_of(young) + timing_of(old) + Timing()).to_json())
    assert found.ages["state"] == pytest.approx((10, 0.25, 0.05))
    assert found.ages["image/front"] == pytest.approx((2, 0.3, 0.2))


def test_episodes_add_up_and_travel_as_json():
    one, two = timing_of(episode([0, 0.1, 0.4])), timing_of(episode([0, 0.2, 0.4], 5.0))
    total = Timing.from_json((one + two).to_json())
    assert total == one + two
    assert (total.count, total.episodes, total.gaps) == (4, 2, 1)
    assert total.declared == {"10": 1, "5": 1}
    assert sum(total.histogram) == 4
