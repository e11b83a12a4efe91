"""The learner step from state against SERL's, sampling included.

Eight critic updates of 256 transitions and one of actor and temperature, with SERL's networks: ten
critics and a policy of 256 x 256, tanh, LayerNorm; observations of 10 and actions of 4 numbers.
Both draw from 20,000 transitions in memory. Our actor learns from the last 256, as RLPD publishes
it; SERL's from all 2048: a second comparison, without a bound, lets ours do so too.

    python benchmarks/serl_learner.py --serl SERL --agentlace AGENTLACE --python SERL_ENV/bin/python

Bounds: half of SERL's CPU time, and one XLA compilation of each function. Without arguments each of
these benchmarks says how to get SERL.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import serl_peer
from compilations import CompilationCounter
from serl_driver import ACTION_DIM, OBSERVATION_DIM, TRANSITIONS

from serlds.training.agents import SACAgent, create_agent
from serlds.training.agents.sac import Info, update_actor, update_critics
from serlds.training.config import NetworkConfig, SACConfig
from serlds.training.networks import View
from serlds.training.replay_items import ItemLayout, Origin, Rows
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.transition import Observation, Transition

BOUND = 2.0
MINIBATCHES, BATCH = 8, 256
_NETWORK = NetworkConfig((256, 256), layer_norm=True, activation="tanh")
SERL_SAC = SACConfig(
    actor=_NETWORK,
    critic=_NETWORK,
    ensemble_size=10,
    subset_size=2,
    initial_temperature=1e-2,
    target_entropy_per_dim=-0.5,
    entropy_backup=False,
)
"""SERL's agent from state in our terms."""


_FUNCTIONS = ("_create", "update_utd", "packed_policy", "packed_evaluation_policy")
"""Our jitted functions of a training start."""


def new_agent() -> SACAgent:
    """A fresh agent with SERL's hyper-parameters."""
    mean, std = np.zeros(OBSERVATION_DIM, np.float32), np.ones(OBSERVATION_DIM, np.float32)
    return create_agent(SERL_SAC, 0, mean, std, ACTION_DIM)


def filled_memory(layout: ItemLayout) -> ReplayMemory:
    """Transitions of noise."""
    rng = np.random.default_rng(0)
    transition = Transition(
        Observation(rng.standard_normal((TRANSITIONS, OBSERVATION_DIM))),
        rng.uniform(-1, 1, (TRANSITIONS, ACTION_DIM)),
        rng.random(TRANSITIONS),
        np.ones(TRANSITIONS),
        Observation(rng.standard_normal((TRANSITIONS, OBSERVATION_DIM))),
    )
    memory = ReplayMemory(TRANSITIONS, layout)
    memory.add(Rows(layout.pack(transition, Origin(*(np.arange(TRANSITIONS),) * 3))))
    return memory


@jax.jit
def update_as_serl(agent: SACAgent, batches: Transition) -> tuple[SACAgent, Info]:
    """U critic updates, then one of actor and temperature from all U * B transitions."""
    batches = agent.normaliser.transitions(batches)
    agent, _ = jax.lax.scan(update_critics, agent, batches)
    together = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batches)
    view = View(together.observation.state, jnp.zeros((0,)))
    return update_actor(agent, together, view, None)


class OurLearner:
    """Draws and learns."""

    def __init__(self, update: Callable[[SACAgent, Transition], tuple[SACAgent, Info]]) -> None:
        self._update = update
        self._layout = ItemLayout(OBSERVATION_DIM, ACTION_DIM)
        self._memories = {"online": filled_memory(self._layout)}
        self._rng = np.random.default_rng(0)
        self._agent = new_agent()

    def step(self) -> None:
        """One learner step."""
        batch = draw_batch(self._memories, {"online": BATCH}, MINIBATCHES, self._layout, self._rng)
        self._agent, info = self._update(self._agent, batch.transitions)
        jax.block_until_ready((self._agent, info))

    def publish(self) -> None:
        """What the learner sends to actors."""
        jax.block_until_ready(self._agent.packed_policy())
        jax.block_until_ready(self._agent.packed_evaluation_policy())


def main() -> int:
    """Measures; returns 1 when a bound is missed."""
    options = serl_peer.arguments(__doc__).parse_args()
    serl_peer.check(options)
    counter = CompilationCounter()
    learner = OurLearner(SACAgent.update_utd)
    as_serl = OurLearner(update_as_serl)
    with serl_peer.peer(options, "sac", batch=BATCH, minibatches=MINIBATCHES) as serl:
        our_s, serl_s = serl_peer.timed(learner.step, 4).wall_s, serl.run(4).wall_s
        print(f"first 4 learner steps: SERL {serl_s:.1f} s, serlds {our_s:.1f} s")
        serl_peer.timed(learner.publish, 2)
        ours = {name: counter.counts[name] for name in _FUNCTIONS}
        print(
            f"XLA compilations, SERL  : {serl.ask('compilations')['update_high_utd']} of the step"
        )
        print(f"XLA compilations, serlds: {ours}")
        serl_peer.timed(as_serl.step, 1)
        ratio, _ = (
            serl_peer.compare(
                f"learner step, {MINIBATCHES} x {BATCH}, actor from {rows}",
                lambda calls, step=step: serl_peer.timed(step, calls),
                serl.run,
                (4, 4),
                options.rounds,
            )
            for rows, step in ((BATCH, learner.step), (MINIBATCHES * BATCH, as_serl.step))
        )
    most = max(ours.values())
    print(f"ratio of CPU times {ratio:.2f}, bound {BOUND:.1f}; most compilations {most}, bound 1")
    return 0 if ratio >= BOUND and most == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
