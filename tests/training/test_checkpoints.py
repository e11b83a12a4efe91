import contextlib
import dataclasses
import resource

import jax
import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError, SerldsError, UsageError
from serlds.training.agents import create_agent
from serlds.training.checkpoints import (
    LearnerCounters,
    check_resumable,
    find_checkpoint,
    list_checkpoints,
    read_counters,
    read_policy,
    restore_agent,
    save_checkpoint,
)
from serlds.training.run_preparation import prepare


@pytest.fixture(scope="module")
def record(tiny_rlpd):
    return prepare(tiny_rlpd)


def new_agent(record, seed, **changes):
    agent = record.run.agent
    config = dataclasses.replace(agent, sac=dataclasses.replace(agent.sac, **changes))
    size = record.task.observation_dim
    mean, std = np.zeros(size, np.float32), np.ones(size, np.float32)
    return create_agent(config, seed, mean, std, record.task.action_dim)


def save(directory, agent, record, updates, kept=3):
    counters = LearnerCounters(pretrain_updates=1, online_updates=updates - 1, env_steps=7)
    return save_checkpoint(
        directory, agent, np.asarray(agent.packed_evaluation_policy()), counters, record, kept
    )


@pytest.mark.parametrize("average_rate", [1.0, 0.1])
def test_everything_comes_back(record, tmp_path, average_rate):
    agent = new_agent(record, 0, evaluation_average_rate=average_rate)
    path = save(tmp_path, agent, record, 12)
    restored = restore_agent(path, new_agent(record, 1, evaluation_average_rate=average_rate))
    assert jax.tree.structure(restored) == jax.tree.structure(agent)
    jax.tree.map(np.testing.assert_array_equal, restored, agent)
    np.testing.assert_array_equal(read_policy(path), agent.packed_evaluation_policy())
    assert read_counters(path) == LearnerCounters(1, 0, 11, 7)


def test_the_newest_are_kept(record, tmp_path):
    agent = new_agent(record, 0)
    for updates in (5, 10, 100):
        save(tmp_path, agent, record, updates, kept=2)
    assert [int(path.name) for path in list_checkpoints(tmp_path)] == [10, 100]
    assert int(find_checkpoint(tmp_path).name) == 100
    assert int(find_checkpoint(tmp_path, "10").name) == 10
    with pytest.raises(UsageError, match="no checkpoint 5; there are: 10, 100"):
        find_checkpoint(tmp_path, "5")


def test_half_a_checkpoint_is_none(record, tmp_path):
    path = save(tmp_path, new_agent(record, 0), record, 5)
    path.rename(tmp_path / f".{path.name}.partial")
    assert not list_checkpoints(tmp_path)
    later = save(tmp_path, new_agent(record, 0), record, 6)
    assert list(tmp_path.iterdir()) == [later]  # what a killed learner left is gone


def test_another_network_is_not_restored(record, tmp_path):
    path = save(tmp_path, new_agent(record, 0), record, 5)
    with pytest.raises(DamagedDatasetError, match="cannot be restored"):
        restore_agent(path, new_agent(record, 0, ensemble_size=3))


def test_a_damaged_checkpoint_is_named(record, tmp_path):
    path = save(tmp_path, new_agent(record, 0), record, 5)
    (path / "checkpoint.json").write_text("{")
    with pytest.raises(
        DamagedDatasetError, match=r"checkpoint\.json: cannot be read.*move .*05 out"
    ):
        read_counters(path)
    (path / "policy.npy").write_bytes(b"")
    with pytest.raises(DamagedDatasetError, match=r"policy\.npy: cannot be read.*move .*05 out"):
        read_policy(path)


@pytest.mark.parametrize("where", ["agent/ocdbt.process_0/d/*", "policy.npy"])
def test_a_bit_that_has_changed_is_noticed(record, tmp_path, where):
    agent = new_agent(record, 0)
    path = save(tmp_path, agent, record, 5)
    (damaged, *_) = path.glob(where)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    read = read_policy if where == "policy.npy" else lambda path: restore_agent(path, agent)
    with pytest.raises(
        DamagedDatasetError, match=f"{damaged.name}: is not as it was written; move"
    ):
        read(path)
    with pytest.raises(
        DamagedDatasetError, match=f"{damaged.name}: is not as it was written; move"
    ):
        check_resumable(path, record.run, ())


def test_a_run_goes_on_with_its_own_configuration_alone(record, tmp_path):
    path = save(tmp_path, new_agent(record, 0), record, 5)
    longer = dataclasses.replace(
        record.run, schedule=dataclasses.replace(record.run.schedule, env_steps=1000)
    )
    check_resumable(path, longer, ("env_steps",))
    with pytest.raises(UsageError, match=r"schedule\.env_steps: 60 in the run, 1000 asked"):
        check_resumable(path, longer, ())
    sac = dataclasses.replace(record.run.agent.sac, discount=0.5)
    other = dataclasses.replace(record.run, agent=dataclasses.replace(record.run.agent, sac=sac))
    with pytest.raises(UsageError, match=r"agent\.sac\.discount: 0\.97 in the run, 0\.5 asked"):
        check_resumable(path, other, ("env_steps",))


def test_a_checkpoint_that_was_moved_away_is_none(record, tmp_path):
    before = save(tmp_path, new_agent(record, 0), record, 5)
    path = save(tmp_path, new_agent(record, 0), record, 6)
    path.rename(tmp_path / f"{path.name}.bad")
    assert find_checkpoint(tmp_path) == before
    with pytest.raises(UsageError, match="no checkpoint 6; there are: 5"):
        find_checkpoint(tmp_path, "6")


@contextlib.contextmanager
def full_disk():
    """Every file of this process ends after 2000 bytes, as on a disk that is full.

    Not a fixture: pytest's own output would meet the limit before the fixture ends.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_earlier_checkpoints(record, tmp_path):
    path = save(tmp_path, new_agent(record, 0), record, 5)
    agent = new_agent(record, 0)
    with (
        full_disk(),
        pytest.raises(SerldsError, match="000000006: the checkpoint cannot be written"),
    ):
        save(tmp_path, agent, record, 6)
    assert list_checkpoints(tmp_path) == [path]
    assert [child.name for child in tmp_path.iterdir()] == [path.name]
