"""Behaviour cloning of chunks of actions: a whole run, and the policy that it leaves."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets import keys
from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.policy_forward import ExportedPolicy, OpenLoop
from serlds.training.checkpoints import find_checkpoint, read_policy
from serlds.training.config import BCConfig, NetworkConfig
from serlds.training.policy import PackedPolicy
from serlds.training.policy_export import export_policy
from serlds.training.replay_items import action_chunks, state_vectors
from serlds.training.run_directory import RunDirectory
from serlds.training.run_policy import load_policy
from serlds.training.supervisor import train

CHUNK, EXECUTED = 4, 3


@pytest.fixture(scope="module")
def run(tiny_rlpd, tmp_path_factory):
    """A run that has cloned five episodes by heart."""
    network = NetworkConfig((128, 128))
    config = dataclasses.replace(
        tiny_rlpd,
        algorithm="bc",
        agent=BCConfig(network, 2e-3, "deterministic", chunk=CHUNK, executed=EXECUTED),
        schedule=dataclasses.replace(
            tiny_rlpd.schedule, batch_size=32, utd_ratio=20, offline_updates=100, env_steps=0
        ),
    )
    path = tmp_path_factory.mktemp("runs") / "chunks"
    train(config, path)
    return RunDirectory.open(path)


def test_a_chunk_holds_the_demonstrated_actions_in_order(run):
    record = run.read_record()
    policy = PackedPolicy(record.policy_spec, read_policy(find_checkpoint(run.checkpoints, None)))
    episode = open_dataset(record.datasets[0].path).episode(0)
    states = state_vectors(episode, record.task.state_fields)[:-1]
    actions = np.asarray(episode[keys.ACTION])[:-1]
    errors = [
        np.abs(policy.mode(states) - action_chunks(np.roll(actions, shift, 0), CHUNK)).mean()
        for shift in (0, 1, -1)
    ]
    assert errors[0] < 0.1
    assert errors[0] < 0.5 * min(errors[1:])


def test_runs_and_exports_take_a_chunk_in_open_loop(run, tmp_path):
    record = run.read_record()
    network = PackedPolicy(record.policy_spec, read_policy(find_checkpoint(run.checkpoints, None)))
    exported = ExportedPolicy.load(export_policy(run.path, tmp_path / "out"))
    policy, rng, taken = load_policy(run.path), np.random.default_rng(0), []
    exported.reset()
    policy.reset(0)
    names = {field["name"]: field["shape"] for field in exported.spec["state"]}
    for step in range(2 * EXECUTED + 1):
        state = {name: rng.normal(size=shape).astype(np.float32) for name, shape in names.items()}
        if step % EXECUTED == 0:
            seen = np.concatenate([np.ravel(state[name]) for name in names])
            chunk = network.mode(seen).reshape(CHUNK, -1)
        taken.append(policy({"state": state}))
        np.testing.assert_allclose(taken[-1], chunk[step % EXECUTED], atol=1e-6)
        np.testing.assert_allclose(exported({"state": state}), taken[-1], atol=1e-6)
    assert taken[0].shape == (record.task.action_dim,)


def test_an_episode_begins_with_a_chunk_of_its_own():
    loop = OpenLoop(3, 2)
    assert loop.next(lambda: np.arange(6)).tolist() == [0, 1]
    assert loop.next(lambda: np.zeros(6)).tolist() == [2, 3]
    assert loop.next(lambda: np.arange(6) + 10).tolist() == [10, 11]
    loop.reset()
    assert loop.next(lambda: np.arange(6) + 20).tolist() == [20, 21]


@pytest.mark.parametrize(
    ("chunk", "executed", "message"),
    [(0, 1, "BCConfig.chunk: expected at least 1"), (4, 5, r"executed: expected 1 to chunk \(4\)")],
)
def test_chunks_that_cannot_be_are_refused(chunk, executed, message):
    with pytest.raises(UsageError, match=message):
        BCConfig(chunk=chunk, executed=executed)
