"""The tables of a run's replay server.

- `demos`: transitions of the demonstrations, loaded from RLDS by the server itself.
- `online`: transitions of the run's own episodes: what RLDS has of earlier sessions, then whatever
  the actors send.
- `weights`: the newest policy, one item.

The first two are queues: an item is one or more packed transitions, and the learner takes each item
once, into its own memory, and draws its batches there (`replay_memory.py`). Drawing every batch
from Reverb itself would cost, for each critic update of the SAC paper's networks, about a quarter
of that update's own CPU time (benchmarks/learner_speed.py); taking each transition once costs next
to nothing.

Rate. The learner counts the environment steps it has received and makes no update that they do not
pay for (`updates_paid_for`), so the configured ratio of critic updates to environment steps is
never exceeded. Nothing else makes anyone wait for it: inserts block only when a whole table's
capacity is waiting to be taken. How far the actor may run ahead is decided by the actor itself,
from the learner's progress that comes with the weights (`weights.py`). An actor that pauses, or a
learner that ends, so leaves nobody stuck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .config import ReplayConfig, RunConfig, ScheduleConfig
from .replay_items import ItemLayout

if TYPE_CHECKING:
    import reverb

DEMOS = "demos"
ONLINE = "online"
WEIGHTS = "weights"
ROWS = "rows"
"""Name of the one column of an item of transitions."""
COUNTERS = 4
"""Whole numbers that come with the weights (`weights.Counters`)."""


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

    @property
    def layout(self) -> ItemLayout:
        """The layout of a transition's row."""
        return ItemLayout(self.observation_dim, self.action_dim)


def demo_rows(config: RunConfig) -> int:
    """Rows of every online minibatch that are demonstrations; they come first."""
    rows = getattr(config.agent, "demo_rows", None)
    return rows(config.schedule.batch_size) if rows else 0


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


def make_tables(plan: ReplayPlan) -> list[reverb.Table]:
    """The tables of a replay server, with signatures that inserts are checked against."""
    import reverb
    import tensorflow as tf

    rows = {ROWS: tf.TensorSpec((1, None, plan.layout.width), tf.float32, ROWS)}
    policy = tf.TensorSpec((1, plan.policy_size), tf.float32)
    return [
        reverb.Table.queue(DEMOS, plan.capacity.demos_capacity, signature=rows),
        reverb.Table.queue(ONLINE, plan.capacity.online_capacity, signature=rows),
        reverb.Table(
            name=WEIGHTS,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=1,
            rate_limiter=reverb.rate_limiters.MinSize(1),
            signature={
                "policy": policy,
                "evaluation_policy": policy,
                "counters": tf.TensorSpec((1, COUNTERS), tf.int64),
            },
        ),
    ]
