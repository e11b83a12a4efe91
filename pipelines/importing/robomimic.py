"""`serlds import robomimic`: HDF5 files in the form of robomimic.

The structure is that of robomimic's documentation (docs/datasets/overview.md, "Dataset Structure")
and of what its robomimic/scripts/dataset_states_to_obs.py writes; read in
ARISE-Initiative/robomimic d309eae. Also taken: the language instruction where robocasa (`ep_meta`)
and LIBERO (`problem_info`) put it, and the physical scale of robosuite's `OSC_POSE` actions.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import DamagedDatasetError
from ...datasets.schema import Field, Schema
from ..engine.parts import RecordRef
from ..findings import Finding
from .actions import check_gripper, settle_gripper
from .hdf5 import Demo, DemoFile, reader
from .observations import Shapes, bad, layout_of, to_float32
from .options import EpisodeFacts, TransitionOptions
from .plan import ImportPlan, finding_at, natural, source_files
from .trajectory import EpisodeFrame, Trajectory

_OBS, _NEXT = "obs/", "next_obs/"
_ACTIONS, _REWARDS, _DONES = "actions", "rewards", "dones"
# What robomimic calls `valid`, readers of RLDS look for under `val`.
_SPLITS = {"train": "train", "valid": "val"}


@dataclasses.dataclass(frozen=True)
class RobomimicSource:
    """The demos of HDF5 files; see `EpisodeSource`.

    Attributes:
      frame: what they have in common.
      options: how transitions become episodes.
      names: names of the groups in each file, in order.
      instructions: of each group, in each file.
    """

    frame: EpisodeFrame
    options: TransitionOptions
    names: Mapping[str, tuple[str, ...]]
    instructions: Mapping[str, tuple[str, ...]]

    @property
    def schema(self) -> Schema:
        return self.frame.schema

    def load(self, ref: RecordRef) -> Episode | Finding:
        """The episode of a demo, or what is wrong with it and where."""
        name = self.names[ref.file][ref.record]
        try:
            trajectory = self._trajectory(Path(ref.file), name, ref.record)
            return self.frame.episode(trajectory, Path(ref.file).stem, ref.record)
        except Exception as error:  # a file may hold anything: one bad episode must not end a run
            return finding_at(error, ref, f"data/{name}")

    def _trajectory(self, path: Path, name: str, index: int) -> Trajectory:
        wanted = [image.key for image in self.frame.layout.images]
        wanted += [state.key for state in self.frame.layout.states]
        demo = _description(path).demos[name]
        self.frame.layout.check_keys(_shapes(demo))
        after = {key: f"{_NEXT}{key}" for key in wanted if f"{_NEXT}{key}" in demo.fields}
        fields = [(name, "all") for name in (_ACTIONS, _REWARDS, _DONES)]
        fields += [(_OBS + key, "all") for key in wanted]
        fields += [(path, "last") for path in after.values()]
        arrays = reader.read(path, name, fields)
        count = _count(arrays)
        observations = {
            # Without next observations the last one stands in for what followed it.
            key: [
                *arrays[_OBS + key],
                arrays[after[key]][-1] if key in after else arrays[_OBS + key][-1],
            ]
            for key in wanted
        }
        rewards = to_float32(arrays[_REWARDS].reshape(count))
        success = bool(rewards[-1] >= self.options.success_reward)
        done = bool(arrays[_DONES].reshape(count)[-1])
        teleoperated = self.frame.collector == "teleop"
        return Trajectory(
            observations=observations,
            actions=_actions(arrays[_ACTIONS], self.frame.action, self.options),
            rewards=rewards,
            terminal=done if self.options.terminal == "recorded" else success,
            success=success,
            intervened=np.full(count, teleoperated),
            instruction=self.instructions[str(path)][index],
        )


def plan_robomimic(
    source: str | Path, facts: EpisodeFacts, options: TransitionOptions
) -> ImportPlan:
    """What to import from an HDF5 file, or from all `*.hdf5` and `*.h5` files of a directory.

    Raises:
      DatasetNotFoundError, UsageError: there is no such file, or an option does not fit it.
      DamagedDatasetError: a file is no HDF5 of demonstrations, or damaged.
      SchemaError: the observations cannot be stored.
    """
    files = source_files(source, (".hdf5", ".h5"))
    described = {str(path): _description(path) for path in files}
    names = {file: tuple(sorted(one.demos, key=natural)) for file, one in described.items()}
    by_split: dict[str, list[RecordRef]] = {}
    for file, one in described.items():
        for index, name in enumerate(names[file]):
            ref = RecordRef(file, index, index, max(1, _bytes(one.demos[name])))
            by_split.setdefault(_split_of(name, one.masks), []).append(ref)
    if not by_split:
        raise DamagedDatasetError(f"{files[0]}: there is no demo in its group `data`")
    first = described[str(files[0])]
    environment = _json(first.attributes.get("env_args"))
    frame = _frame(described, environment, files[0], facts, options)
    demos = [demo for one in described.values() for demo in one.demos.values()]
    instructions = {
        file: tuple(facts.instruction or _instruction(one, one.demos[name]) for name in names[file])
        for file, one in described.items()
    }
    return ImportPlan(
        source=RobomimicSource(frame, options, names, instructions),
        by_split=dict(sorted(by_split.items(), key=lambda item: item[0] != "train")),
        files=files,
        notes=tuple(_notes(described, demos, frame, options)),
        env_id=frame.env_id,
        env_args=environment.get("env_kwargs") or {},
    )


def _description(path: Path) -> DemoFile:
    status = path.stat()
    return _kept_description(path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=8)
def _kept_description(path: Path, changed_ns: int, size: int, inode: int) -> DemoFile:
    return reader.describe(path)


def _frame(
    described: Mapping[str, DemoFile],
    environment: Mapping[str, Any],
    path: Path,
    facts: EpisodeFacts,
    options: TransitionOptions,
) -> EpisodeFrame:
    seen = Counter(
        (tuple(sorted(_shapes(demo).items())), _action_size(demo))
        for one in described.values()
        for demo in one.demos.values()
        if _shapes(demo) and _action_size(demo)
    )
    if not seen:
        raise DamagedDatasetError(
            f"{path}: no demo has both `actions` and observations (`obs`); files of robosuite get "
            f"theirs with robomimic's dataset_states_to_obs.py"
        )
    (shapes, size), _ = seen.most_common(1)[0]
    layout = layout_of(
        dict(shapes),
        facts.image_encoding,
        str(path),
        state=options.state,
        only=options.observations,
        leave_out=options.leave_out,
    )
    arguments = environment.get("env_kwargs")
    arguments = arguments if isinstance(arguments, Mapping) else {}
    scale = options.action_scale or controller_scale(arguments, size)
    check_gripper(options.gripper, size)
    stored = size + (options.gripper in ("open", "closed"))
    scaled = dataclasses.replace(options, action_scale=scale)
    # robosuite closes the gripper with +1.
    gripper = "-1 open, +1 closed" if options.gripper == "recorded" else "+1 open, -1 closed"
    about = scaled.action_doc(stored, 1.0, "", "rotation vector", gripper)
    name = str(environment.get("env_name", ""))
    return EpisodeFrame(
        layout=layout,
        action=Field(keys.ACTION, "float32", (stored,), None, about),
        hz=facts.hz or _rate(arguments),
        task=facts.task or name or path.stem,
        env_id=name,
        robot=facts.robot or _robots(arguments),
        collector=facts.collector,
    )


def controller_scale(arguments: Mapping[str, Any], size: int) -> str:
    """The action scale of robosuite's `OSC_POSE` controller, one number per dimension, as text.

    Its `output_max` is what an input of 1 commands, in metres and radians
    (robosuite/controllers/config/default/parts/osc_pose.json). Empty where the controller is of
    another kind, takes absolute poses, or moves something other than one arm and its gripper.
    """
    configs = arguments.get("controller_configs")
    if not isinstance(configs, Mapping) or size not in (6, 7):
        return ""
    parts = configs.get("body_parts")
    arm = parts.get("right", {}) if isinstance(parts, Mapping) else configs
    if not isinstance(arm, Mapping) or arm.get("type") != "OSC_POSE":
        return ""
    if arm.get("control_delta", arm.get("input_type", "delta") == "delta") is not True:
        return ""
    largest = arm.get("output_max")
    if not isinstance(largest, list) or len(largest) != 6 or arm.get("input_max", 1) != 1:
        return ""
    numbers = [*largest, 1.0][:size]
    return ",".join(str(float(number)) for number in numbers)


def _shapes(demo: Demo) -> Shapes:
    return {
        path.removeprefix(_OBS): ("u1" if kind == np.uint8 else kind.kind, shape[1:])
        for path, (kind, shape) in demo.fields.items()
        if path.startswith(_OBS) and shape
    }


def _action_size(demo: Demo) -> int:
    _, shape = demo.fields.get(_ACTIONS, (None, ()))
    return shape[1] if len(shape) == 2 else 0


def _bytes(demo: Demo) -> int:
    return sum(
        int(np.prod(shape, dtype=np.float64)) * kind.itemsize
        for path, (kind, shape) in demo.fields.items()
        if path.startswith(_OBS)
    )


def _count(arrays: Mapping[str, np.ndarray]) -> int:
    count = len(arrays[_ACTIONS]) if arrays[_ACTIONS].ndim else 0
    if not count:
        raise bad("there is no action", None, _ACTIONS)
    for path, array in arrays.items():
        single = path in (_REWARDS, _DONES)
        wrong = array.size != count if single else not array.ndim or not len(array)
        short = path.startswith(_OBS) and array.ndim and len(array) != count
        if wrong or short:
            raise bad(
                "has another number of rows than `actions`",
                None,
                path,
                expected=str(count),
                found=str(array.shape),
            )
    return count


def _actions(values: np.ndarray, declared: Field, options: TransitionOptions) -> np.ndarray:
    expected = declared.shape[0] - (options.gripper in ("open", "closed"))
    if values.ndim != 2 or values.shape[1] != expected:
        found = str(values.shape)
        raise bad(
            "are not like the others", None, _ACTIONS, expected=f"(N, {expected})", found=found
        )
    return settle_gripper(to_float32(values), options.gripper)


def _split_of(name: str, masks: Mapping[str, Sequence[str]]) -> str:
    return next((split for mask, split in _SPLITS.items() if name in masks.get(mask, ())), "train")


def _instruction(file: DemoFile, demo: Demo) -> str:
    own = _json(demo.attributes.get("ep_meta")).get("lang")
    shared = _json(file.attributes.get("problem_info")).get("language_instruction")
    text = own or shared or ""
    return " ".join(map(str, text)) if isinstance(text, list) else str(text)


def _json(text: Any) -> dict[str, Any]:
    try:
        values = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        values = {}
    return values if isinstance(values, dict) else {}


def _rate(arguments: Mapping[str, Any]) -> float | None:
    rate = arguments.get("control_freq")
    fits = isinstance(rate, int | float) and 0 < rate < 1e6
    return float(rate) if fits else None


def _robots(arguments: Mapping[str, Any]) -> str:
    robots = arguments.get("robots", "")
    return ", ".join(map(str, robots)) if isinstance(robots, list) else str(robots)


def _notes(
    described: Mapping[str, DemoFile],
    demos: Sequence[Demo],
    frame: EpisodeFrame,
    options: TransitionOptions,
) -> list[str]:
    notes = []
    repeated = sum(not any(path.startswith(_NEXT) for path in demo.fields) for demo in demos)
    if repeated:
        notes.append(
            f"{repeated} demo(s) have no next_obs; their last observation is repeated after the "
            f"last action"
        )
    outside = 0
    for one in described.values():
        split = {name for mask in _SPLITS for name in one.masks.get(mask, ())}
        outside += len(one.demos.keys() - split) if split else 0
    if outside:
        notes.append(f"{outside} demo(s) are in no mask; they went to the split train")
    if frame.hz is None:
        notes.append("the control rate is not known, so there are no time stamps; --hz gives it")
    if frame.action.about.scale and frame.action.shape == (7,) and options.gripper == "recorded":
        notes.append("robosuite closes the gripper with +1, and so do the actions as recorded")
    return notes
