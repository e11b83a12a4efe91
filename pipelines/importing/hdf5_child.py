"""A process that reads HDF5 files for `hdf5`, started with `python -m`.

The HDF5 library can crash on a damaged file, and then only this process dies. Requests are
lines of JSON on standard input; an answer on standard output is the length of its JSON, the JSON,
and the bytes of the arrays that it describes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .hdf5 import LENGTH

# What deflate, the strongest of the usual filters, can make of one byte.
_MOST_EXPANSION = 1100
_SLACK_BYTES = 4096
_GROUPS = ("", "obs", "next_obs")


def main() -> None:
    """Answers requests until standard input ends."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout.buffer
    for line in sys.stdin.buffer:
        request = json.loads(line)
        arrays: list[np.ndarray] = []
        try:
            with h5py.File(request["path"], "r") as file:
                if request["do"] == "describe":
                    answer = _describe(file)
                else:
                    answer, arrays = _read(file, request)
        except Exception as error:  # the library raises many kinds on a damaged file
            answer, arrays = {"error": f"{type(error).__name__}: {error!s:.300}"}, []
        text = json.dumps(answer).encode()
        answers.write(LENGTH.pack(len(text)) + text)
        for array in arrays:
            answers.write(memoryview(array).cast("B") if array.size else b"")
        answers.flush()


def _describe(file: h5py.File) -> dict[str, Any]:
    data = _group(file, "data")
    demos = {}
    for name in data:
        demo = _group(data, name)
        fields: dict[str, Any] = {}
        for prefix in _GROUPS:
            if prefix and prefix not in demo:
                continue
            group = _group(demo, prefix) if prefix else demo
            for key in group:
                if isinstance(group.get(key, getlink=True), h5py.HardLink):
                    child = group[key]
                    if isinstance(child, h5py.Dataset):
                        path = f"{prefix}/{key}" if prefix else key
                        fields[path] = [child.dtype.str, list(child.shape or ())]
        demos[name] = {"fields": fields, "attributes": _attributes(demo)}
    masks = {}
    if "mask" in file:
        group = _group(file, "mask")
        masks = {name: [_text(item) for item in _checked(group, name)[()]] for name in group}
    return {"demos": demos, "masks": masks, "attributes": _attributes(data)}


def _read(file: h5py.File, request: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    demo = _group(_group(file, "data"), request["demo"])
    arrays, described = [], []
    for path, rows in request["fields"]:
        group, _, key = path.rpartition("/")
        dataset = _checked(_group(demo, group) if group else demo, key)
        if dataset.dtype.kind not in "biuf":
            raise ValueError(f"{path}: {dataset.dtype} is not numeric")
        values = dataset[-1:] if rows == "last" else dataset[()]
        array = np.ascontiguousarray(values)
        arrays.append(array)
        described.append([path, array.dtype.str, list(array.shape), array.nbytes])
    return {"arrays": described}, arrays


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    link = parent.get(name, getlink=True)
    if link is None or not isinstance(link, h5py.HardLink):
        raise ValueError(f"{parent.name}: there is no group {name!r} in this file")
    child = parent[name]
    if not isinstance(child, h5py.Group):
        raise ValueError(f"{child.name}: a group is expected")
    return child


def _checked(parent: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset whose values are in this file and not many times larger than what is stored."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{parent.name}/{name}: there is no such dataset in this file")
    dataset = parent[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"{dataset.name}: its values are not stored in this file")
    size = Path(parent.file.filename).stat().st_size
    stored = dataset.id.get_storage_size()
    if stored > size or dataset.nbytes > _MOST_EXPANSION * stored + _SLACK_BYTES:
        raise ValueError(
            f"{dataset.name}: claims {dataset.nbytes} bytes of values, of which {stored} are stored"
        )
    return dataset


def _attributes(item: h5py.Group) -> dict[str, str | int | float]:
    found: dict[str, str | int | float] = {}
    for name in ("env_args", "problem_info", "ep_meta", "num_samples"):
        if name in item.attrs:
            value = item.attrs[name]
            if isinstance(value, str | bytes):
                found[name] = _text(value)[: 2**20]
            elif isinstance(value, np.integer):
                found[name] = int(value)
    return found


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
