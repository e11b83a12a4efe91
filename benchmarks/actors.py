"""What do more actors bring on this machine?

Trains SAC with one update per environment step and a small network on the state of PickCube with 1,
2, 4 and 8 local actors, and prints environment steps per second that the learner received and its
critic updates per second, over the time after the first line of metrics. The baseline is one actor
in the same run. Where there are fewer cores than processes more actors cannot bring more: no speed
is asked for. Exit code 1 when an actor did not act or a run's log does not hold what the learner
counted.

    python benchmarks/actors.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from serlds.datasets.reading import open_dataset
from serlds.training.config import NetworkConfig, RunConfig, SACConfig, ScheduleConfig
from serlds.training.metrics import read_metrics
from serlds.training.run_directory import RunDirectory
from serlds.training.supervisor import train

ACTORS = (1, 2, 4, 8)
NETWORK = NetworkConfig(hidden_dims=(64, 64))


def config(env_steps: int) -> RunConfig:
    """A run that costs the learner little."""
    return RunConfig(
        algorithm="sac",
        agent=SACConfig(actor=NETWORK, critic=NETWORK),
        env_id="serlds/WidowXPickCube-v0",
        env_args={"cameras": []},
        schedule=ScheduleConfig(
            env_steps=env_steps,
            start_training_steps=500,
            max_actor_lead_steps=500,
            evaluation_interval_steps=0,
        ),
    )


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-steps", type=int, default=6000)
    options = parser.parse_args()
    first, failed = 0.0, False
    print("actors  env steps/s  ratio to one  critic updates/s")
    for actors in ACTORS:
        with tempfile.TemporaryDirectory() as place:
            run = Path(place) / "run"
            train(config(options.env_steps), run, actors=actors)
            directory = RunDirectory.open(run)
            lines = [x for x in read_metrics(directory.metrics("learner")) if x["env_steps"]]
            logs = directory.logs_of_episodes()
            recorded = [
                sum(e.num_transitions for e in open_dataset(log).episodes())
                for log in logs.values()
            ]
        elapsed_s = lines[-1]["wall_s"] - lines[0]["wall_s"]
        steps = (lines[-1]["env_steps"] - lines[0]["env_steps"]) / elapsed_s
        critic = "learner/critic_updates"
        updates = (lines[-1][critic] - lines[0][critic]) / elapsed_s
        first = first or steps
        print(f"{actors:6}  {steps:11.0f}  {steps / first:12.2f}  {updates:16.0f}", flush=True)
        failed |= len(recorded) != actors or min(recorded) == 0
        # Episodes that were under way at the end are in no log.
        failed |= sum(recorded) < lines[-1]["env_steps"] - actors * 100
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
