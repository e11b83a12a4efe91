"""Killing the processes of a run that trains in a thread."""

import os
import signal
import threading
import time

import numpy as np
import psutil

from serlds.training.metrics import read_metrics
from serlds.training.supervisor import train

MODULES = {
    "replay server": "serlds.training.replay_server",
    "learner": "serlds.training.learner",
    "actor": "serlds.training.actor",
}


def processes_of(run):
    """The processes of a run by module."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(run) in command and "-m" in command:
            found[command[command.index("-m") + 1]] = process
    return found


def wait_for(condition, seconds=120.0):
    deadline_s = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return value


def episodes_acted(run):
    return len([x for x in read_metrics(run / "metrics-actor.jsonl") if "train/success" in x])


def training_with_deaths(config, run, restarts):
    """Trains while each process is killed once; returns (thread, list of what it raised) then."""
    errors = []

    def target():
        try:
            train(config, run, restarts=restarts)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    rng, acted = np.random.default_rng(0), 2
    for name in ("actor", "learner", "replay server"):
        wait_for(lambda acted=acted: episodes_acted(run) >= acted or errors)
        time.sleep(rng.uniform(0.0, 0.5))
        pid = _kill(run, name)
        wait_for(lambda name=name, pid=pid: _is_replaced(run, name, pid) or errors)
        acted = episodes_acted(run) + 2
    wait_for(lambda: episodes_acted(run) >= acted or errors)
    return thread, errors


def _kill(run, name):
    """Kills a process of the run once it is there; returns its process id."""
    pid = wait_for(lambda: processes_of(run).get(MODULES[name])).pid
    os.kill(pid, signal.SIGKILL)
    return pid


def _is_replaced(run, name, pid):
    found = processes_of(run).get(MODULES[name])
    return found is not None and found.pid != pid
