"""Reads an RT-X export with robotdataset, as TorchRL tensors: DIRECTORY OUT.npz.

It only knows the datasets of a public bucket; its list of them is given one more.
"""

import importlib.metadata
import sys
import tempfile

import numpy as np
import robotdataset.oxe_dataset as oxe

directory, out = sys.argv[1:]
oxe._DATASET_CACHE = {"exported": {"1.0.0": directory}}
with tempfile.TemporaryDirectory() as root:
    dataset = oxe.OXEDataset("exported", root=root, load_str_fields=True)
    steps = dataset._storage.get(slice(None)) if hasattr(dataset, "_storage") else dataset[:]
    numbers = steps["collector", "episode_id"].numpy().reshape(-1)
    seen: dict[str, list] = {}
    for row, number in enumerate(numbers):
        step = steps[row]
        image = step["observation", "image"].numpy()
        for name, value in {
            "action": step["action"].numpy(),
            "state": step["observation", "state"].numpy(),
            "image": image.transpose(1, 2, 0) if image.shape[0] == 3 else image,
            "reward": float(step["next", "reward"]),
            "last": bool(step["done"]),
        }.items():
            seen.setdefault(f"{name}/{number}", []).append(value)
    assert "serlds" not in sys.modules
    print("robotdataset", importlib.metadata.version("robotdataset"))
    np.savez(out, **seen)
