"""What an episode costs as datasets grow: validate, convert and export of many small episodes.

    python benchmarks/pipeline_scale.py [--json FILE]

Each run is a process of its own with one worker, which first handles the smallest dataset so that
imports are not counted. Prints seconds, the peak of resident memory, and the slope between the
smallest and the largest: CPU time per episode, which 10 million episodes are multiplied with, and
memory per episode, which is what the launcher holds of each. Exit code 1 where the cost of an
episode grows by more than half from the second dataset to the largest.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import pipeline_data as data

COUNTS = (100, 1_000, 10_000)
VERBS = ("validate", "convert", "export rtx")
MOST_GROWTH = 1.5


def main() -> int:
    """Prints the figures; 1 when the cost of an episode grows."""
    parser = data.arguments(__doc__, steps=10, cameras=0)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--run", nargs=2, metavar=("VERB", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run_one(options, options.run[0], int(options.run[1]))
        return 0
    figures = [
        _in_process_of_its_own(options, verb, count) for verb in VERBS for count in options.counts
    ]
    print(f"episodes of {options.steps} actions, {options.cameras} cameras, one worker")
    print(f"{'':12s} episodes   wall s    CPU s  us CPU/episode  peak MB")
    for one in figures:
        each_us = 1e6 * one["cpu_s"] / one["episodes"]
        print(
            f"{one['verb']:12s} {one['episodes']:8d} {one['wall_s']:8.2f} {one['cpu_s']:8.2f} "
            f"{each_us:15.0f} {one['peak_mb']:8.0f}"
        )
    linear = [_slope([one for one in figures if one["verb"] == verb]) for verb in VERBS]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if all(linear) else 1


def _slope(figures: list[dict]) -> bool:
    """Prints what one more episode costs, and whether that stays the same."""
    first, *_, before, last = figures
    more = last["episodes"] - first["episodes"]
    cpu_us = 1e6 * (last["cpu_s"] - first["cpu_s"]) / more
    memory_kb = 1e3 * (last["peak_mb"] - first["peak_mb"]) / more
    growth = (last["cpu_s"] / last["episodes"]) / (before["cpu_s"] / before["episodes"])
    print(
        f"{last['verb']}: {cpu_us:.0f} us of CPU and {memory_kb:.2f} kB of memory for one more "
        f"episode; 10 million: {cpu_us / 360:.1f} core hours, {memory_kb * 10:.0f} GB"
    )
    return growth <= MOST_GROWTH


def _in_process_of_its_own(options: argparse.Namespace, verb: str, count: int) -> dict:
    for made in {options.counts[0], count}:
        data.dataset(options.scratch, data.size_of(options)._replace(episodes=made))
    command = [sys.executable, __file__, "--run", verb, str(count), "--counts"]
    command += [str(one) for one in options.counts]
    for name, value in data.size_of(options)._asdict().items():
        command += [f"--{name}", str(value)]
    command += ["--scratch", str(options.scratch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _run_one(options: argparse.Namespace, verb: str, count: int) -> None:
    size = data.size_of(options)
    small = data.dataset(options.scratch, size._replace(episodes=options.counts[0]))
    source = data.dataset(options.scratch, size._replace(episodes=count))
    target = options.scratch / "scale_out"
    data.remove(target)
    _run(verb, small, target)
    data.remove(target)
    cost = data.measure(lambda: _run(verb, source, target))
    data.remove(target)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"verb": verb, "episodes": count, "peak_mb": peak_mb, **cost._asdict()}))


def _run(verb: str, source: Path, target: Path) -> None:
    if verb == "validate":
        from serlds.pipelines.validate import validate

        validate(source, workers=1)
    elif verb == "convert":
        from serlds.pipelines.convert import convert

        convert(source, target, ["drop_field:path=intervened"], workers=1)
    else:
        from serlds.pipelines.rtx.export import export_rtx
        from serlds.pipelines.rtx.options import RtxOptions

        export_rtx(source, target, RtxOptions(), workers=1)


if __name__ == "__main__":
    sys.exit(main())
