"""Convert with images passed through, against a plain loop and against TFDS with Beam.

    python benchmarks/pipeline_convert.py

One worker renames a field, checks every episode and takes statistics. The plain loop reads, parses
and rewrites the same records with protobuf's Python classes, column by column, and neither checks
nor measures anything. A second one, for information, changes the name in the parsed message and
looks at no column at all.

The TFDS builder is what contributors to Open X-Embodiment write: a `GeneratorBasedBuilder` whose
Beam workers read episodes, decode their images and encode them again; it gets a tenth of the
episodes, because it is slow, and is compared per step. Imports are not counted; Beam's start of a
run is, in both that use it. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pipeline_data as data

PLAIN_BOUND = 0.6
BUILDER_BOUND = 15.0
_EPISODES_AT_ONCE = 10  # what a Beam worker reads in one go, as a file holds them
FIELD, RENAMED = "intervened", "driven_by_human"


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    options = data.arguments(__doc__).parse_args()
    size = data.size_of(options)
    source = data.dataset(options.scratch, size)
    sample_size = size._replace(episodes=max(1, size.episodes // 10))
    sample = data.dataset(options.scratch, sample_size)
    converted, plain, built = (options.scratch / name for name in ("converted", "plain", "built"))
    print(f"{size.episodes} episodes of {size.steps} actions, {data.size_mb(source):.0f} MB")
    steps = size.episodes * (size.steps + 1)
    costs = data.measure_in_turns(
        {
            "plain loop": lambda: _plain_loop(source, plain, _by_columns),
            "name changed": lambda: _plain_loop(source, plain, _in_place),
            "serlds convert": lambda: _convert(source, converted),
        },
        options.repeats,
        outputs=(converted, plain),
    )
    sample_steps = sample_size.episodes * (size.steps + 1)
    costs |= data.measure_in_turns(
        {"TFDS builder": lambda: _build(sample, built)}, repeats=1, outputs=(built,)
    )
    data.report("plain loop, column by column", costs["plain loop"], steps)
    data.report("plain loop that looks at no column", costs["name changed"], steps)
    data.report("serlds convert, one worker", costs["serlds convert"], steps)
    data.report("TFDS builder with Beam, decode and encode", costs["TFDS builder"], sample_steps)
    ours, loop, builder = (costs[name] for name in ("serlds convert", "plain loop", "TFDS builder"))
    share = steps / sample_steps
    kept = [
        data.verdict("CPU speed, of the plain loop's", loop.cpu_s / ours.cpu_s, PLAIN_BOUND),
        data.verdict(
            "CPU speed, times the builder's", builder.cpu_s * share / ours.cpu_s, BUILDER_BOUND
        ),
    ]
    bare = costs["name changed"].cpu_s / ours.cpu_s
    print(f"CPU speed, of that of the loop that looks at no column: {bare:.2f}")
    print(f"wall speed, of the plain loop's: {loop.wall_s / ours.wall_s:.2f}")
    print(f"wall speed, times the builder's: {builder.wall_s * share / ours.wall_s:.1f}")
    for directory in (converted, plain, built):
        data.remove(directory)
    return 0 if all(kept) else 1


def _convert(source: Path, target: Path) -> None:
    from serlds.pipelines.convert import convert

    convert(source, target, [f"rename_field:old={FIELD},new={RENAMED}"], workers=1)


def _plain_loop(source: Path, target: Path, rewrite: Callable[[Any], Any]) -> None:
    import google_crc32c
    from tensorflow_datasets.proto import tf_example_pb2

    def masked(content: bytes) -> bytes:
        crc = google_crc32c.value(content)
        return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    target.mkdir()
    for shard in sorted(source.glob("*.tfrecord*")):
        with shard.open("rb") as old, (target / shard.name).open("wb") as new:
            while head := old.read(12):
                payload = old.read(int.from_bytes(head[:8], "little"))
                if masked(head[:8]) != head[8:] or masked(payload) != old.read(4):
                    raise ValueError(f"{shard}: damaged")
                payload = rewrite(tf_example_pb2.Example.FromString(payload)).SerializeToString()
                length = len(payload).to_bytes(8, "little")
                new.write(length + masked(length) + payload + masked(payload))
            new.flush()
            os.fsync(new.fileno())


def _by_columns(example: Any) -> Any:
    """Each column taken out as an array or a list and put into a new message."""
    import numpy as np
    from tensorflow_datasets.proto import tf_example_pb2

    columns: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        if feature.HasField("bytes_list"):
            columns[name] = list(feature.bytes_list.value)
        elif feature.HasField("float_list"):
            columns[name] = np.array(feature.float_list.value, np.float32)
        else:
            columns[name] = np.array(feature.int64_list.value, np.int64)
    columns[f"steps/{RENAMED}"] = columns.pop(f"steps/{FIELD}")
    made = tf_example_pb2.Example()
    for name, values in columns.items():
        feature = made.features.feature[name]
        if isinstance(values, list):
            feature.bytes_list.value.extend(values)
        elif values.dtype == np.float32:
            feature.float_list.value.extend(values.tolist())
        else:
            feature.int64_list.value.extend(values.tolist())
    return made


def _in_place(example: Any) -> Any:
    """The parsed message with one name changed: no column is looked at."""
    columns = example.features.feature
    columns[f"steps/{RENAMED}"].CopyFrom(columns[f"steps/{FIELD}"])
    del columns[f"steps/{FIELD}"]
    return example


def _build(source: Path, target: Path) -> None:
    """The usual way: steps are decoded one by one, changed and given to TFDS to be encoded."""
    import apache_beam as beam
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict.from_config(str(source))
    steps = dict(features["steps"].feature)
    steps[RENAMED] = steps.pop(FIELD)

    with tfds.core.registered.skip_registration():

        class Made(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            pkg_dir_path = Path(__file__).parent

            def _info(self):
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(
                        {
                            "steps": tfds.features.Dataset(steps),
                            "episode_metadata": dict(features["episode_metadata"]),
                        }
                    )
                )

            def _split_generators(self, dl_manager):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                builder = tfds.builder_from_directory(str(source))
                count = builder.info.splits["train"].num_examples
                firsts = range(0, count, _EPISODES_AT_ONCE)
                return beam.Create(firsts) | beam.FlatMap(_episodes, str(source), count)

    target.mkdir()
    runner = beam.options.pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
    quiet = logging.getLogger()
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            Made(data_dir=str(target)).download_and_prepare(
                download_config=tfds.download.DownloadConfig(beam_options=runner)
            )
    finally:
        quiet.setLevel(level)


def _episodes(first: int, source: str, count: int) -> Iterator[tuple[str, dict]]:
    import tensorflow_datasets as tfds

    last = min(count, first + _EPISODES_AT_ONCE)
    builder = tfds.builder_from_directory(source)
    for index, episode in enumerate(builder.as_dataset(split=f"train[{first}:{last}]"), first):
        steps = []
        for step in tfds.as_numpy(episode["steps"]):
            step[RENAMED] = step.pop(FIELD)
            steps.append(step)
        metadata = {name: value.numpy() for name, value in episode["episode_metadata"].items()}
        yield str(index), {"steps": steps, "episode_metadata": metadata}


if __name__ == "__main__":
    sys.exit(main())
