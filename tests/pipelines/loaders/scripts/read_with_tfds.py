"""Reads an RT-X export with TensorFlow Datasets and rlds: DIRECTORY OUT.npz."""

import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

directory, out = sys.argv[1:]
path = Path(directory)
by_directory = tfds.builder_from_directory(directory)
by_name = tfds.builder(path.parent.name, data_dir=str(path.parents[1]))
assert by_name.info.splits["train"].num_examples == by_directory.info.splits["train"].num_examples
loaded = tfds.load(path.parent.name, data_dir=str(path.parents[1]), split="train")
seen: dict[str, list] = {}
for number, episode in enumerate(loaded):
    for step in episode["steps"].as_numpy_iterator():
        for name, value in {
            "action": step["action"],
            "state": step["observation"]["state"],
            "image": step["observation"]["image"],
            "language": step["language_instruction"].decode(),
            "reward": step["reward"],
            "last": step["is_last"],
        }.items():
            seen.setdefault(f"{name}/{number}", []).append(value)
assert "serlds" not in sys.modules
print("tensorflow-datasets", tfds.__version__, "numpy", np.__version__)
np.savez(out, **seen)
