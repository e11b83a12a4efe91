"""The other side of a comparison with SERL: its own code, under its own interpreter.

Nothing of SERL is in this repository. To get it and an environment for it:

    git clone https://github.com/rail-berkeley/serl
    git clone https://github.com/youliangtan/agentlace
    git -C agentlace checkout cf2c337c5e3694cdbfc14831b239bd657bc4894d
    uv venv --python 3.11 serl-env
    uv pip install --python serl-env/bin/python -r benchmarks/serl_requirements.txt

and then, for each benchmark `serl_*.py`:

    python benchmarks/serl_learner.py --serl serl --agentlace agentlace --python serl-env/bin/python
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

DRIVER = Path(__file__).with_name("serl_driver.py")
_ENVIRONMENT = dict(os.environ)
"""As this process began: what our side sets for itself does not reach SERL's."""


class Cost(NamedTuple):
    """What a number of calls took."""

    cpu_s: float
    """Process time over all threads."""
    wall_s: float


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every comparison needs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--serl", type=Path, help="checkout of github.com/rail-berkeley/serl")
    parser.add_argument("--agentlace", type=Path, help="checkout of agentlace, if not installed")
    parser.add_argument("--python", type=Path, help="interpreter of SERL's environment")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    return parser


def check(options: argparse.Namespace) -> None:
    """Exits with 2 and says how to get SERL when it is not there."""
    problem = ""
    if options.serl is None or options.python is None:
        problem = "no SERL to compare with: give --serl and --python"
    elif not (options.serl / "serl_launcher").is_dir():
        problem = f"--serl {options.serl}: no checkout of SERL, there is no serl_launcher in it"
    elif not os.access(options.python, os.X_OK):
        problem = f"--python {options.python}: no interpreter there"
    elif options.agentlace is not None and not (options.agentlace / "agentlace").is_dir():
        problem = f"--agentlace {options.agentlace}: no checkout of agentlace"
    if problem:
        print(f"{problem}\n\n{__doc__}", file=sys.stderr)
        sys.exit(2)


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Environment variables of a process of SERL's."""
    paths = [options.serl / "serl_launcher", options.serl / "franka_sim"]
    if options.agentlace is not None:
        paths.append(options.agentlace)
    path = os.pathsep.join(str(path.resolve()) for path in paths)
    return {**_ENVIRONMENT, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}


class Peer:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        """Of a process that was started with pipes; its standard error is `log`."""
        self._process = process
        self._log = log

    def ask(self, do: str, **values: Any) -> Any:
        """Sends a request and waits for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """The next answer; exits with 2 when SERL's side ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            tail = "\n".join(self._log.read_text().splitlines()[-15:])
            print(f"SERL's side ended, its last words:\n{tail}", file=sys.stderr)
            sys.exit(2)
        return json.loads(line)

    def run(self, calls: int) -> Cost:
        """What so many calls take there."""
        return Cost(**self.ask("run", calls=calls))


@contextlib.contextmanager
def peer(
    options: argparse.Namespace, scenario: str, home: Path | None = None, **values: Any
) -> Iterator[Peer]:
    """Starts a driver with a scenario and its options, and ends it.

    Args:
        options: Of the command line.
        scenario: What the driver does.
        home: In place of the home directory, where SERL keeps pretrained weights.
        values: Options of the driver.
    """
    # Not resolved: a virtual environment's interpreter is a link, and its place is what counts.
    command = [str(options.python.absolute()), str(DRIVER), scenario]
    for name, value in values.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**environment(options), **({"HOME": str(home)} if home else {})},
            )
        other = Peer(process, log)
        try:
            other.answer()
            yield other
        finally:
            process.kill()
            process.wait()


def timed(call: Callable[[], object], calls: int) -> Cost:
    """What so many calls take here."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for _ in range(calls):
        call()
    return Cost(time.process_time() - cpu_s, time.perf_counter() - wall_s)


def compare(
    name: str,
    ours: Callable[[int], Cost],
    theirs: Callable[[int], Cost],
    calls: tuple[int, int],
    rounds: int,
) -> float:
    """Prints medians of both sides, which take turns, and returns the ratio of CPU times.

    Args:
        name: What a call is.
        ours: Makes so many calls.
        theirs: The same at SERL's.
        calls: Calls per turn, ours and theirs.
        rounds: Turns of each.
    """
    turns = [(ours(calls[0]), theirs(calls[1])) for _ in range(rounds)]
    ms = [
        [[1e3 * value / count for value in turn[side]] for turn in turns]
        for side, count in enumerate(calls)
    ]
    (our_cpu, our_wall), (their_cpu, their_wall) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in ms
    )
    print(f"{name}: medians of {rounds} turns")
    print(f"  SERL    {their_cpu:10.3f} ms CPU {their_wall:10.3f} ms wall")
    print(f"  serlds  {our_cpu:10.3f} ms CPU {our_wall:10.3f} ms wall")
    print(f"  ratio   {their_cpu / our_cpu:10.2f}     {their_wall / our_wall:12.2f}", flush=True)
    return their_cpu / our_cpu
