"""What `serlds quickstart` does: the whole loop once, through the verbs a person would type."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from .datasets.errors import SerldsError, UsageError

ENV_ID = "serlds/WidowXPickCube-v0"
EXPERT_NOISE = 0.5
"""Of the demonstrations: with it, cloning them alone fails in a third of the episodes or more."""
TIME_LIMIT = "max_steps=30"
"""3 s: the scripted expert without noise takes 1 s."""
DEMONSTRATIONS = 20
EVALUATION_EPISODES = 100
REQUIRED_SUCCESS = 0.95

_NEXT = """
Open {out}/report.html, then try:
  serlds inspect {out}/rlpd/episodes
  serlds train --resume {out}/rlpd --env-steps 20000
  serlds record serlds/WidowXPickCube-v0 data/rollouts --by policy --policy {out}/rlpd
  serlds train rlpd --help
"""


@dataclasses.dataclass(frozen=True)
class Phase:
    """One step of the loop: a name and the verb with its arguments."""

    name: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a person would type."""
        return shlex.join(("serlds", *self.arguments))


def plan(out: Path, seed: int) -> list[Phase]:
    """The phases of the quickstart, in order, all writing below `out`."""
    demos, data = str(out / "data/pick_cube_demos"), str(out / "data/pick_cube")
    bc, rlpd, rtx = str(out / "bc"), str(out / "rlpd"), str(out / "rtx/pick_cube_rtx")
    common = ("--demos", data, "--preset", "quickstart", "--seed", str(seed))
    evaluate = ("--episodes", str(EVALUATION_EPISODES), "--seed", str(10_000 + 1000 * seed))
    return [
        Phase("record demonstrations", (
            "record", ENV_ID, demos, "--by", "expert", "--expert-noise", str(EXPERT_NOISE),
            "--episodes", str(DEMONSTRATIONS), "--count", "successful", "--seed", str(1000 * seed),
            "--env-args", "object_state=true", TIME_LIMIT)),
        Phase("convert", ("convert", demos, data, "--apply", "only_successful", "drop_noops")),
        Phase("validate", ("validate", data)),
        Phase("statistics", ("stats", data)),
        Phase("train BC", ("train", "bc", *common, "--out", bc)),
        Phase("evaluate BC", ("eval", bc, *evaluate, "--video")),
        Phase("train RLPD", ("train", "rlpd", *common, "--out", rlpd)),
        Phase("evaluate RLPD", ("eval", rlpd, *evaluate, "--video")),
        Phase("validate online episodes", ("validate", str(out / "rlpd/episodes"))),
        Phase("export RT-X", ("export", "rtx", data, rtx)),
        Phase("report", (
            "report", rlpd, "--baseline", bc, "--datasets", rtx,
            "--timing", str(out / "timing.json"), "--out", str(out / "report.html"))),
    ]  # fmt: skip


def run_quickstart(out: Path | None, seed: int) -> int:
    """Runs every phase; returns 0 when RLPD reached the required success, else 1.

    Raises:
      UsageError: `out` exists already.
      SerldsError: a phase failed.
    """
    out = out or Path("serlds-runs") / f"quickstart-{datetime.now():%Y%m%d-%H%M%S}"
    if out.exists():
        raise UsageError(f"{out} exists already; give --out a directory that does not exist yet")
    out.mkdir(parents=True)
    phases = plan(out, seed)
    timings: dict[str, float] = {}
    for number, phase in enumerate(phases, 1):
        print(f"\n[{number}/{len(phases)}] {phase.name}\n$ {phase.command}", flush=True)
        start_s = time.monotonic()
        if code := _run_verb(phase.arguments):
            raise SerldsError(
                f"quickstart stopped: {phase.name!r} ended with exit code {code}, see above; what "
                f"was made so far is in {out}"
            )
        timings[phase.name] = round(time.monotonic() - start_s, 2)
        (out / "timing.json").write_text(json.dumps(timings, indent=2) + "\n")
    return _conclude(out, timings)


def _run_verb(arguments: tuple[str, ...]) -> int:
    """Runs a verb in a process of its own and waits for it, also while it ends after Ctrl-C."""
    verb = subprocess.Popen([sys.executable, "-m", "serlds.cli", *arguments])
    try:
        return verb.wait()
    except KeyboardInterrupt:
        verb.wait()  # the terminal has sent Ctrl-C to the verb as well
        raise


def _conclude(out: Path, timings: dict[str, float]) -> int:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("phase", Column("wall time", justify="right"), box=None)
    for name, seconds in (*timings.items(), ("all", sum(timings.values()))):
        table.add_row(name, f"{seconds:.1f} s")
    console = Console()
    console.print("\n", table)
    rlpd, bc = _success(out / "rlpd"), _success(out / "bc")
    reached = rlpd >= REQUIRED_SUCCESS
    console.print(
        f"\nSuccess over {EVALUATION_EPISODES} fresh episodes, from {DEMONSTRATIONS} "
        f"demonstrations: RLPD {rlpd:.0%}, behaviour cloning {bc:.0%}.",
        soft_wrap=True,
    )
    if not reached:
        console.print(f"[red]RLPD was to reach {REQUIRED_SUCCESS:.0%}.[/] See {out}/report.html")
        return 1
    console.print(_NEXT.format(out=out), highlight=False, soft_wrap=True)
    return 0


def _success(run: Path) -> float:
    """Success of the newest evaluation of a run."""
    newest = max((run / "evals").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return float(json.loads(newest.read_text())["success_rate"])
