"""The tables of a run's replay server.

- `demos`: transitions of the demonstrations, loaded from RLDS by the server itself.
- `online`: transitions of the run's own episodes: what RLDS has of earlier sessions, then whatever
  the actors send. Those in which a person drove say so, and the learner counts them among the
  demonstrations, too.
- `weights`: the newest policy, one item.

The first two are queues: an item is one or more rows (`replay_items.py`), and the learner takes
each item once, into its own memory, and draws its batches there (`replay_memory.py`). Drawing every
batch from Reverb itself would cost, for each critic update of the SAC paper's networks, about a
quarter of that update's own CPU time (benchmarks/learner_speed.py); taking each transition once
costs next to nothing.

Rate. The learner counts the environment steps it has received and makes no update that they do not
pay for (`updates_paid_for`), so the configured ratio of critic updates to environment steps is
never exceeded. Nothing else makes anyone wait for it: inserts block only when a whole table's
capacity is waiting to be taken. How far the actor may run ahead is decided by the actor itself,
from the learner's progress that comes with the weights (`weights.py`). An actor that pauses, or a
learner that ends, so leaves nobody stuck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .config import ReplayConfig, RunConfig, ScheduleConfig
from .replay_items import Camera, ItemLayout

if TYPE_CHECKING:
    import reverb
    import tensorflow as tf

DEMOS = "demos"
ONLINE = "online"
WEIGHTS = "weights"
WEIGHTS_NEWS = ("weights_even", "weights_odd")
"""The newest weights again, in the table of their publication's parity while the other is empty:
who has publication n waits at the table of n + 1, and is served the moment it comes."""
ROWS = "rows"
"""Name of the column of packed rows; the only one for an agent that learns from the state."""
COUNTERS = 7
"""Whole numbers that come with the weights (`weights.Counters`)."""
MOST_ACTORS = 64
"""Actors that one run can have."""


@dataclass(frozen=True)
class ReplayPlan:
    """All that decides a replay server's tables; JSON values."""

    observation_dim: int
    """Length S of the observation vector."""
    action_dim: int
    """Length A of the action vector."""
    policy_size: int
    """Length of the packed policy."""
    capacity: ReplayConfig
    """Sizes of the tables."""
    cameras: tuple[Camera, ...] = ()
    """What the agent sees; none for one that learns from the state alone."""
    chunk: int = 1
    """Actions of a transition that the agent learns at once."""

    @property
    def layout(self) -> ItemLayout:
        """The layout of a transition's row."""
        return ItemLayout(self.observation_dim, self.action_dim, self.cameras, self.chunk)


def frames_column(camera: str) -> str:
    """Name of the column of a camera's frames."""
    return f"frames/{camera}"


def demo_rows(config: RunConfig) -> int:
    """Rows of every online minibatch that are demonstrations; they come first."""
    return config.agent.demo_rows(config.schedule.batch_size)


def online_rows(config: RunConfig) -> int:
    """Rows of every online minibatch that are online transitions."""
    return config.schedule.batch_size - demo_rows(config)


def updates_paid_for(schedule: ScheduleConfig, env_steps: int) -> int:
    """Online updates that so many environment steps allow, in all."""
    learned = max(env_steps - schedule.start_training_steps, 0)
    return learned // schedule.env_steps_per_update


def online_updates(config: RunConfig) -> int:
    """Updates of the whole online phase."""
    return updates_paid_for(config.schedule, config.schedule.env_steps)


def item_columns(layout: ItemLayout) -> dict[str, tuple[tuple[int | None, ...], str]]:
    """Shape and dtype of every column of an item of n rows, by name; n is None."""
    frames = {frames_column(c.name): ((1, None, *c.shape), "uint8") for c in layout.cameras}
    return {ROWS: ((1, None, layout.width), "float32"), **frames}


def make_tables(plan: ReplayPlan) -> list[reverb.Table]:
    """The tables of a replay server, with signatures that inserts are checked against."""
    import reverb
    import tensorflow as tf

    rows = {
        name: tf.TensorSpec(shape, dtype, name)
        for name, (shape, dtype) in item_columns(plan.layout).items()
    }
    weights = {
        "policy": tf.TensorSpec((1, plan.policy_size), tf.float32),
        "evaluation_policy": tf.TensorSpec((1, None), tf.float32),  # empty: the same
        "counters": tf.TensorSpec((1, COUNTERS), tf.int64),
        "received": tf.TensorSpec((1, MOST_ACTORS), tf.int64),
    }
    return [
        reverb.Table.queue(DEMOS, plan.capacity.demos_capacity, signature=rows),
        reverb.Table.queue(ONLINE, plan.capacity.online_capacity, signature=rows),
        *(_newest_item(name, weights) for name in (WEIGHTS, *WEIGHTS_NEWS)),
    ]


def _newest_item(name: str, signature: Mapping[str, tf.TensorSpec]) -> reverb.Table:
    """A table of one item, which the next one replaces and anybody may read."""
    import reverb

    return reverb.Table(
        name=name,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=1,
        rate_limiter=reverb.rate_limiters.MinSize(1),
        signature=signature,
    )
