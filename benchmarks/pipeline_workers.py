"""Two worker processes against one, and decoding with resizing against all cores' bare rate.

    python benchmarks/pipeline_workers.py

The ceiling is what two independent processes that only compute get done in the time of one on this
machine; where two cores share a physical one it stays well below 2. What is cheap (images
passed through, validation) is measured on ten times the episodes: processes must pay for their
start. The bare rate is that of one process per core that decodes, resizes and encodes the same
images with Pillow and does nothing else, as JPEG and as PNG. Imports of the launching process are
not counted, the start of the other workers is. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

import pipeline_data as data

SPEEDUP_BOUND = 1.7
BARE_BOUND = 0.85
SMALLER = 64
LONGER = 10


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    parser = data.arguments(__doc__)
    parser.add_argument("--bare", nargs=4, help="used by the benchmark itself")
    options = parser.parse_args()
    if options.bare:
        source, encoding, share, shares = options.bare
        _bare(Path(source), encoding, int(share), int(shares))
        return 0
    size = data.size_of(options)
    source = data.dataset(options.scratch, size)
    long = data.dataset(options.scratch, size._replace(episodes=LONGER * size.episodes))
    print(f"{size.episodes} episodes of {size.steps} actions, {data.size_mb(source):.0f} MB")
    print(f"ceiling: two independent processes do {data.ceiling_of_two_processes():.2f} times one")
    repeats = max(1, options.repeats // 2)
    kept = [
        _two_against_one("pass", long, options, repeats),
        _two_against_one("validate", long, options, repeats),
        _two_against_one("resize", source, options, repeats),
    ]
    kept += [_against_bare(encoding, options, repeats) for encoding in ("jpeg", "png")]
    return 0 if all(kept) else 1


def _two_against_one(name: str, source: Path, options: argparse.Namespace, repeats: int) -> bool:
    target = options.scratch / "workers_out"
    costs = data.measure_in_turns(
        {
            f"{workers} worker(s)": lambda workers=workers: _work(name, source, target, workers)
            for workers in (1, 2)
        },
        repeats,
        outputs=(target,),
    )
    data.remove(target)
    one, two = costs.values()
    print(f"{name}: one worker {one.wall_s:.2f} s wall, two {two.wall_s:.2f} s")
    print(f"{name}: CPU of two, times that of one: {two.cpu_s / one.cpu_s:.2f}")
    return data.verdict(f"{name}: two workers, times one", one.wall_s / two.wall_s, SPEEDUP_BOUND)


def _work(name: str, source: Path, target: Path, workers: int | None) -> None:
    from serlds.pipelines.convert import convert
    from serlds.pipelines.validate import validate

    if name == "validate":
        validate(source, workers=workers)
        return
    resize = [f"resize_images:height={SMALLER},width={SMALLER}"]
    rename = ["rename_field:old=intervened,new=driven_by_human"]
    convert(source, target, rename if name == "pass" else resize, workers=workers)


def _against_bare(encoding: str, options: argparse.Namespace, repeats: int) -> bool:
    cores = len(os.sched_getaffinity(0))
    size = data.size_of(options)
    source, target = _encoded(encoding, options.scratch, size), options.scratch / "workers_out"

    def bare() -> None:
        command = [sys.executable, __file__, "--bare", str(source), encoding]
        started = [subprocess.Popen([*command, str(share), str(cores)]) for share in range(cores)]
        if any([process.wait() for process in started]):
            raise RuntimeError("a bare process failed")

    costs = data.measure_in_turns(
        {"bare": bare, "convert": lambda: _work("resize", source, target, None)},
        repeats,
        outputs=(target,),
    )
    data.remove(target)
    steps = size.episodes * (size.steps + 1)
    data.report(f"bare decode, resize, encode of {encoding}", costs["bare"], steps)
    data.report(f"convert with resize of {encoding}", costs["convert"], steps)
    print(f"{encoding}: the same in CPU time: {costs['bare'].cpu_s / costs['convert'].cpu_s:.2f}")
    claim = f"{encoding}: convert with resize, of the bare rate of {cores} core(s)"
    return data.verdict(claim, costs["bare"].wall_s / costs["convert"].wall_s, BARE_BOUND)


def _encoded(encoding: str, scratch: Path, size: data.Size) -> Path:
    from serlds.pipelines.convert import convert

    source = data.dataset(scratch, size)
    if encoding == "jpeg":
        return source
    target = source.with_name("2.0.0")
    if not target.is_dir():
        convert(source, target, [f"encode_images:encoding={encoding}"])
    return target


def _bare(source: Path, encoding: str, share: int, shares: int) -> None:
    """Every so many-th episode's images, decoded, resized and encoded again."""
    from PIL import Image

    from serlds.datasets.example_wire import parse_features
    from serlds.datasets.records import read_records

    settings = {"quality": 95, "subsampling": 0} if encoding == "jpeg" else {}
    records = (
        record for path in sorted(source.glob("*.tfrecord*")) for record in read_records(path)
    )
    for index, record in enumerate(records):
        if index % shares == share:
            for name, feature in parse_features(record).items():
                for encoded in feature.byte_strings() if "/image/" in name else ():
                    image = Image.open(io.BytesIO(encoded))
                    smaller = image.resize((SMALLER, SMALLER), Image.Resampling.LANCZOS)
                    smaller.save(io.BytesIO(), format=encoding, **settings)


if __name__ == "__main__":
    sys.exit(main())
