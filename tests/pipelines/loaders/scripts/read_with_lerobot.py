"""Reads a LeRobot dataset with LeRobot itself: ROOT OUT.npz; see ../conftest.py for the content."""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import lerobot
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, out = sys.argv[1:]
dataset = LeRobotDataset("local/dataset", root=root, video_backend="pyav")
camera = next(key for key in dataset.meta.camera_keys if key.endswith("front"))
seen: dict[str, list] = {}
for index in range(len(dataset)):
    frame = dataset[index]
    episode = int(frame["episode_index"])
    assert int(frame["index"]) == index
    pixels = (frame[camera].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    for name, value in {
        "action": frame["action"].numpy(),
        "state": frame["observation.state"].numpy(),
        "image": pixels,
        "language": frame["task"],
        "reward": float(frame["next.reward"]),
        "last": bool(frame["next.done"]),
    }.items():
        seen.setdefault(f"{name}/{episode}", []).append(value)
# What training does: a window of frames and actions, and statistics to normalise by.
steps = {"action": [k / dataset.fps for k in range(4)], camera: [-1 / dataset.fps, 0]}
windows = LeRobotDataset("local/dataset", root=root, video_backend="pyav", delta_timestamps=steps)
assert windows[0]["action"].shape[0] == 4 and windows[1][camera].shape[0] == 2
stats = dataset.meta.stats
assert tuple(stats[camera]["mean"].shape) == (3, 1, 1)
seen["action_mean"] = stats["action"]["mean"]
seen["episodes"] = [dataset.meta.total_episodes]
assert "serlds" not in sys.modules
print("lerobot", lerobot.__version__)
np.savez(out, **seen)
