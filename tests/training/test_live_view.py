import pytest

from serlds.training.live_view import LiveView, RunProgress, describe
from serlds.training.metrics import MetricsLog
from serlds.training.run_directory import create_run_directory
from serlds.training.run_preparation import prepare


@pytest.fixture
def directory(tiny_rlpd, tmp_path):
    return create_run_directory(tmp_path / "run", prepare(tiny_rlpd))


def write(directory, process, wall_s, env_steps, **values):
    named = {name.replace("__", "/"): value for name, value in values.items()}
    with MetricsLog(directory.metrics(process), directory.tensorboard / process) as log:
        log.write({"wall_s": wall_s, "env_steps": env_steps, **named})


def learner_line(directory, wall_s, env_steps, updates):
    write(
        directory,
        "learner",
        wall_s,
        env_steps,
        learner__updates=updates,
        learner__critic_updates_per_s=120.0,
        learner__utd_ratio=1.5,
        replay__demos=40,
        replay__online=env_steps,
    )


def test_all_there_is_to_know_is_shown(directory, tiny_rlpd):
    progress = RunProgress(directory, tiny_rlpd)
    assert describe(progress, tiny_rlpd) == [("starting", "replay server, learner, actor")]
    learner_line(directory, 10.0, 0, 10)
    progress.read()
    learner_line(directory, 20.0, 20, 21)
    write(
        directory, "actor", 21.0, 24,
        train__success=1, train__episodes=3, train__success_rate_20=2 / 3,
    )  # fmt: skip
    write(directory, "actor", 15.0, 0, eval__success_rate=0.5, eval__episodes=2)
    progress.read()
    assert describe(progress, tiny_rlpd) == [
        ("updates", "21 of 65"),
        ("environment steps", "24 of 60"),
        ("learning", "120 minibatches/s, 1.50 of 2 per environment step"),
        ("episodes", "3, 67% success in the last 20, exploring"),
        ("last evaluation", "50% of 2 episodes"),
        ("replay", "40 demos, 20 online"),
        ("time", "21 s, about 44 s left"),  # 11 updates took 11 s, 44 are left
    ]


def test_a_resumed_run_shows_where_it_stands(directory, tiny_rlpd):
    learner_line(directory, 3700.0, 30, 40)
    rows = dict(describe(RunProgress(directory, tiny_rlpd), tiny_rlpd))
    assert rows["updates"] == "40 of 65"
    assert rows["time"] == "1 h 1 min"  # nothing to tell the pace from yet


def test_without_a_terminal_it_prints_a_line_now_and_then(directory, tiny_rlpd, capsys):
    now_s = [0.0]
    progress = RunProgress(directory, tiny_rlpd)
    with LiveView("my run", progress, tiny_rlpd, clock=lambda: now_s[0]) as view:
        for second in range(12):
            now_s[0] = float(second)
            view.update()
        view.say("stopping")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "my run"
    assert lines[1:3] == ["starting replay server, learner, actor"] * 2  # at 5 s and 10 s
    assert lines[3] == "stopping"
    assert len(lines) == 5
