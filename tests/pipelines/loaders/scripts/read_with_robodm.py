"""Reads an RT-X export with the RLDS loader of robodm: DIRECTORY OUT.npz."""

import importlib.metadata
import sys

import numpy as np
from robodm.loader.rlds import RLDSLoader

directory, out = sys.argv[1:]
loader = RLDSLoader(directory, split="train", shuffling=False)
seen: dict[str, list] = {}
for number in range(len(loader)):
    for step in loader[number]:
        for name, value in {
            "action": step["action"],
            "state": step["observation"]["state"],
            "image": step["observation"]["image"],
            "language": bytes(step["language_instruction"].item()).decode(),
            "reward": step["reward"],
            "last": step["is_last"],
        }.items():
            seen.setdefault(f"{name}/{number}", []).append(value)
assert "serlds" not in sys.modules
print("robodm", importlib.metadata.version("robodm"))
np.savez(out, **seen)
