"""Wall time to success beside SERL: PickCube from the state, from the same 20 demonstrations.

The quickstart's task and demonstrations. Ours is `serlds train rlpd --preset quickstart`. SERL's is
its example that learns from state, examples/async_sac_state_sim, with the flags of its scripts
(RLPD's agent of ten critics of 256 x 256; per learner step eight minibatches of 256 and one update
of the actor; 1000 random steps, then learning as fast as the machine allows), its actor and learner
over agentlace, and half of each minibatch demonstrations as in its async_drq_sim.

    python benchmarks/serl_success.py --serl SERL --agentlace AGENTLACE --python SERL_ENV/bin/python

The clock runs from the start of the processes to the end of the first evaluation whose share of
successes, without exploration, is 95 % of 100 episodes; the episodes of all evaluations are the
same. Ours evaluates after every 1000 environment steps, SERL's after every 2000, as it does by
default, in its actor while its learner goes on. One run at a time.

Bound: 3 times sooner. A run that has not succeeded at the cap counts as having succeeded then.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import psutil
import serl_peer

from serlds.datasets.reading import open_dataset
from serlds.quickstart import EVALUATION_EPISODES, REQUIRED_SUCCESS, plan
from serlds.training.actor import evaluation_seeds
from serlds.training.metrics import ENV_STEPS, read_metrics
from serlds.training.replay_items import ItemLayout, pack_episode
from serlds.training.run_directory import RunDirectory

BOUND = 3.0
EXAMPLE = Path("examples/async_sac_state_sim")
FLAGS = {
    "actor": ["--random_steps=1000", f"--eval_n_trajs={EVALUATION_EPISODES}"],
    "learner": ["--training_starts=1000", "--critic_actor_ratio=8", "--batch_size=256"],
}
"""Of SERL's run_actor.sh and run_learner.sh, but for the length of evaluations."""
_HERE = Path(__file__).parent
_POLL_S = 0.2


class Outcome(NamedTuple):
    """What a run came to."""

    wall_s: float
    """Seconds to success, or to the cap."""
    has_succeeded: bool
    cpu_s: float
    """CPU time of all its processes until then."""

    def __str__(self) -> str:
        more = "" if self.has_succeeded else "more than "
        return f"{more}{self.wall_s:.0f} s ({self.cpu_s:.0f} s CPU)"


def serlds(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Starts a verb."""
    return subprocess.Popen([sys.executable, "-m", "serlds.cli", *arguments], **options)


def prepare(place: Path, seed: int, log: IO[str]) -> tuple[list[str], Path]:
    """Makes demonstrations as the quickstart does.

    Returns:
        The arguments of our training, and a run that is prepared and never started.
    """
    phases = {phase.name: list(phase.arguments) for phase in plan(place, seed)}
    training = [
        *phases["train RLPD"],
        *("--schedule.evaluation-episodes", str(EVALUATION_EPISODES)),
    ]
    probe = place / "probe"
    made = [phases[name] for name in ("record demonstrations", "convert", "validate", "statistics")]
    for arguments in (*made, [*training, "--out", str(probe), "--prepare-only"]):
        if serlds(*arguments, stdout=log, stderr=log).wait():
            sys.exit(f"serlds {arguments[0]} failed, see its log")
    return training, probe


def write_demos(run: Path, out: Path) -> None:
    """Writes the demonstrations of a run as one npz of transitions."""
    record = RunDirectory.open(run).read_record()
    layout = ItemLayout(record.task.observation_dim, record.task.action_dim)
    packed = [
        pack_episode(episode, record.task.state_fields, layout, 0, 0)
        for dataset in record.datasets
        for episode in open_dataset(dataset.path).episodes()
    ]
    transition = layout.unpack(np.concatenate(packed))
    np.savez(
        out,
        observations=transition.observation.state,
        actions=transition.action,
        rewards=transition.reward,
        masks=transition.discount,
        next_observations=transition.next_observation.state,
    )


def tell(side: str, start_s: float, success: float, steps: str) -> None:
    """Prints an evaluation."""
    elapsed_s = time.monotonic() - start_s
    print(f"  {side:6s} {elapsed_s:6.0f} s {steps:>13s}: success {success:.0%}", flush=True)


def cpu_s(process: subprocess.Popen[Any]) -> float:
    """CPU time of a process and all that it has started and that is alive."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for each in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


def end(*processes: subprocess.Popen[Any]) -> None:
    """Ends processes in sessions of their own, with all that they have started."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ours(training: list[str], run: Path, cap_s: float, log: IO[str]) -> Outcome:
    """Trains until success or the cap."""
    start_s, seen = time.monotonic(), 0
    process = serlds(*training, stdout=log, stderr=log, start_new_session=True)
    try:
        while (elapsed_s := time.monotonic() - start_s) < cap_s:
            time.sleep(_POLL_S)
            has_ended = process.poll() is not None
            lines = read_metrics(run / "metrics-actor.jsonl") if run.is_dir() else []
            found = [line for line in lines if "eval/success_rate" in line]
            for line in found[seen:]:
                success = line["eval/success_rate"]
                tell("serlds", start_s, success, f"{line[ENV_STEPS]:.0f} steps")
                if success >= REQUIRED_SUCCESS:
                    return Outcome(time.monotonic() - start_s, True, cpu_s(process))
            seen = len(found)
            if has_ended:
                print("  our training has ended; it counts as lasting to the cap")
                return Outcome(cap_s, False, cpu_s(process))
        return Outcome(elapsed_s, False, cpu_s(process))
    finally:
        end(process)


@contextlib.contextmanager
def serl_processes(
    options: argparse.Namespace, probe: Path, demos: Path, seed: int, log: IO[str]
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """SERL's learner and actor."""
    record = RunDirectory.open(probe).read_record()
    spec = {
        "python": sys.executable,
        "server": str(_HERE / "serl_task.py"),
        "env_id": record.run.env_id,
        "env_args": dict(record.run.env_args),
        "state_fields": [
            path.removeprefix("observation/state/") for path in record.task.state_fields
        ],
    }
    common = [
        *("--example", str(options.serl.resolve() / EXAMPLE), "--spec", json.dumps(spec)),
        *("--demos", str(demos), "--port", str(free_port()), "--broadcast-port", str(free_port())),
        *("--seeds", json.dumps([*evaluation_seeds(seed, EVALUATION_EPISODES)])),
        *("--debug", f"--seed={seed}"),
    ]
    started = {}
    try:
        for side, flags in FLAGS.items():
            started[side] = subprocess.Popen(
                [
                    str(options.python.absolute()),
                    str(_HERE / "serl_example.py"),
                    side,
                    *common,
                    *flags,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=serl_peer.environment(options),
                start_new_session=True,
            )
        yield started
    finally:
        end(*started.values())


def theirs(
    options: argparse.Namespace, probe: Path, demos: Path, seed: int, cap_s: float, log: IO[str]
) -> Outcome:
    """Trains with SERL until success or the cap."""
    start_s, told = time.monotonic(), queue.SimpleQueue[str]()

    def listen(pipe: IO[str]) -> None:
        for line in pipe:
            told.put(line)
        told.put("")

    with serl_processes(options, probe, demos, seed, log) as started:

        def outcome(has_succeeded: bool) -> Outcome:
            spent_s = sum(map(cpu_s, started.values()))
            return Outcome(time.monotonic() - start_s, has_succeeded, spent_s)

        for process in started.values():
            assert process.stdout is not None
            threading.Thread(target=listen, args=(process.stdout,), daemon=True).start()
        evaluations = 0
        while (left_s := start_s + cap_s - time.monotonic()) > 0:
            try:
                line = told.get(timeout=left_s)
            except queue.Empty:
                break
            if not line:
                sys.exit(f"SERL's side ended, see {log.name}")
            evaluations += 1
            success = json.loads(line)["success"]
            tell("SERL", start_s, success, f"{2000 * evaluations} steps")
            if success >= REQUIRED_SUCCESS:
                return outcome(True)
        return outcome(False)


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Measures; returns 1 when the bound is missed."""
    parser = serl_peer.arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cap-minutes", type=float, default=25.0, help="of each run")
    parser.add_argument("--out", type=Path, help="keep runs and logs in this new directory")
    options = parser.parse_args()
    serl_peer.check(options)
    cap_s, pairs = 60 * options.cap_minutes, []
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        for seed in options.seeds:
            place = out / f"seed-{seed}"
            place.mkdir(parents=True)
            print(f"seed {seed}, load average {psutil.getloadavg()[0]:.1f}", flush=True)
            with (place / "log").open("w") as log:
                training, probe = prepare(place, seed, log)
                demos = place / "demos.npz"
                write_demos(probe, demos)
                mine = ours(training, place / "rlpd", cap_s, log)
                other = theirs(options, probe, demos, seed, cap_s, log)
            print(f"  serlds {mine}, SERL {other}", flush=True)
            pairs.append((mine, other))
    ratios = [other.wall_s / mine.wall_s for mine, other in pairs]
    at_least = "" if all(other.has_succeeded for _, other in pairs) else "more than "
    median = statistics.median(ratios)
    print(
        f"time to {REQUIRED_SUCCESS:.0%} of {EVALUATION_EPISODES} episodes, SERL's over ours: "
        f"{', '.join(f'{ratio:.1f}' for ratio in ratios)}; median {at_least}{median:.1f}, lowest "
        f"{min(ratios):.1f}, bound {BOUND:.1f}"
    )
    return 0 if min(ratios) >= BOUND and all(mine.has_succeeded for mine, _ in pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
