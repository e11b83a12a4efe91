"""Transitions as SERL's and HIL-SERL's scripts write them: finding the episodes among them.

Their recorders write a flat list of transitions, one after the other through all episodes
(rail-berkeley/serl examples/*/record_demo.py, rail-berkeley/hil-serl examples/record_demos.py and
train_rlpd.py). Others keep a list of trajectories, each a list of transitions or a dictionary of
columns; both are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...datasets.errors import DamagedDatasetError
from ..findings import BadEpisodeError
from .observations import as_numbers, bad, leaves

OBSERVATIONS, NEXT_OBSERVATIONS, ACTIONS = "observations", "next_observations", "actions"
REWARDS, DONES, MASKS, TRUNCATIONS, INFOS = "rewards", "dones", "masks", "truncations", "infos"
_ALIASES = {
    "observation": OBSERVATIONS,
    "obs": OBSERVATIONS,
    "next_observation": NEXT_OBSERVATIONS,
    "next_obs": NEXT_OBSERVATIONS,
    "action": ACTIONS,
    "reward": REWARDS,
    "done": DONES,
    "terminals": DONES,
    "terminal": DONES,
    "mask": MASKS,
    "truncated": TRUNCATIONS,
    "truncateds": TRUNCATIONS,
    "truncates": TRUNCATIONS,
    "info": INFOS,
}


@dataclasses.dataclass(frozen=True)
class Segment:
    """The transitions of one episode, and how it was seen to end."""

    transitions: Sequence[Any]
    first: int
    """Number in the file of the first one."""
    broken_off: bool
    """It ends where the file ends or the observations jump, not with `dones`."""


def segments(content: Any, file: str) -> list[Segment]:
    """The episodes of an unpickled file, in order.

    Raises:
      DamagedDatasetError: the content has neither shape; says what was expected and found.
    """
    groups = _groups(content, file)
    found: list[Segment] = []
    first = 0
    for group in groups:
        found.extend(_cut(group, first))
        first += len(group)
    if not found:
        raise DamagedDatasetError(f"{file}: there is no transition in it")
    return found


def _groups(content: Any, file: str) -> list[Sequence[Any]]:
    if isinstance(content, tuple) or (isinstance(content, np.ndarray) and content.dtype == object):
        content = list(content)
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise DamagedDatasetError(
            f"{file}: expected a list of transitions or of trajectories, found "
            f"{type(content).__name__}"
        )
    trajectories = sum(map(_is_trajectory, content))
    if not trajectories and content and not any(isinstance(one, Mapping) for one in content):
        raise DamagedDatasetError(
            f"{file}: expected transitions, dictionaries with {OBSERVATIONS}, {ACTIONS}, {REWARDS} "
            f"and {DONES}; found {type(content[0]).__name__}"
        )
    if 2 * trajectories <= len(content):
        return [content]
    # What is no trajectory among them counts as a bad one.
    return [_transitions(one) if _is_trajectory(one) else [None] for one in content]


def _is_trajectory(one: Any) -> bool:
    if isinstance(one, list | tuple):
        return True
    if not isinstance(one, Mapping):
        return False
    named = _canonical(one)
    actions = named.get(ACTIONS)
    # A column of actions has one row per step; the action of a transition is one row.
    if isinstance(actions, list | tuple):
        return bool(actions) and isinstance(actions[0], list | tuple | np.ndarray)
    rewards = named.get(REWARDS, named.get(DONES))
    per_step = isinstance(rewards, list | tuple | np.ndarray) and np.ndim(rewards) > 0
    return isinstance(actions, np.ndarray) and actions.ndim == 2 and per_step


def _canonical(transition: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        _ALIASES.get(key, key) if isinstance(key, str) else key: v for key, v in transition.items()
    }


def _transitions(trajectory: Any) -> list[Any]:
    """The transitions of a trajectory; of columns they are made, row by row."""
    if not isinstance(trajectory, Mapping):
        return list(trajectory)
    columns = _canonical(trajectory)
    count = len(columns[ACTIONS])
    observations = _rows(columns.get(OBSERVATIONS), count)
    if NEXT_OBSERVATIONS not in columns and len(observations) == count + 1:
        columns[NEXT_OBSERVATIONS] = observations[1:]
    columns[OBSERVATIONS] = observations
    wanted = {key: _rows(column, count) for key, column in columns.items()}
    return [{key: rows[t] for key, rows in wanted.items() if t < len(rows)} for t in range(count)]


def _rows(column: Any, count: int) -> Sequence[Any]:
    """A column as a sequence over time; a dictionary of columns as one of dictionaries."""
    if isinstance(column, Mapping):
        inner = {key: _rows(child, count) for key, child in column.items()}
        length = min((len(rows) for rows in inner.values()), default=0)
        return [{key: rows[t] for key, rows in inner.items()} for t in range(length)]
    if isinstance(column, np.ndarray) and column.ndim:
        return list(column)
    return list(column) if isinstance(column, list | tuple) else []


def _cut(transitions: Sequence[Any], first: int) -> list[Segment]:
    cut: list[Segment] = []
    begin = 0
    for step, transition in enumerate(transitions):
        last = step + 1 == len(transitions)
        ended = _ended(transition)
        if ended or last or not _continues(transition, transitions[step + 1]):
            cut.append(Segment(transitions[begin : step + 1], first + begin, not ended))
            begin = step + 1
    return cut


def _ended(transition: Any) -> bool:
    if not isinstance(transition, Mapping):
        return False
    named = _canonical(transition)
    try:
        return any(flag(named[key], None, key) for key in (DONES, TRUNCATIONS) if key in named)
    except BadEpisodeError:
        return False  # said when the episode is read


def _continues(transition: Any, following: Any) -> bool:
    """Whether the second transition begins with the observation that the first led to."""
    if not isinstance(transition, Mapping) or not isinstance(following, Mapping):
        return True  # said when the episode is read
    after = _canonical(transition).get(NEXT_OBSERVATIONS)
    before = _canonical(following).get(OBSERVATIONS)
    if after is None or before is None or after is before:
        return True
    try:
        have, want = leaves(after), leaves(before)
    except BadEpisodeError:
        return True
    return have.keys() != want.keys() or all(_same(have[key], want[key]) for key in have)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return True  # not a jump but a defect, said when the episode is read
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    # NaN is a defect too, not a jump.
    return bool(np.all((one == other) | ~np.isfinite(one) | ~np.isfinite(other)))


def flag(value: Any, step: int | None, field: str) -> bool:
    """One truth value, however it is wrapped.

    Raises:
      BadEpisodeError: it is not one, or NaN.
    """
    number = one_number(value, step, field)
    if number != number:
        raise bad("not a truth value", step, field, expected="true or false", found="nan")
    return bool(number)


def one_number(value: Any, step: int | None, field: str) -> float:
    """One number, however it is wrapped.

    Raises:
      BadEpisodeError: it is not one.
    """
    array = as_numbers(value, step, field)
    if array.size != 1:
        raise bad("not one number", step, field, expected="a number", found=f"shape {array.shape}")
    return float(array.reshape(()))


def named_values(transition: Any, step: int) -> dict[Any, Any]:
    """A transition by the names used here.

    Raises:
      BadEpisodeError: it is no dictionary, or lacks what every transition needs.
    """
    if not isinstance(transition, Mapping):
        raise bad(
            "not a transition", step, expected="a dictionary", found=type(transition).__name__
        )
    named = _canonical(transition)
    if missing := [key for key in (OBSERVATIONS, ACTIONS, REWARDS) if key not in named]:
        have = ", ".join(str(key)[:30] for key in list(named)[:10])
        raise bad(
            f"the transition lacks {', '.join(missing)}", step, found=f"keys {have or 'none'}"
        )
    return named
