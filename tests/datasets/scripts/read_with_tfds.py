"""Reads a dataset with TensorFlow Datasets alone and prints what it holds as JSON."""

import json
import sys

import tensorflow_datasets as tfds

data_dir, name = sys.argv[1:]
episodes = []
for episode in tfds.load(name, data_dir=data_dir, split="train"):
    steps = list(episode["steps"].as_numpy_iterator())
    episodes.append(
        {
            "episode_id": episode["episode_metadata"]["episode_id"].numpy().decode(),
            "seed": int(episode["episode_metadata"]["seed"]),
            "instruction": steps[0]["language_instruction"].decode(),
            "actions": [step["action"].tolist() for step in steps],
            "frame_shapes": sorted({step["observation"]["image"]["front"].shape for step in steps}),
            "is_last": [bool(step["is_last"]) for step in steps],
        }
    )
assert "serlds" not in sys.modules
print(json.dumps(sorted(episodes, key=lambda episode: episode["episode_id"])))
