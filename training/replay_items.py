"""A replay item: transitions and where they came from, packed into float32 rows, and their frames.

    [observation S | action A | reward | discount | next observation S |
     intervened | source | episode | step]

For an agent that learns chunks of K actions, those of a step and of the next ones stand side by
side in place of the action. One column for all numbers, because Reverb's price is per item and per
column. `source` is -1 - k for the run's own online episodes of actor k, else the position of the
dataset among the run's demonstrations; `episode` is the ordinal of the episode in that dataset and
`step` the row of the transition's observation in it: so each sampled row can be looked up in the
RLDS log. float32 counts exactly up to 2**24. `intervened` is 1 where a person drove.

An agent that sees images gets each frame once: a row comes with the frames of its *next*
observation, one uint8 column per camera; those of its observation came with the row before. An
episode of N transitions is then N + 1 rows: the first, the opening row, holds no transition, has
step -1 and brings the frames of the first observation. A part of an episode that begins at step t
is opened by a row of step -1 - t with the frames of the observation of step t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..datasets import keys
from ..datasets.episode import Episode
from .transition import Observation, Transition

ONLINE_SOURCE = -1
"""The source of actor 0."""
PROVENANCE = 3
"""Columns at the end of a row that say where it came from."""
_LABELS = 1 + PROVENANCE
"""Columns behind those of the transition."""


def opening_step(step: int) -> int:
    """The step of a row that opens a part of an episode which begins at `step`; and the reverse.

    Such a row brings frames and holds no transition.
    """
    return -1 - step


def online_source(actor: int) -> int:
    """The source of an actor's online episodes."""
    return ONLINE_SOURCE - actor


def actor_of(source: int) -> int | None:
    """The actor of a source; None where it is a dataset of demonstrations."""
    return ONLINE_SOURCE - source if source <= ONLINE_SOURCE else None


class Origin(NamedTuple):
    """Where transitions came from; arrays of one shape, int64."""

    source: np.ndarray
    """-1 - k: the run's online episodes of actor k; else index of the dataset of demonstrations."""
    episode: np.ndarray
    """Ordinal of the episode in its dataset."""
    step: np.ndarray
    """Row of the episode that holds the transition's observation."""


class Rows(NamedTuple):
    """N packed rows and the frames that came with them."""

    packed: np.ndarray
    """(N, W) float32."""
    frames: Mapping[str, np.ndarray] = {}
    """By camera, (N, H, W, 3) uint8 RGB of each row's next observation."""


class LooseRow(NamedTuple):
    """A row of one time step that is not packed yet: its parts as they came."""

    state: np.ndarray
    """(S,)"""
    action: np.ndarray
    """(K * A,)"""
    reward: float
    discount: float
    next_state: np.ndarray
    """(S,)"""
    intervened: bool
    source: int
    episode: int
    step: int
    frames: Mapping[str, np.ndarray] = {}
    """By camera, (H, W, 3) uint8 RGB of the next observation."""


def concatenated(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, in order."""
    packed = np.concatenate([rows.packed for rows in parts])
    cameras = parts[0].frames
    return Rows(packed, {c: np.concatenate([rows.frames[c] for rows in parts]) for c in cameras})


def rows_at(rows: Rows, which: slice) -> Rows:
    """Some of the rows."""
    return Rows(rows.packed[which], {c: frames[which] for c, frames in rows.frames.items()})


@dataclass(frozen=True)
class Camera:
    """A camera that the agent sees; JSON values."""

    name: str
    height: int
    """Rows of its images, in pixels."""
    width: int
    """Columns of its images, in pixels."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: (H, W, 3)."""
        return self.height, self.width, 3

    @property
    def path(self) -> str:
        """The field of its images in a dataset."""
        return keys.IMAGE_PREFIX + self.name


@dataclass(frozen=True)
class ItemLayout:
    """Which columns of a packed row hold what, and which frames come with it."""

    observation_dim: int
    """Length S of the state vector."""
    action_dim: int
    """Length A of the action vector."""
    cameras: tuple[Camera, ...] = ()
    """What the agent sees; none for one that learns from the state alone."""
    chunk: int = 1
    """Actions K of a row."""

    @property
    def width(self) -> int:
        """Length W of a packed row."""
        return 2 * self.observation_dim + self.chunk * self.action_dim + 2 + _LABELS

    @property
    def row_bytes(self) -> int:
        """Bytes of a packed row with its frames."""
        return 4 * self.width + sum(int(np.prod(camera.shape)) for camera in self.cameras)

    def pack(
        self, transition: Transition, origin: Origin, intervened: np.ndarray | None = None
    ) -> np.ndarray:
        """Packs N transitions without their images: fields (N, ...) -> (N, W) float32.

        Args:
            transition, origin: What to pack.
            intervened: (N,) whether a person drove; by default nobody did.
        """
        if intervened is None:
            intervened = np.zeros(len(transition.reward))
        columns = (
            transition.observation.state,
            transition.action,
            np.asarray(transition.reward)[:, None],
            np.asarray(transition.discount)[:, None],
            transition.next_observation.state,
            np.asarray(intervened)[:, None],
            *(np.asarray(part)[:, None] for part in origin),
        )
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def pack_loose(self, rows: Sequence[LooseRow]) -> np.ndarray:
        """Packs N rows without their frames: (N, W) float32."""
        states, actions, rewards, discounts, next_states, intervened, *origin, _ = zip(
            *rows, strict=True
        )
        transition = Transition(
            observation=Observation(np.array(states)),
            action=np.array(actions),
            reward=np.array(rewards),
            discount=np.array(discounts),
            next_observation=Observation(np.array(next_states)),
        )
        return self.pack(transition, Origin(*map(np.array, origin)), np.array(intervened))

    def joined(self, rows: Sequence[LooseRow]) -> Rows:
        """N rows and their frames, packed."""
        frames = {c.name: np.stack([row.frames[c.name] for row in rows]) for c in self.cameras}
        return Rows(self.pack_loose(rows), frames)

    def loose_opening(
        self,
        state: np.ndarray,
        source: int,
        episode: int,
        frames: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> LooseRow:
        """The row that opens an episode whose first observation is `state` (S,) and `frames`."""
        nothing = np.zeros(self.observation_dim, np.float32)
        no_action = np.zeros(self.chunk * self.action_dim, np.float32)
        place = source, episode, opening_step(0)
        return LooseRow(nothing, no_action, 0.0, 0.0, state, False, *place, frames)

    def opening(self, state: np.ndarray, source: int, episode: int) -> np.ndarray:
        """The same, packed without frames: (1, W) float32."""
        return self.pack_loose([self.loose_opening(state, source, episode)])

    def unpack(self, rows: np.ndarray) -> Transition:
        """The transitions in packed rows (..., W), without images, as views."""
        s, a = self.observation_dim, self.chunk * self.action_dim
        return Transition(
            observation=Observation(rows[..., :s]),
            action=rows[..., s : s + a],
            reward=rows[..., s + a],
            discount=rows[..., s + a + 1],
            next_observation=Observation(rows[..., s + a + 2 : 2 * s + a + 2]),
        )

    def intervened(self, rows: np.ndarray) -> np.ndarray:
        """Whether a person drove in the transitions in packed rows (..., W): (...) bool."""
        return rows[..., -_LABELS] > 0

    def origin(self, rows: np.ndarray) -> Origin:
        """Where the transitions in packed rows (..., W) came from."""
        parts = rows[..., -PROVENANCE:].astype(np.int64)
        return Origin(*np.moveaxis(parts, -1, 0))


def transitions_in(packed: np.ndarray) -> int:
    """How many of the packed rows (N, W) hold a transition."""
    return int(np.count_nonzero(packed[:, -1] >= 0))


def state_vectors(episode: Episode, state_fields: Sequence[str]) -> np.ndarray:
    """The named state fields of an episode side by side: (T, S) float32."""
    columns = [np.asarray(episode[path]).reshape(len(episode), -1) for path in state_fields]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def action_chunks(actions: np.ndarray, chunk: int) -> np.ndarray:
    """The action of each step and of those after it, side by side.

    Where the episode ends, its last action is repeated.

    Args:
        actions: (N, A) of an episode's N transitions.
        chunk: Number K of actions.

    Returns:
        (N, K * A): first the step's own action.
    """
    steps = np.arange(len(actions))[:, None] + np.arange(chunk)
    return actions[np.minimum(steps, len(actions) - 1)].reshape(len(actions), -1)


def pack_episode(
    episode: Episode, state_fields: Sequence[str], layout: ItemLayout, source: int, ordinal: int
) -> np.ndarray:
    """The N transitions of an episode of N + 1 steps: (N, W) float32, without images.

    Args:
        episode: The RLDS episode; without a field `intervened` nobody drove.
        state_fields: Paths of the fields that make the observation vector, in order.
        layout: The row's layout.
        source: -1 for online episodes, else the index of the dataset.
        ordinal: The episode's ordinal in its dataset.
    """
    states, n = state_vectors(episode, state_fields), episode.num_transitions
    transition = Transition(
        observation=Observation(states[:-1]),
        action=action_chunks(np.asarray(episode[keys.ACTION])[:-1], layout.chunk),
        reward=np.asarray(episode[keys.REWARD])[:-1],
        discount=np.asarray(episode[keys.DISCOUNT])[:-1],
        next_observation=Observation(states[1:]),
    )
    origin = Origin(np.full(n, source), np.full(n, ordinal), np.arange(n))
    intervened = episode.columns.get(keys.INTERVENED)
    return layout.pack(transition, origin, None if intervened is None else intervened[:-1])


def episode_rows(
    episode: Episode,
    state_fields: Sequence[str],
    layout: ItemLayout,
    source: int,
    ordinal: int,
    frames_of: Callable[[Episode, Camera], np.ndarray],
) -> Rows:
    """All rows of an episode of N + 1 steps: N, or N + 1 with their frames for an agent that sees.

    Args:
        episode, state_fields, layout, source, ordinal: As of `pack_episode`.
        frames_of: Decodes the images of a camera: (N + 1, H, W, 3) uint8.
    """
    packed = pack_episode(episode, state_fields, layout, source, ordinal)
    if not layout.cameras:
        return Rows(packed)
    state = state_vectors(episode, state_fields)[0]
    opened = np.concatenate([layout.opening(state, source, ordinal), packed])
    return Rows(opened, {camera.name: frames_of(episode, camera) for camera in layout.cameras})
