import json

import numpy as np
import pytest

from serlds.pipelines.statistics import moments
from serlds.pipelines.statistics.fields import (
    Statistics,
    StatisticsBuilder,
    merge_all,
    statistics_json,
    statistics_table,
)
from serlds.pipelines.statistics.moments import ColumnStatistics, row_hashes
from serlds.pipelines.stats import statistics

POSITION = "observation/state/tcp_pos"


def built(schema, episodes):
    builder = StatisticsBuilder(schema)
    for episode in episodes:
        builder.add(episode)
    return builder.build()


def test_figures_are_those_of_numpy_without_void_rows(state_world):
    episodes = [state_world.episode(index, actions=5 + index) for index in range(9)]
    taken = built(state_world.schema, episodes)
    figures = json.loads(statistics_json(taken, state_world.schema, "d"))
    for path, void in (("action", 1), (POSITION, 0)):
        rows = np.concatenate([e[path][: len(e) - void] for e in episodes]).astype(np.float64)
        expected = {
            "mean": rows.mean(0),
            "std": rows.std(0),
            "min": rows.min(0),
            "max": rows.max(0),
            "q01": np.quantile(rows, 0.01, axis=0),
            "q99": np.quantile(rows, 0.99, axis=0),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(figures["fields"][path][name], value, rtol=1e-10, atol=1e-12)
    assert figures["num_trajectories"] == 9
    assert figures["num_transitions"] == sum(e.num_transitions for e in episodes)
    assert isinstance(figures["fields"]["reward"]["mean"], float)


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_merged_parts_equal_the_whole(state_world, cut):
    episodes = [state_world.episode(index) for index in range(9)]
    schema = state_world.schema
    whole = built(schema, episodes)
    parts = [built(schema, episodes[:cut]), built(schema, episodes[cut:])]
    merged = merge_all(Statistics.from_json(json.loads(json.dumps(p.to_json()))) for p in parts)
    for path, column in whole.columns.items():
        np.testing.assert_allclose(merged.columns[path].mean, column.mean, atol=1e-12)
        np.testing.assert_allclose(merged.columns[path].std, column.std, atol=1e-12)
        np.testing.assert_array_equal(merged.columns[path].sample, column.sample)


def test_sample_does_not_depend_on_the_cut_and_estimates_quantiles(monkeypatch):
    monkeypatch.setattr(moments, "SAMPLE_ROWS", 4000)
    values = np.random.default_rng(0).normal(size=(40_000, 2))
    hashes = np.concatenate([row_hashes(f"e{i}", 1000) for i in range(40)])
    whole = ColumnStatistics.of_rows(values, hashes)
    left = ColumnStatistics.of_rows(values[:7000], hashes[:7000])
    merged = left.merge(ColumnStatistics.of_rows(values[7000:], hashes[7000:]))
    np.testing.assert_array_equal(merged.sample, whole.sample)
    assert len(whole.sample) == 4000
    np.testing.assert_allclose(whole.quantile(0.99), np.quantile(values, 0.99, axis=0), atol=0.1)


def test_rows_that_are_not_finite_are_left_out(state_world):
    episode = state_world.episode(0)
    episode.columns["action"][3, 0] = np.nan
    taken = built(state_world.schema, [episode])
    assert taken.columns["action"].count == episode.num_transitions - 1
    assert np.isfinite(taken.columns["action"].mean).all()


def test_table_says_what_one_unit_of_a_normalised_action_is(state_world):
    rows = statistics_table(built(state_world.schema, [state_world.episode(0)]), state_world.schema)
    units = {(row[0], row[1]): row[2] for row in rows}
    assert units["action", "0"] == "0.02 m" and units["action", "3"] == "0.1 rad"
    assert units[POSITION, "2"] == "m"


def test_statistics_are_written_beside_the_data(state_world, tmp_path):
    episodes = [state_world.episode(index) for index in range(4)]
    dataset = state_world.dataset(tmp_path / "arm", episodes)
    report = statistics(dataset)
    assert report.path == tmp_path / "arm" / "1.0.0" / "statistics.json"
    written = json.loads(report.path.read_text())
    expected = np.concatenate([episode["action"][:-1] for episode in episodes]).mean(0)
    np.testing.assert_allclose(written["fields"]["action"]["mean"], expected, atol=1e-6)
    assert written["digest"] == report.dataset.digest and report.exit_code == 0
    assert "observation/state/tcp_pos" in report.to_text()
