"""A tiny task, demonstrations of it, and one replay server process that the tests share."""

import contextlib

import pytest

from serlds.envs.recording import record_episodes
from serlds.pipelines.validate import keep_verdict, validate
from serlds.training.batch_log import BatchLog
from serlds.training.child_process import ChildProcess
from serlds.training.config import (
    NetworkConfig,
    ReplayConfig,
    RLPDConfig,
    RunConfig,
    SACConfig,
    ScheduleConfig,
)
from serlds.training.replay_client import wait_for_address
from serlds.training.replay_server import choose_port
from serlds.training.replay_tables import DEMOS, ONLINE, WEIGHTS, WEIGHTS_NEWS
from serlds.training.run_directory import create_run_directory
from serlds.training.run_preparation import prepare
from serlds.training.stopping import StopRequest

ENV_ID = "serlds/WidowXPickCube-v0"
ENV_ARGS = {"cameras": [], "max_steps": 20}
TINY = NetworkConfig(hidden_dims=(8,))


@pytest.fixture(scope="session")
def demos(tmp_path_factory):
    """Directory of a dataset of 5 expert episodes, validated."""
    directory = tmp_path_factory.mktemp("data") / "demos"
    record_episodes(ENV_ID, ENV_ARGS, directory, by="expert", episodes=5, seed=0)
    assert keep_verdict(validate(directory)) == ""
    return directory / "1.0.0"


@pytest.fixture(scope="session")
def tiny_rlpd(demos):
    """A run of 60 environment steps; a minibatch is 4 demonstrations and 4 online transitions."""
    sac = SACConfig(actor=TINY, critic=TINY, discount=0.97)
    return RunConfig(
        algorithm="rlpd",
        agent=RLPDConfig(sac=sac, bc_pretrain_updates=10),
        env_id=ENV_ID,
        env_args=ENV_ARGS,
        demos=(str(demos),),
        schedule=ScheduleConfig(
            batch_size=8,
            utd_ratio=2,
            env_steps=60,
            start_training_steps=5,
            max_actor_lead_steps=10,
            publish_interval_updates=5,
            evaluation_interval_steps=40,
            evaluation_episodes=2,
            checkpoint_interval_updates=20,
            checkpoints_kept=2,
        ),
        replay=ReplayConfig(online_capacity=1000, demos_capacity=1000),
    )


@pytest.fixture(scope="session")
def served_run(tiny_rlpd, tmp_path_factory):
    """(directory, record, address) of a run whose replay server is up, in a process of its own."""
    record = prepare(tiny_rlpd)
    directory = create_run_directory(tmp_path_factory.mktemp("runs") / "served", record)
    server = ChildProcess(
        "replay server",
        "serlds.training.replay_server",
        [str(directory.path), "--port", str(choose_port())],
        directory.log("replay"),
        {},
    )
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, 10.0)
        yield directory, record, wait_for_address(directory, StopRequest())


@pytest.fixture
def client(served_run):
    """A client of the shared replay server, whose tables are empty."""
    import reverb

    client = reverb.Client(served_run[2])
    for table in (DEMOS, ONLINE, WEIGHTS, *WEIGHTS_NEWS):
        client.reset(table)
    return client


@pytest.fixture
def batch_log(tmp_path):
    """Where a learner notes what it draws."""
    with contextlib.closing(BatchLog(tmp_path / "batches")) as log:
        yield log
