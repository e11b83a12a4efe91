"""What `serlds export policy` does: a directory that acts with Python and NumPy alone.

act.py       the forward pass and the loader: `envs/policy_forward.py` as it is
policy.npz   the weights, arrays by name, no pickle
policy.json  what goes in and comes out, with units; where the policy comes from
README.md    the same for a person
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import keys
from ..datasets.durable_files import write_durably
from ..datasets.errors import DatasetNotFoundError, SchemaError, UsageError
from ..datasets.provenance import utc_now_text
from ..datasets.reading import Dataset, open_dataset
from ..datasets.schema import Field
from ..envs import policy_forward
from .checkpoints import find_checkpoint, read_counters, read_policy
from .evaluation_results import Evaluation, newest_evaluation
from .policy import unpack_policy
from .run_directory import RunDirectory, RunRecord

FORMAT = "serlds policy 1"

_README = """# {algorithm} policy for {task}

Acts with Python 3.9 or later and NumPy alone:

```python
from act import ExportedPolicy

policy = ExportedPolicy.load(".")
policy.reset()  # when an episode begins
action = policy({{{names}}})  # {action_dim} numbers in [-1, 1], {rate}
```

| observation | shape | unit | frame | |
|---|---|---|---|---|
{rows}

Action: {action}

{evaluation}

`policy.json` says all of this for programs, with the datasets that it was trained on, the commit
and the versions. `policy.npz` holds no pickled objects.
"""


def export_policy(run: Path, destination: Path, checkpoint: str | None = None) -> Path:
    """Writes the policy of a run; the directory appears complete or not at all.

    Args:
        run: The run's directory.
        destination: Directory that does not exist yet.
        checkpoint: Number of updates of the checkpoint; by default the newest.

    Returns:
        The destination.

    Raises:
        UsageError: No such run or checkpoint, the destination exists, or neither the run's episodes
            nor its demonstrations are there to tell units and frames.
        DamagedDatasetError: The checkpoint cannot be read.
    """
    if destination.exists():
        raise UsageError(f"{destination}: exists already; give a directory that does not exist yet")
    directory = RunDirectory.open(run)
    record, found = directory.read_record(), find_checkpoint(directory.checkpoints, checkpoint)
    policy = unpack_policy(record.policy_spec, read_policy(found))
    spec = {
        **_interface(record, _recorded_with(directory, record)),
        "network": policy.spec.forward_options(),
        "open_loop": {"chunk": policy.spec.chunk, "executed": policy.spec.executed},
        "weights": {name: list(array.shape) for name, array in policy.weights.items()},
        **_origin(record, found, newest_evaluation(run, found)),
    }
    partial = destination.with_name(f".{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    np.savez(partial / "policy.npz", **policy.weights)
    write_durably(partial / "policy.json", (json.dumps(spec, indent=2) + "\n").encode())
    write_durably(partial / "README.md", _readme(spec).encode())
    shutil.copyfile(policy_forward.__file__, partial / "act.py")
    partial.rename(destination)
    return destination


def _recorded_with(directory: RunDirectory, record: RunRecord) -> Dataset:
    """A dataset of the run's task, whose schema tells units and frames."""
    paths = [str(directory.episodes.directory), *(item.path for item in record.datasets)]
    for path in paths:
        try:
            dataset = open_dataset(path)
        except DatasetNotFoundError:
            continue
        if dataset.num_episodes:
            return dataset
    raise UsageError(
        f"{directory.path}: the meaning and units of observation and action stand in the datasets "
        f"of the run, and none of them is there any more, with an episode: {', '.join(paths)}; "
        f"put one back"
    )


def _interface(record: RunRecord, dataset: Dataset) -> dict[str, Any]:
    schema, task = dataset.schema, record.task
    if missing := [path for path in task.state_fields if path not in schema]:
        raise SchemaError(
            f"{dataset.directory}: lacks {', '.join(missing)}, which the policy takes"
        )
    episode = dataset.episode(0)
    names = {path: path.removeprefix(keys.STATE_PREFIX) for path in task.state_fields}
    return {
        "format": FORMAT,
        "algorithm": record.run.algorithm,
        "task": record.run.env_id,
        "task_arguments": dict(record.run.env_args),
        "robot": episode.metadata.get(keys.ROBOT, ""),
        "language_instruction": str(episode[keys.LANGUAGE_INSTRUCTION][0]),
        "control_hz": episode.metadata.get(keys.CONTROL_HZ),
        "state": [{"name": name, **_field(schema[path])} for path, name in names.items()],
        "images": [{"name": c.name, "shape": list(c.shape)} for c in task.cameras],
        "normalisation": "(state - observation/mean) / observation/std, done by act.py",
        "action": {**_field(schema.action), "low": -1.0, "high": 1.0},
    }


def _field(field: Field) -> dict[str, Any]:
    return {"shape": list(field.shape), **dataclasses.asdict(field.about)}


def _origin(record: RunRecord, checkpoint: Path, evaluation: Evaluation | None) -> dict[str, Any]:
    counters = read_counters(checkpoint)
    return {
        "updates": counters.updates,
        "env_steps": counters.env_steps,
        "seed": record.run.seed,
        "datasets": [
            {"name": d.name, "version": d.version, "digest": d.digest, "episodes": d.episodes}
            for d in record.datasets
        ],
        "evaluation": evaluation and {
            "episodes": evaluation.episodes,
            "success_rate": evaluation.success_rate,
            "success_interval_95": list(evaluation.success_interval),
        },
        "commit": record.git_commit,
        "versions": dict(record.versions),
        "trained_utc": record.created_utc,
        "exported_utc": utc_now_text(),
    }  # fmt: skip


def _readme(spec: dict[str, Any]) -> str:
    rows = [
        f"| `{f['name']}` | {tuple(f['shape'])} | {f['unit']} | {f['frame']} | {f['doc']} |"
        for f in spec["state"]
    ]
    action, evaluation = spec["action"], spec["evaluation"]
    text = action["doc"] or "as the task takes it."
    if action["unit"]:
        text += f" Units: {action['unit']}."
    if action["scale"]:
        text += f" 1.0 stands for {', '.join(f'{x:g}' for x in action['scale'])}."
    if action["frame"]:
        text += f" Frame: {action['frame']}."
    result = "Not evaluated before it was exported."
    if evaluation:
        low, high = evaluation["success_interval_95"]
        result = (
            f"Success {evaluation['success_rate']:.0%} of {evaluation['episodes']} episodes, 95 % "
            f"interval {low:.0%} to {high:.0%}."
        )
    rate = f"{spec['control_hz']:g} times a second" if spec["control_hz"] else "at the task's rate"
    return _README.format(
        algorithm=spec["algorithm"].upper(),
        task=spec["task"],
        names=", ".join(f'"{f["name"]}": ...' for f in spec["state"]),
        action_dim=action["shape"][0],
        rate=rate,
        rows="\n".join(rows),
        action=text,
        evaluation=result,
    )
