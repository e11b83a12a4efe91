"""Memory of a worker on one large episode: 2,000 steps, 3 cameras.

    python benchmarks/pipeline_memory.py

Converts (images passed through, fields renamed) and validates one, two and four such episodes with
one worker, each in a process of its own, and prints the peak of resident memory above that of the
same process after a run on a tiny dataset, as a multiple of the record's size. It must not grow
with the number of episodes. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pipeline_data as data

MOST_RECORDS = 4.0
MOST_GROWTH = 1.3
COUNTS = (1, 2, 4)


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    parser = data.arguments(__doc__, episodes=1, steps=2000, cameras=3)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run_one(options.run[0], *map(Path, options.run[1:]), options.scratch / "memory_out")
        return 0
    size = data.size_of(options)
    tiny = data.dataset(options.scratch, size._replace(episodes=1, steps=10))
    sources = {n: data.dataset(options.scratch, size._replace(episodes=n)) for n in COUNTS}
    record_mb = data.size_mb(sources[1])
    print(f"one record of {size.steps} actions and {size.cameras} cameras: {record_mb:.0f} MB")
    kept = True
    for verb in ("convert", "validate"):
        used = {n: _peak_mb(verb, tiny, source, options) for n, source in sources.items()}
        for count, peak_mb in used.items():
            print(f"{verb} {count} episode(s): {peak_mb:.0f} MB, {peak_mb / record_mb:.2f} records")
        most, growth = max(used.values()) / record_mb, used[COUNTS[-1]] / used[COUNTS[0]]
        ok = most <= MOST_RECORDS and growth <= MOST_GROWTH
        kept = kept and ok
        print(
            f"{verb}: {most:.2f} times the record (bound {MOST_RECORDS:g}); {COUNTS[-1]} episodes "
            f"take {growth:.2f} times what one takes (bound {MOST_GROWTH:g}): "
            f"{'ok' if ok else 'MISSED'}"
        )
    return 0 if kept else 1


def _peak_mb(verb: str, tiny: Path, source: Path, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--scratch", str(options.scratch)]
    command += ["--run", verb, str(tiny), str(source)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    before, after = json.loads(done.stdout.splitlines()[-1])
    return after - before


def _run_one(verb: str, tiny: Path, source: Path, target: Path) -> None:
    _run(verb, tiny, target)
    before = _resident_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, the peak
    _run(verb, source, target)
    print(json.dumps([before, _resident_mb("VmHWM")]))


def _run(verb: str, source: Path, target: Path) -> None:
    from serlds.pipelines.convert import convert
    from serlds.pipelines.validate import validate

    if verb == "validate":
        validate(source, workers=1)
    else:
        rename = ["rename_field:old=intervened,new=driven_by_human"]
        data.remove(target)
        convert(source, target, rename, workers=1)
        data.remove(target)


def _resident_mb(which: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1e3
    raise RuntimeError(f"/proc/self/status has no {which}")


if __name__ == "__main__":
    sys.exit(main())
