"""A run's processes started one by one by their verbs, as a process manager would."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from serlds.datasets.reading import open_dataset
from serlds.training.checkpoints import find_checkpoint, read_counters
from serlds.training.metrics import read_metrics
from serlds.training.run_directory import RunDirectory
from serlds.training.run_listing import list_runs
from serlds.training.supervisor import create
from serlds.training.tracing import trace

from .killing import wait_for

STEPS = 200


class Manager:
    """Starts verbs, and again those that end with another code than 0."""

    def __init__(self, directory):
        self._directory = directory
        self._commands = {}
        self._processes = {}
        self.codes = {}

    def start(self, name, *arguments):
        self._commands[name] = [sys.executable, "-m", "serlds.cli", *map(str, arguments)]
        self.codes[name] = []
        self._spawn(name)

    def pid(self, name):
        return self._processes[name].pid

    def is_done(self, *names):
        for name, process in self._processes.items():
            if process.poll() not in (None, 0):
                self.codes[name].append(process.returncode)
                self._spawn(name)
        return all(self._processes[name].poll() == 0 for name in names)

    def end(self):
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20.0)
                process.kill()

    def log(self, name):
        return (self._directory / f"{name}.log").read_text()

    def _spawn(self, name):
        with (self._directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self._commands[name], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


@pytest.fixture
def manager(tmp_path):
    with contextlib.closing(contextlib.ExitStack()) as stack:
        manager = Manager(tmp_path)
        stack.callback(manager.end)
        yield manager


def test_two_actors_and_a_learner_that_is_killed(tiny_rlpd, tmp_path, manager):
    schedule = dataclasses.replace(tiny_rlpd.schedule, env_steps=STEPS)
    run = create(dataclasses.replace(tiny_rlpd, schedule=schedule), tmp_path / "run").path
    directory = RunDirectory.open(run)
    manager.start("serve", "serve", run)
    manager.start("learner", "learner", run)
    manager.start("actor", "actor", run, "--actors", 2)
    manager.start("actor-1", "actor", run, "--actors", 2, "--actor-id", 1)

    def has_begun():
        manager.is_done()
        return all(
            len(read_metrics(directory.metrics(name))) > 2 for name in ("actor", "actor-1")
        ) and any((run / "checkpoints").iterdir())

    wait_for(has_begun, 180.0)
    os.kill(manager.pid("learner"), signal.SIGKILL)
    wait_for(lambda: manager.is_done("learner", "actor", "actor-1"), 180.0)

    assert manager.codes["learner"][0] == -signal.SIGKILL
    assert set(manager.codes["actor"]) <= {75}
    assert "session 2 ready at 127.0.0.1:" in manager.log("serve")
    assert "session 1 had a learner already" in manager.log("learner")
    counters = read_counters(find_checkpoint(directory.checkpoints))
    assert counters.online_updates == STEPS - 5
    logs = [open_dataset(directory.episodes_of(actor)) for actor in (0, 1)]
    episodes = [list(log.episodes()) for log in logs]
    steps = sum(e.num_transitions for part in episodes for e in part)
    assert STEPS <= steps < STEPS + 3 * 20  # episodes under way at the end, of either actor
    seeds = [e.metadata["seed"] for part in episodes for e in part]
    assert len(set(seeds)) == len(seeds)
    found = trace(run, counters.updates)
    assert {-2, -1, 0} >= set(found.origin.source.ravel().tolist())
    for source, episode, step in zip(*(part.ravel() for part in found.origin), strict=True):
        if source < 0:
            assert step < episodes[-1 - source][episode].num_transitions
    lines = [x for x in read_metrics(directory.metrics("actor-1")) if "train/success" in x]
    assert all({"policy/age_s", "policy/lag_updates", "policy/updates"} <= x.keys() for x in lines)
    table = list_runs([tmp_path])
    assert "rlpd" in table
    assert f"of {STEPS}" in table
    assert f"demos 1.0.0 ({directory.read_record().datasets[0].digest[:12]})" in table
    (tmp_path / "broken" / "checkpoints").mkdir(parents=True)
    (tmp_path / "broken" / "config.json").write_text("{}")
    table = list_runs([tmp_path])
    assert f"of {STEPS}" in table
    assert f"left out: {tmp_path / 'broken' / 'config.json'}: RunConfig.algorithm" in table


def test_a_second_learner_is_refused(tiny_rlpd, tmp_path):
    directory = create(tiny_rlpd, tmp_path / "run")
    lock = directory.learner_lock()
    command = [sys.executable, "-m", "serlds.cli", "learner", str(directory.path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lock.release()
    assert result.returncode == 2
    assert "this run has a learner already" in result.stderr
    assert f"process {os.getpid()}" in result.stderr


@pytest.mark.parametrize("verb", ["actor", "learner"])
def test_a_server_that_does_not_answer_is_told_and_can_be_left(tiny_rlpd, tmp_path, verb):
    """Where the server is reached through a tunnel that is down."""
    directory = create(tiny_rlpd, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "served")
    served = RunDirectory(tmp_path / "served")
    server = subprocess.Popen([sys.executable, "-m", "serlds.cli", "serve", str(served.path)])
    try:
        wait_for(served.address_file.is_file, 120.0)
    finally:
        server.kill()
        server.wait()
    for name in ("session.json", served.address_file.name):
        shutil.copy(served.path / name, directory.path)
    with contextlib.closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "serlds.cli", verb, str(directory.path), "--replay", address],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert f"no replay server answers at {address}; waiting" in process.stderr.readline()
        process.terminate()
        assert process.wait(30.0) == 0
        process.stderr.close()


def test_an_actor_beyond_their_number_is_refused(tiny_rlpd, tmp_path):
    run = create(tiny_rlpd, tmp_path / "run").path
    command = [sys.executable, "-m", "serlds.cli", "actor", str(run)]
    command += ["--actor-id", "2", "--actors", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--actor-id 2 of --actors 2: expected 0 to 1" in result.stderr


def test_a_port_in_use_ends_with_code_2(tiny_rlpd, tmp_path):
    run = create(tiny_rlpd, tmp_path / "run").path
    taken = socket.socket()
    with taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "serlds.cli", "serve", str(run), "--port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"error: port {port} of this machine cannot be used" in result.stderr
