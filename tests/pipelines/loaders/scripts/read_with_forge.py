"""Reads an RT-X export with forge-robotics: DIRECTORY OUT.npz."""

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
from forge.formats.rlds.reader import RLDSReader

directory, out = sys.argv[1:]
reader = RLDSReader()
assert reader.can_read(Path(directory))
seen: dict[str, list] = {}
for number, episode in enumerate(reader.read_episodes(Path(directory))):
    for frame in episode.frames():
        image = next(
            image for name, image in frame.images.items() if name.split("/")[-1] == "image"
        )
        for name, value in {
            "action": frame.action,
            "state": frame.state,
            "image": image.load(),
            "language": episode.language_instruction or "",
            "reward": frame.reward,
            "last": frame.is_last,
        }.items():
            seen.setdefault(f"{name}/{number}", []).append(value)
assert "serlds" not in sys.modules
print("forge-robotics", importlib.metadata.version("forge-robotics"))
np.savez(out, **seen)
