"""The page about a run, alone and compared with other runs."""

import json

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.training.metrics import MetricsLog
from serlds.training.run_directory import create_run_directory
from serlds.training.run_plots import Curve, envelope
from serlds.training.run_preparation import prepare
from serlds.training.run_report import write_report


def make_run(config, path, success):
    directory = create_run_directory(path, prepare(config))
    with MetricsLog(directory.metrics("actor"), directory.tensorboard / "actor") as log:
        for steps in (0, 20, 40):
            log.write({"wall_s": steps, "env_steps": steps, "eval/success_rate": success,
                       "eval/return": success, "eval/episodes": 10})  # fmt: skip
    values = {
        "checkpoint": "65", "success_rate": success, "success_interval": [0.1, 0.9],
        "length_mean_steps": 9.0, "episodes": 10, "successes": [], "lengths": [], "videos": [],
    }  # fmt: skip
    (directory.evals / "result.json").write_text(json.dumps(values))
    return path


def test_runs_of_several_seeds_are_one_figure(tiny_rlpd, tmp_path):
    runs = [make_run(tiny_rlpd, tmp_path / name, rate) for name, rate in (("a", 0.9), ("b", 0.5))]
    alone = write_report(runs[0], tmp_path / "alone.html").read_text()
    assert "<b>90%</b>" in alone
    assert "95 % interval 10% to 90%" in alone
    both = write_report(runs[0], tmp_path / "both.html", seeds=runs[1:]).read_text()
    assert "<b>70%</b>" in both
    assert "20 fresh episodes of 2 runs (50% to 90%)" in both
    against = write_report(runs[0], tmp_path / "against.html", baselines=runs[1:]).read_text()
    assert "success of the baseline, RLPD" in against
    (runs[1] / "evals" / "result.json").unlink()
    with pytest.raises(UsageError, match="no evaluation of this run yet"):
        write_report(runs[0], tmp_path / "none.html", seeds=runs[1:])


def test_an_envelope_spans_what_all_curves_cover():
    first = Curve(np.array([0.0, 10.0, 20.0]), np.arange(3.0), np.array([0.0, 1.0, 1.0]))
    second = Curve(np.array([0.0, 5.0, 10.0]), np.arange(3.0), np.array([0.0, 0.0, 0.5]))
    x, mean, low, high = envelope([first, second], "env_steps")
    np.testing.assert_array_equal(x, [0, 5, 10])
    np.testing.assert_array_equal(mean, [0, 0.25, 0.75])
    np.testing.assert_array_equal(low, [0, 0, 0.5])
    np.testing.assert_array_equal(high, [0, 0.5, 1])
