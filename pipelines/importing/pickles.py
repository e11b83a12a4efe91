"""`serlds import serl` and `import hil-serl`: pickled demonstrations.

What the files hold is described in `transitions`; what it means is read in rail-berkeley/serl and
rail-berkeley/hil-serl: a mask of 0 says that nothing follows, frames are stacked on a leading axis
of which the last is the newest (serl_launcher/wrappers/chunking.py), and HIL-SERL's `infos` say
whether the operator drove (`intervene_action`) and succeeded (`succeed`).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.errors import DamagedDatasetError, SchemaError
from ...datasets.schema import Field, Schema
from ..engine.parts import RecordRef
from ..findings import Finding
from .actions import check_gripper, fit, fit_factor, settle_gripper
from .observations import as_numbers, bad, layout_of, leaves, shapes_of, to_float32
from .options import EpisodeFacts, TransitionOptions
from .plan import ImportPlan, finding_at, source_files
from .safe_pickle import load_plain_pickle
from .trajectory import GRASP_PENALTY, EpisodeFrame, Trajectory
from .transitions import (
    ACTIONS,
    DONES,
    INFOS,
    MASKS,
    NEXT_OBSERVATIONS,
    OBSERVATIONS,
    REWARDS,
    Segment,
    flag,
    named_values,
    one_number,
    segments,
)

SERL_HZ = 10.0
"""`FrankaEnv(hz=10)` in both repositories."""

SERL_ROTATION = "Euler angles about the fixed axes x, y, z"
"""`Rotation.from_euler("xyz", ...)` in `FrankaEnv.step` of both repositories."""

_EXTRAS = (GRASP_PENALTY, "labels")
_SPLIT = keys.SPLIT
# Pickles are not compressed: what an array holds is in the file, shared at most a few times.
_MOST_SHARING, _SLACK_BYTES = 16, 2**20
_STAMP = re.compile(r"(_\d+)?_demos.*$|_\d{4}-\d\d-\d\d.*$")


@dataclasses.dataclass(frozen=True)
class PickleSource:
    """The episodes of pickled transitions; see `EpisodeSource`.

    Attributes:
      frame: what they have in common.
      options: how transitions become episodes.
      instruction: of all of them.
      factor: what actions are divided by: see `actions.fit`.
    """

    frame: EpisodeFrame
    options: TransitionOptions
    instruction: str
    factor: float

    @property
    def schema(self) -> Schema:
        return self.frame.schema

    def load(self, ref: RecordRef) -> Episode | Finding:
        """The episode of a segment, or what is wrong with it and where."""
        try:
            segment = open_segments(Path(ref.file))[ref.record]
            trajectory = self._trajectory(segment)
            return self.frame.episode(trajectory, Path(ref.file).stem, ref.record)
        except Exception as error:  # a file may hold anything: one bad episode must not end a run
            first = f"transition {ref.offset} of the file onwards"
            return finding_at(error, ref, first)

    def _trajectory(self, segment: Segment) -> Trajectory:
        named = [named_values(one, step) for step, one in enumerate(segment.transitions)]
        last = named[-1]
        observations = [newest(leaves(one[OBSERVATIONS], step)) for step, one in enumerate(named)]
        after = last.get(NEXT_OBSERVATIONS)
        # Without one, the last observation stands in for what followed it.
        observations.append(
            newest(leaves(after, len(named))) if after is not None else observations[-1]
        )
        self.frame.layout.check_keys(observations[0])
        rewards = np.array([one_number(one[REWARDS], t, REWARDS) for t, one in enumerate(named)])
        success = _succeeded(last, rewards[-1], self.options.success_reward, len(named) - 1)
        terminal = _terminal(named) if self.options.terminal == "recorded" else success
        actions = _actions(named, self.frame.action, self.options)
        return Trajectory(
            observations=_by_key(observations),
            actions=fit(actions, self.factor),
            rewards=to_float32(rewards),
            terminal=terminal,
            success=success,
            intervened=np.array([_intervened(one, self.frame.collector) for one in named]),
            instruction=self.instruction,
            extras={name: _extra(named, name) for name in self.frame.extras},
        )


def plan_pickles(source: str | Path, facts: EpisodeFacts, options: TransitionOptions) -> ImportPlan:
    """What to import from a file of demonstrations, or from all `*.pkl` files of a directory.

    Raises:
      DatasetNotFoundError, UsageError: there is no such file, or an option does not fit it.
      UnsafePickleError, DamagedDatasetError: a file cannot be read.
      SchemaError: the observations cannot be stored.
    """
    files = source_files(source, (".pkl", ".pickle"))
    refs: list[RecordRef] = []
    surveys: list[_Survey] = []
    for path in files:
        found = open_segments(path)
        surveyed = [_survey(segment, options.success_reward) for segment in found]
        _check_sharing(path, surveyed)
        refs += [
            RecordRef(str(path), index, segment.first, max(1, one.size))
            for index, (segment, one) in enumerate(zip(found, surveyed, strict=True))
        ]
        surveys += surveyed
    frame, factor = _frame(files, surveys, facts, options)
    return ImportPlan(
        source=PickleSource(frame, options, facts.instruction, factor),
        by_split={_SPLIT: refs},
        files=files,
        notes=tuple(_notes(surveys, options, factor)),
    )


def open_segments(path: Path) -> list[Segment]:
    """The episodes of a file; the last file that was read is kept.

    Raises:
      UnsafePickleError, DamagedDatasetError, DatasetNotFoundError: it cannot be read.
    """
    if not path.is_file():
        return segments(load_plain_pickle(path), str(path))
    status = path.stat()
    return _kept_segments(path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=1)
def _kept_segments(path: Path, changed_ns: int, size: int, inode: int) -> list[Segment]:
    try:
        return segments(load_plain_pickle(path), str(path))
    except (RecursionError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        raise DamagedDatasetError(
            f"{path}: it does not hold transitions: {type(error).__name__}: {error!s:.200}"
        ) from error


def newest(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The observation without the axis of stacked frames, of which the last is the newest."""
    stacks = {a.shape[0] for a in values.values() if a.dtype == np.uint8 and a.ndim == 4}
    if not stacks and all(array.ndim >= 2 and array.shape[0] == 1 for array in values.values()):
        stacks = {1}
    return {
        key: array[-1] if array.ndim >= 2 and array.shape[0] in stacks and array.size else array
        for key, array in values.items()
    }


@dataclasses.dataclass(frozen=True)
class _Survey:
    """What the launcher sees of an episode."""

    shapes: tuple[tuple[str, tuple[str, tuple[int, ...]]], ...] | None
    action_size: int
    largest: float
    size: int
    extras: frozenset[str]
    broken_off: bool
    has_next: bool
    ends_without_success: bool


def _survey(segment: Segment, enough: float) -> _Survey:
    try:
        return _look(segment, enough)
    except Exception:  # said when the episode is read
        return _Survey(None, 0, 0.0, 1, frozenset(), False, True, False)


def _look(segment: Segment, enough: float = 0.0) -> _Survey:
    named = [named_values(one, step) for step, one in enumerate(segment.transitions)]
    values = newest(leaves(named[0][OBSERVATIONS], 0))
    raw = [as_numbers(one[ACTIONS], step, ACTIONS) for step, one in enumerate(named)]
    last = len(named) - 1
    success = _succeeded(named[-1], one_number(named[-1][REWARDS], last, REWARDS), enough, last)
    return _Survey(
        shapes=tuple(sorted(shapes_of(values).items())),
        action_size=raw[0].size,
        largest=max(_largest(action) for action in raw),
        size=(len(named) + 1) * sum(array.nbytes for array in values.values()),
        extras=frozenset(name for name in _EXTRAS if _raw_extra(named[0], name) is not None),
        broken_off=segment.broken_off,
        has_next=named[-1].get(NEXT_OBSERVATIONS) is not None,
        ends_without_success=not success and _terminal(named),
    )


def _largest(action: np.ndarray) -> float:
    displacement = action.ravel()
    if displacement.size % 7 == 0:
        displacement = displacement.reshape(-1, 7)[:, :6].ravel()
    finite = displacement[np.isfinite(displacement)]
    return float(np.abs(finite).max(initial=0.0))


def _check_sharing(path: Path, surveys: Sequence[_Survey]) -> None:
    claimed, held = sum(one.size for one in surveys), path.stat().st_size
    if claimed > _MOST_SHARING * held + _SLACK_BYTES:
        raise DamagedDatasetError(
            f"{path}: its transitions amount to {claimed} bytes of observations, but the file has "
            f"{held}: the same arrays are repeated over and over"
        )


def _frame(
    files: Sequence[Path],
    surveys: Sequence[_Survey],
    facts: EpisodeFacts,
    options: TransitionOptions,
) -> tuple[EpisodeFrame, float]:
    seen = Counter((one.shapes, one.action_size) for one in surveys if one.shapes is not None)
    if not seen:
        first = _why_none(files[0])
        raise DamagedDatasetError(
            f"{files[0]}: no episode of it can be read; the first one: {first}"
        )
    (shapes, size), _ = seen.most_common(1)[0]
    alike = [one for one in surveys if (one.shapes, one.action_size) == (shapes, size)]
    layout = layout_of(
        dict(shapes or ()),
        facts.image_encoding,
        str(files[0]),
        state=options.state,
        only=options.observations,
        leave_out=options.leave_out,
    )
    if not size:
        raise SchemaError(f"{files[0]}: the actions are empty")
    check_gripper(options.gripper, size)
    stored = size + (options.gripper in ("open", "closed"))
    largest = max(one.largest for one in alike)
    factor = fit_factor(largest) if options.action_scale else 1.0
    about = options.action_doc(stored, factor, "tool", SERL_ROTATION)
    action = Field(keys.ACTION, "float32", (stored,), None, about)
    known = any(field.path == keys.STATE_PREFIX + "tcp_force" for field in layout.fields)
    frame = EpisodeFrame(
        layout=layout,
        action=action,
        hz=facts.hz or SERL_HZ,
        task=facts.task or _STAMP.sub("", files[0].stem),
        env_id="",
        robot=facts.robot or ("Franka Panda" if known else ""),
        collector=facts.collector,
        extras=tuple(name for name in _EXTRAS if all(name in one.extras for one in alike)),
    )
    return frame, factor


def _why_none(path: Path) -> str:
    for segment in open_segments(path):
        try:
            _look(segment)
        except Exception as error:
            return str(error)
    return "unknown"


def _notes(surveys: Sequence[_Survey], options: TransitionOptions, factor: float) -> list[str]:
    notes = []
    if broken := sum(one.broken_off for one in surveys):
        notes.append(
            f"{broken} episode(s) end without `dones`: the observations jump there, or the file "
            f"ends; they count as cut off by time (discount 1)"
        )
    if missing := sum(not one.has_next for one in surveys):
        notes.append(
            f"{missing} episode(s) have no next observation at the end; their last observation is "
            f"repeated after the last action"
        )
    ended = sum(one.ends_without_success for one in surveys)
    if ended and options.terminal == "recorded":
        notes.append(
            f"{ended} episode(s) end with mask 0 but without success: SERL's robot environments "
            f"mark a time limit so; --terminal success keeps the discount at 1 there"
        )
    if factor > 1:
        notes.append(
            f"actions reach {factor:.3g}: all displacements were divided by that, and the scale "
            f"multiplied, so that action x scale is what was recorded"
        )
    return notes


def _actions(
    named: Sequence[Mapping[str, Any]], declared: Field, options: TransitionOptions
) -> np.ndarray:
    expected = declared.shape[0] - (options.gripper in ("open", "closed"))
    rows = []
    for step, one in enumerate(named):
        row = as_numbers(one[ACTIONS], step, ACTIONS)
        if row.shape not in ((expected,), (1, expected)):
            raise bad(
                "the action is not like the others",
                step,
                ACTIONS,
                expected=f"shape ({expected},)",
                found=f"shape {row.shape}",
            )
        rows.append(row.reshape(expected))
    actions = to_float32(np.stack(rows))
    return settle_gripper(actions, options.gripper)


def _by_key(observations: Sequence[Mapping[str, np.ndarray]]) -> dict[str, list[np.ndarray]]:
    for step, observation in enumerate(observations):
        if observation.keys() != observations[0].keys():
            missing = sorted(observations[0].keys() ^ observation.keys())
            raise bad(
                "the observation has other keys than the first one",
                step,
                f"{OBSERVATIONS}/{missing[0]}",
            )
    return {key: [one[key] for one in observations] for key in observations[0]}


def _succeeded(last: Mapping[str, Any], reward: float, enough: float, step: int) -> bool:
    infos = last.get(INFOS)
    if isinstance(infos, Mapping) and "succeed" in infos:
        return flag(infos["succeed"], step, f"{INFOS}/succeed")
    return bool(reward >= enough)


def _terminal(named: Sequence[Mapping[str, Any]]) -> bool:
    for step, one in enumerate(named):
        if MASKS in one:
            ended = not flag(one[MASKS], step, MASKS)
        elif DONES in one:
            ended = flag(one[DONES], step, DONES)
        else:
            ended = False
        if ended and step + 1 < len(named):
            raise bad("mask 0 before the end of the episode", step, MASKS)
        for key in (DONES, REWARDS):
            if key in one:
                one_number(one[key], step, key)
    return ended


def _intervened(transition: Mapping[str, Any], collector: str) -> bool:
    infos = transition.get(INFOS)
    if isinstance(infos, Mapping):
        return "intervene_action" in infos
    return collector == "teleop"


def _raw_extra(transition: Mapping[str, Any], name: str) -> Any:
    infos = transition.get(INFOS)
    inner = infos.get(name) if isinstance(infos, Mapping) else None
    return transition.get(name, inner)


def _extra(named: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    values = [one_number(_raw_extra(one, name), step, name) for step, one in enumerate(named)]
    return to_float32(values)
