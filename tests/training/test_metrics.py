import pytest

from serlds.datasets.errors import DamagedDatasetError, SerldsError
from serlds.training.metrics import MetricsLog, MetricsTail, last_values, read_metrics


def open_log(directory):
    return MetricsLog(directory / "metrics.jsonl", directory / "tensorboard")


def test_lines_come_back_in_order(tmp_path):
    with open_log(tmp_path) as log:
        log.write({"wall_s": 1.25, "env_steps": 0, "loss/critic_loss": float("nan")})
        log.write({"wall_s": 2, "env_steps": 10, "eval/success_rate": 1 / 3})
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines == [
        {"wall_s": 1.25, "env_steps": 0, "loss/critic_loss": None},
        {"wall_s": 2, "env_steps": 10, "eval/success_rate": 0.3333333},
    ]
    assert last_values(lines)["env_steps"] == 10
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wall_s": 0, "env_steps": 0, "train/luck": 1}, "unknown.*train/luck"),
        ({"wall_s": 0, "train/success": 1}, "missing.*env_steps"),
    ],
)
def test_only_registered_names_are_written(tmp_path, values, message):
    with open_log(tmp_path) as log, pytest.raises(SerldsError, match=message):
        log.write(values)


def test_a_tail_gives_each_whole_line_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert tail.read() == []
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert tail.read() == [{"a": 1}, {"a": 2}]
    assert tail.read() == []
    with path.open("a") as file:
        file.write(": 3}\n")
    assert tail.read() == [{"a": 3}]


def test_a_line_torn_by_a_kill_does_not_spoil_the_next_session(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"wall_s": 1, "env_steps": 1}\n{"wall_s": 2, "env_')
    assert len(read_metrics(path)) == 1
    with open_log(tmp_path) as log:
        log.write({"wall_s": 3, "env_steps": 3})
    assert [line["wall_s"] for line in read_metrics(path)] == [1, 3]


def test_damage_inside_names_the_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1}\nnonsense\n{"a": 2}\n')
    with pytest.raises(DamagedDatasetError, match="line 2: not JSON"):
        read_metrics(path)
