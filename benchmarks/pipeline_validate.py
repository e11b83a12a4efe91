"""Validate against reading the same dataset with TFDS in one process.

    python benchmarks/pipeline_validate.py

Checks that need headers only are compared with a TFDS read that leaves images encoded, and with the
plain read that decodes them; checks of all pixels with the read that decodes. Every read goes
through all steps of all episodes. `validate` has all cores, as it has by default; TFDS has what
tf.data takes. Imports are not counted. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pipeline_data as data

HEADERS_BOUND = 3.0
PIXELS_BOUND = 1.0


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    options = data.arguments(__doc__).parse_args()
    size = data.size_of(options)
    source = data.dataset(options.scratch, size)
    print(f"{size.episodes} episodes of {size.steps} actions, {data.size_mb(source):.0f} MB")
    steps = size.episodes * (size.steps + 1)
    runs = {
        f"validate --images {kind}": _validating(source, kind) for kind in ("headers", "sampled")
    }
    runs |= {
        "TFDS read, images decoded": lambda: _read(source, decode=True),
        "TFDS read, images left encoded": lambda: _read(source, decode=False),
        "validate --images all": _validating(source, "all"),
    }
    costs = data.measure_in_turns(runs, max(1, options.repeats // 2))
    for name, cost in costs.items():
        data.report(name, cost, steps)
    read = costs["TFDS read, images decoded"].wall_s
    headers = read / costs["validate --images headers"].wall_s
    undecoded = costs["TFDS read, images left encoded"].wall_s
    pixels = read / costs["validate --images all"].wall_s
    kept = [
        data.verdict("headers only, times the TFDS read", headers, HEADERS_BOUND),
        data.verdict("all pixels, times the TFDS read", pixels, PIXELS_BOUND),
    ]
    ratio = undecoded / costs["validate --images headers"].wall_s
    print(f"headers only, times a TFDS read that decodes nothing: {ratio:.2f}")
    return 0 if all(kept) else 1


def _validating(source: Path, images: str):
    from serlds.pipelines.checks.options import CheckOptions
    from serlds.pipelines.validate import validate

    return lambda: validate(source, checks=CheckOptions(images=images))


def _read(source: Path, decode: bool) -> int:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(source))
    decoders = None
    if not decode:
        cameras = builder.info.features["steps"]["observation"]["image"]
        skip = {name: tfds.decode.SkipDecoding() for name in cameras}
        decoders = {"steps": {"observation": {"image": skip}}}
    dataset = builder.as_dataset(split="train", decoders=decoders)
    return sum(1 for episode in dataset for _ in episode["steps"])


if __name__ == "__main__":
    sys.exit(main())
