"""The tables of a run's replay server and the limiter that ties learning to acting.

`demos`   transitions of the demonstrations. Sampled uniformly; never evicted.
`online`  transitions of the run's own episodes; the oldest leave first.
`weights` the newest policy, one item.

Rate. Only the learner is ever made to wait by Reverb: after n online transitions it may have taken
at most (n - start_steps) * samples_per_step samples, so the ratio of critic updates to environment
steps never exceeds the one configured. Inserting is never blocked by a limiter, so an actor that
pauses, or a learner that ends, leaves nobody stuck. How far the actor may run ahead is decided by
the actor itself, from the learner's progress that comes with the weights (`weights.py`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .config import ReplayConfig, RunConfig
from .replay_items import ItemLayout

if TYPE_CHECKING:
    import reverb

DEMOS = "demos"
ONLINE = "online"
WEIGHTS = "weights"
ROW = "row"
"""Name of the one column of a transition's item."""
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
    samples_per_step: int
    """Online samples per environment step; 0 where nothing is sampled online."""
    start_steps: int
    """Inserts into `online` that allow no samples: steps before the first update, and in a resumed
    run those that earlier sessions have learned from."""

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


def online_updates(config: RunConfig) -> int:
    """Updates of the whole online phase: one per `env_steps_per_update` steps after the start."""
    schedule = config.schedule
    learned = max(schedule.env_steps - schedule.start_training_steps, 0)
    return learned // schedule.env_steps_per_update


def make_tables(plan: ReplayPlan) -> list[reverb.Table]:
    """The tables of a replay server, with signatures that inserts are checked against."""
    import reverb
    import tensorflow as tf

    row = {ROW: tf.TensorSpec((1, plan.layout.width), tf.float32, ROW)}
    uniform, oldest = reverb.selectors.Uniform, reverb.selectors.Fifo
    return [
        reverb.Table(
            name=DEMOS,
            sampler=uniform(),
            remover=oldest(),
            max_size=plan.capacity.demos_capacity,
            rate_limiter=reverb.rate_limiters.MinSize(1),
            signature=row,
        ),
        reverb.Table(
            name=ONLINE,
            sampler=uniform(),
            remover=oldest(),
            max_size=plan.capacity.online_capacity,
            rate_limiter=_limiter(plan),
            signature=row,
        ),
        reverb.Table(
            name=WEIGHTS,
            sampler=uniform(),
            remover=oldest(),
            max_size=1,
            rate_limiter=reverb.rate_limiters.MinSize(1),
            signature={
                "policy": tf.TensorSpec((1, plan.policy_size), tf.float32, "policy"),
                "evaluation_policy": tf.TensorSpec(
                    (1, plan.policy_size), tf.float32, "evaluation_policy"
                ),
                "counters": tf.TensorSpec((1, COUNTERS), tf.int64, "counters"),
            },
        ),
    ]


def _limiter(plan: ReplayPlan) -> reverb.rate_limiters.RateLimiter:
    import reverb

    if plan.samples_per_step == 0:
        return reverb.rate_limiters.MinSize(1)
    # A sample is let through while inserts * samples_per_insert - samples >= min_diff. An infinite
    # max_diff never blocks an insert, whatever the learner does.
    return reverb.rate_limiters.RateLimiter(
        samples_per_insert=float(plan.samples_per_step),
        min_size_to_sample=1,
        min_diff=float(plan.start_steps * plan.samples_per_step),
        max_diff=sys.float_info.max,
    )
