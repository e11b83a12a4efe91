"""What a person does in a run becomes a demonstration, traceably, also after a restart."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.training.config import BCConfig, NetworkConfig
from serlds.training.metrics import read_metrics
from serlds.training.run_directory import RunDirectory
from serlds.training.supervisor import resume, train
from serlds.training.tracing import trace

ONLINE_CAPACITY = 20


@pytest.fixture(scope="module")
def config(tiny_rlpd):
    """HG-DAgger that can do nothing yet, so that it is taken over from."""
    return dataclasses.replace(
        tiny_rlpd,
        algorithm="hg-dagger",
        agent=BCConfig(network=NetworkConfig(hidden_dims=(8,))),
        replay=dataclasses.replace(tiny_rlpd.replay, online_capacity=ONLINE_CAPACITY),
        schedule=dataclasses.replace(
            tiny_rlpd.schedule, offline_updates=2, evaluation_interval_steps=0
        ),
    )


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "corrected"
    train(config, run, intervene="expert")
    return run


def driven_steps(run):
    episodes = open_dataset(run / "episodes").episodes()
    return sum(int(np.asarray(episode["intervened"])[:-1].sum()) for episode in episodes)


def test_what_the_expert_did_is_in_the_log_and_among_the_demonstrations(run, config):
    directory = RunDirectory.open(run)
    demos = sum(dataset.transitions for dataset in directory.read_record().datasets)
    last = read_metrics(directory.metrics("learner"))[-1]
    assert last["replay/online"] == ONLINE_CAPACITY < config.schedule.env_steps
    assert driven_steps(run) > 0
    # The episode that the run's end cut off is in replay, not in the log.
    assert driven_steps(run) <= last["replay/demos"] - demos <= config.schedule.env_steps
    lines = read_metrics(directory.metrics("actor"))
    assert 0 < np.mean([line["train/intervened_share"] for line in lines]) < 1


def test_an_update_that_learned_from_it_says_so(run):
    last = int(read_metrics(RunDirectory.open(run).metrics("learner"))[-1]["learner/updates"])
    found = trace(run, last)
    is_online = found.origin.source < 0
    assert is_online.any() and (found.origin.source == 0).any()
    episodes = list(open_dataset(run / "episodes").episodes())
    for episode, step in zip(
        found.origin.episode[is_online & ~found.is_abandoned],
        found.origin.step[is_online & ~found.is_abandoned],
        strict=True,
    ):
        assert episodes[episode]["intervened"][step]


def test_a_resumed_run_learns_from_all_of_it_again(run, config):
    before = driven_steps(run)
    more = config.schedule.env_steps + 20
    resume(run, {"env_steps": more}, intervene="expert")
    directory = RunDirectory.open(run)
    demos = sum(dataset.transitions for dataset in directory.read_record().datasets)
    last = read_metrics(directory.metrics("learner"))[-1]
    assert last["replay/demos"] - demos >= before


@pytest.mark.parametrize(
    ("intervene", "message"),
    [
        ("", "hg-dagger learns from who takes over"),
        ("ghost", "expected one of expert, keyboard, spacemouse, gamepad"),
    ],
)
def test_who_takes_over_is_checked_before_anything_starts(config, tmp_path, intervene, message):
    with pytest.raises(UsageError, match=message):
        train(config, tmp_path / "run", intervene=intervene)
    assert not (tmp_path / "run").exists()
