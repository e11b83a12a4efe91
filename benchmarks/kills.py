"""Does a run reach its success although its processes are killed again and again?

Records demonstrations, trains RLPD on them with the quickstart preset, and kills the actor, the
learner or the replay server, drawn with a seed, random 20 to 60 s after an actor has started. Then
checks that the run came to its end, that no recorded episode is lost or doubled, that random
updates can be traced to steps that are in the logs, and that the policy succeeds. Exit code 1 when
one of it fails.

    python benchmarks/kills.py [--seed 0]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.training.checkpoints import find_checkpoint, read_counters
from serlds.training.config import RunConfig
from serlds.training.evaluation import evaluate
from serlds.training.metrics import read_metrics
from serlds.training.presets import preset
from serlds.training.replay_tables import online_updates
from serlds.training.restarts import Restarts
from serlds.training.run_directory import RunDirectory
from serlds.training.supervisor import train
from serlds.training.tracing import trace

ENV_ID = "serlds/WidowXPickCube-v0"
ENV_ARGS = {"cameras": []}
SUCCESS_BOUND = 0.8
TRACED_UPDATES = 20
VICTIMS = ("actor", "learner", "replay_server")


def find(run: Path, name: str) -> psutil.Process | None:
    """The run's process of this name."""
    module = f"serlds.training.{name}"
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if module in command and str(run) in command:
            return process
    return None


def kill_until(done: threading.Event, run: Path, rng: np.random.Generator) -> Counter[str]:
    """Kills a random process now and then; returns how often each was killed."""
    killed: Counter[str] = Counter()
    while True:
        while not find(run, "actor"):  # a new session begins
            if done.wait(0.5):
                return killed
        if done.wait(rng.uniform(20.0, 60.0)):
            return killed
        name = str(rng.choice(VICTIMS))
        if process := find(run, name):
            os.kill(process.pid, signal.SIGKILL)
            killed[name] += 1


def check(run: Path, config: RunConfig, rng: np.random.Generator) -> list[str]:
    """What is wrong with the run, one line each."""
    directory = RunDirectory.open(run)
    counters = read_counters(find_checkpoint(directory.checkpoints))
    episodes = list(open_dataset(directory.episodes).episodes())
    lengths = [episode.num_transitions for episode in episodes]
    wrong = []
    if counters.online_updates < online_updates(config):
        wrong.append(f"{counters.online_updates} of {online_updates(config)} online updates")
    seeds = {episode.metadata["seed"] for episode in episodes}
    if len(seeds) != len(episodes):
        wrong.append(f"{len(episodes)} episodes but {len(seeds)} seeds")
    lines = [x for x in read_metrics(directory.metrics("actor")) if "train/episodes" in x]
    if lines[-1]["train/episodes"] != len(episodes):
        wrong.append(f"{lines[-1]['train/episodes']:.0f} episodes counted, {len(episodes)} logged")
    abandoned = 0
    for update in rng.integers(1, counters.updates, size=TRACED_UPDATES, endpoint=True).tolist():
        found = trace(run, update)
        online = (found.origin.source < 0) & ~found.is_abandoned
        abandoned += int(found.is_abandoned.sum())
        places = zip(found.origin.episode[online], found.origin.step[online], strict=True)
        if any(step >= lengths[episode] for episode, step in places):
            wrong.append(f"update {update} learned from steps that are in no log")
    print(f"log: {len(episodes)} episodes, {sum(lengths)} steps; {abandoned} transitions of the")
    print(f"{TRACED_UPDATES} traced updates are of episodes that a kill cut off")
    return wrong


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env-steps", type=int, default=0, help="0: as the preset says")
    parser.add_argument("--any-success", action="store_true", help="do not ask for success")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as place:
        demos, run = Path(place) / "demos", Path(place) / "run"
        record_episodes(
            ENV_ID,
            ENV_ARGS,
            demos,
            by="expert",
            episodes=20,
            count="successful",
            expert_noise=0.5,
            seed=0,
        )
        chosen = preset("rlpd", "quickstart")
        schedule = chosen.schedule
        if options.env_steps:
            schedule = dataclasses.replace(schedule, env_steps=options.env_steps)
        config = RunConfig(
            algorithm="rlpd",
            agent=chosen.agent,
            env_id=ENV_ID,
            env_args=ENV_ARGS,
            demos=(str(demos / "1.0.0"),),
            seed=options.seed,
            schedule=schedule,
            replay=chosen.replay,
        )
        done, killed = threading.Event(), []
        killer = threading.Thread(target=lambda: killed.append(kill_until(done, run, rng)))
        killer.start()
        start_s = time.monotonic()
        try:
            # None of these deaths is a quick one that would end the run.
            train(config, run, allow_unvalidated=True, restarts=Restarts(quick_s=1.0))
        finally:
            done.set()
            killer.join()
        minutes = (time.monotonic() - start_s) / 60
        counts = ", ".join(f"{name} {count} times" for name, count in sorted(killed[0].items()))
        print(f"trained in {minutes:.1f} min; killed: {counts or 'nothing'}")
        wrong = check(run, config, rng)
        result = evaluate(run, episodes=50)
        print(result)
        if not options.any_success and result.success_rate < SUCCESS_BOUND:
            wrong.append(f"success {result.success_rate:.0%}, bound {SUCCESS_BOUND:.0%}")
    print("\n".join(f"WRONG: {line}" for line in wrong) or "nothing was lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
