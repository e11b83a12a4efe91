"""Whole runs: real replay server, learner and actor processes."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.intervals import wilson_interval
from serlds.datasets.reading import open_dataset
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env
from serlds.training.batch_log import list_batch_logs
from serlds.training.checkpoints import find_checkpoint, read_counters
from serlds.training.child_process import ProcessDiedError
from serlds.training.evaluation import evaluate, evaluate_seeds
from serlds.training.metrics import read_metrics
from serlds.training.restarts import Restarts
from serlds.training.run_directory import RunDirectory
from serlds.training.run_policy import load_policy
from serlds.training.supervisor import resume, train
from serlds.training.tracing import trace

from .killing import MODULES, episodes_acted, processes_of, training_with_deaths, wait_for

ENDLESS = 1_000_000


def with_steps(config, env_steps):
    return dataclasses.replace(
        config, schedule=dataclasses.replace(config.schedule, env_steps=env_steps)
    )


@pytest.fixture(scope="module")
def run(tiny_rlpd, tmp_path_factory):
    """A run whose processes were killed one after the other, and the learner for good at last."""
    run = tmp_path_factory.mktemp("runs") / "run"
    restarts = Restarts(most_quick_deaths=4, first_delay_s=0.1)
    thread, errors = training_with_deaths(with_steps(tiny_rlpd, ENDLESS), run, restarts)
    while thread.is_alive() and not errors:
        if found := processes_of(run).get(MODULES["learner"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGKILL)
        time.sleep(0.2)
    thread.join(150.0)
    assert not thread.is_alive()
    return run, errors


def test_processes_that_die_again_and_again_end_the_run(run):
    path, errors = run
    assert isinstance(errors[0], ProcessDiedError)
    assert "the learner died 4 times in a row" in str(errors[0])
    assert "was killed by SIGKILL" in str(errors[0])
    assert not processes_of(path)


def test_after_each_death_training_went_on_from_a_checkpoint_and_the_log(run):
    path, _ = run
    directory = RunDirectory.open(path)
    assert read_counters(find_checkpoint(path / "checkpoints")).updates > 10
    episodes = list(open_dataset(directory.episodes).episodes())
    # At least the first, one after the learner's death and one after the server's.
    assert len(list_batch_logs(directory.batches)) >= 3
    assert directory.read_session().number >= 3
    assert len({e.metadata["seed"] for e in episodes}) == len(episodes)
    trained = [x for x in read_metrics(directory.metrics("actor")) if "train/success" in x]
    numbers = [line["train/episodes"] for line in trained]
    assert len(episodes) - numbers[-1] in (0, 1)  # killed between the log and the line at most
    assert numbers == sorted(set(numbers))


def test_what_every_batch_was_made_of_can_be_told(run):
    path, _ = run
    directory = RunDirectory.open(path)
    lengths = [e.num_transitions for e in open_dataset(directory.episodes).episodes()]
    newest = int(find_checkpoint(path / "checkpoints").name)
    for update in (1, 11, (11 + newest) // 2, newest):
        found = trace(path, update)
        online = found.origin.source == -1
        assert online.any() == (update > 10)
        recorded = online & ~found.is_abandoned
        places = zip(found.origin.episode[recorded], found.origin.step[recorded], strict=True)
        assert all(step < lengths[episode] for episode, step in places)


def test_an_episode_may_last_longer_than_the_run(tiny_rlpd, tmp_path):
    schedule = dataclasses.replace(
        tiny_rlpd.schedule, start_training_steps=1, env_steps=3, evaluation_interval_steps=0
    )
    long = {**tiny_rlpd.env_args, "max_steps": 1000}
    train(dataclasses.replace(tiny_rlpd, schedule=schedule, env_args=long), tmp_path / "run")
    episodes = open_dataset(tmp_path / "run/episodes").episodes()
    assert [episode.num_transitions for episode in episodes] == [1000]


def test_ctrl_c_leaves_a_checkpoint_and_no_process(run):
    path, _ = run
    before, acted = read_counters(find_checkpoint(path / "checkpoints")), episodes_acted(path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom serlds.training.supervisor import resume\n"
        "try:\n    resume(Path(sys.argv[1]))\nexcept KeyboardInterrupt:\n    sys.exit(130)"
    )
    command = [sys.executable, "-c", code, str(path)]
    supervisor = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: episodes_acted(path) >= acted + 2 or supervisor.poll() is not None)
    supervisor.send_signal(signal.SIGINT)
    _, output = supervisor.communicate(timeout=150)
    assert supervisor.returncode == 130, output
    assert not processes_of(path)
    after = read_counters(find_checkpoint(path / "checkpoints"))
    assert after.pretrain_updates == before.pretrain_updates == 10
    assert after.online_updates > before.online_updates
    assert "of 1,000,000" in output  # progress in plain lines where there is no terminal


def test_a_resumed_run_goes_on_to_its_end(run):
    path, _ = run
    directory = RunDirectory.open(path)
    logged = sum(e.num_transitions for e in open_dataset(directory.episodes).episodes())
    record, target = directory.read_record(), logged + 60
    directory.write_record(dataclasses.replace(record, run=with_steps(record.run, target)))

    result = resume(path)

    counters = read_counters(result.checkpoint)
    assert counters.online_updates == target - 5  # one per step, after the 5 it starts with
    assert result.updates == 10 + counters.online_updates
    episodes = list(open_dataset(directory.episodes).episodes())
    steps = sum(e.num_transitions for e in episodes)
    assert target <= steps < target + 20  # whole episodes of at most 20 steps
    assert [e.metadata["collector"] for e in episodes] == ["policy"] * len(episodes)
    assert len({e.metadata["seed"] for e in episodes}) == len(episodes)

    actor = read_metrics(directory.metrics("actor"))
    trained = [line for line in actor if "train/success" in line]
    assert trained[-1]["train/episodes"] == len(episodes)
    assert trained[-1]["env_steps"] == steps
    evaluations = [line for line in actor if "eval/success_rate" in line]
    assert evaluations[0]["env_steps"] == 0
    assert evaluations[-1]["eval/policy_updates"] == result.updates
    learner = read_metrics(directory.metrics("learner"))
    assert [line["wall_s"] for line in learner] == sorted(line["wall_s"] for line in learner)
    assert learner[-1]["replay/online"] == steps
    assert learner[-1]["learner/utd_ratio"] <= 2.0
    with pytest.raises(UsageError, match="this run is finished"):
        resume(path)


def test_the_trained_policy_is_evaluated_on_chosen_seeds(run):
    path, _ = run
    config = RunDirectory.open(path).read_record().run
    result = evaluate(path, episodes=3, seed=50, name="mine")
    env = make_env(config.env_id, **config.env_args)
    expected = [run_episode(GymAsDmEnv(env), load_policy(path), 50 + i) for i in range(3)]
    assert result.lengths == tuple(e.length for e in expected)
    assert result.successes == tuple(e.success for e in expected)
    assert result.checkpoint == str(find_checkpoint(path / "checkpoints"))
    assert Path(result.path) == path / "evals" / "mine.json"
    assert Path(result.path).is_file()
    low, high = result.success_interval
    assert 0 <= low <= result.success_rate <= high <= 1
    with pytest.raises(UsageError, match="no checkpoint 3"):
        evaluate(path, episodes=1, checkpoint="3")


def test_several_seeds_are_told_one_by_one_and_pooled(run):
    path, _ = run
    results, pooled = evaluate_seeds(path, 2, (50, 60))
    alone = evaluate(path, episodes=2, seed=60, name="alone")
    assert results[1].lengths == alone.lengths
    assert pooled.lengths == results[0].lengths + results[1].lengths
    assert pooled.episodes == 4
    assert pooled.success_interval == wilson_interval(sum(pooled.successes), 4)
    assert json.loads(Path(pooled.path).read_text())["seeds"] == [50, 60]
    with pytest.raises(UsageError, match="seeds 50 and 51 share episodes"):
        evaluate_seeds(path, 2, (51, 50))


def test_evaluation_films_its_first_episodes(run):
    import av

    path, _ = run
    result = evaluate(path, episodes=2, seed=50, video=True, videos=1, name="filmed")
    (name,) = result.videos
    with av.open(str(path / "evals" / name)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) >= result.lengths[0] + 1
    assert np.ptp(frames[0]) > 50  # a picture, not a blank


def test_acting_needs_neither_jax_nor_tensorflow(run):
    code = (
        "import sys\nfrom pathlib import Path\nfrom serlds.training.evaluation import evaluate\n"
        "evaluate(Path(sys.argv[1]), episodes=1, name='light')\n"
        "heavy = {'jax', 'tensorflow', 'reverb', 'orbax'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(run[0])], check=True)
