"""The learner iteration from pixels against SERL's, sampling included.

SERL's DrQ: per iteration four critic updates, of fresh minibatches, and one of actor and
temperature from the last; two cameras of 128 x 128, a state of 7 and actions of 4 numbers, ten
critics. The encoder is SERL's default, a frozen ResNet-10 with learned weights of the places, on
both sides with the same made-up weights; `--encoder small` compares its small one, which raises in
SERL's code as published and is called there without the argument that it does not take.

    python benchmarks/serl_pixels.py --serl SERL --agentlace AGENTLACE --python SERL_ENV/bin/python

Our frozen trunk computes in the precision that a run on this machine has by default, or in that of
`--precision`; SERL has no such choice.

SERL's batch is 256, `--batch 256`: a minute for each iteration on two cores; costs grow in
proportion.
Bound: a quarter of SERL's CPU time.
"""

from __future__ import annotations

import pickle
import re
import sys
import tempfile
import typing
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import psutil
import serl_peer
from compilations import CompilationCounter
from serl_driver import (
    ACTION_DIM,
    CAMERAS,
    CRITIC_ACTOR_RATIO,
    EPISODE_STEPS,
    PROPRIO_DIM,
    SEEN_TRANSITIONS,
    SIDE,
)

from serlds.training.agents import create_agent
from serlds.training.config import EncoderConfig
from serlds.training.encoder_layout import trunk_layout
from serlds.training.encoder_trunk import pinned
from serlds.training.network_config import Precision
from serlds.training.presets import PAPER_DRQ
from serlds.training.replay_items import Camera, ItemLayout, Origin, Rows
from serlds.training.replay_memory import ReplayMemory, draw_batch
from serlds.training.transition import Observation, Transition
from serlds.training.xla_runtime import choose_cpu_runtime

BOUND = 4.0
_SERL_NAMES = (
    ("block_", "ResNetBlock_"),
    (r"norm_(\d)", r"MyGroupNorm_\1"),
    (r"conv_(\d)", r"Conv_\1"),
)


def write_trunk(place: Path) -> Path:
    """Writes made-up weights of a ResNet-10 for both sides; returns the file of ours."""
    rng, nested = np.random.default_rng(0), {}
    arrays = {
        name: rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32)
        if name.endswith("kernel")
        else np.full(shape, name.endswith("scale"), np.float32)
        for name, shape in trunk_layout().items()
    }
    for name, array in arrays.items():
        renamed = name
        for ours, theirs in _SERL_NAMES:
            renamed = re.sub(ours, theirs, renamed)
        *modules, leaf = renamed.split("/")
        inner = nested
        for module in modules:
            inner = inner.setdefault(module, {})
        inner[leaf] = array
    (place / ".serl").mkdir()
    (place / ".serl/resnet10_params.pkl").write_bytes(pickle.dumps(nested))
    np.savez(place / "trunk.npz", **arrays)
    return place / "trunk.npz"


def filled_memory(layout: ItemLayout) -> ReplayMemory:
    """Episodes of noise."""
    rng, memory = np.random.default_rng(0), ReplayMemory(2 * SEEN_TRANSITIONS, layout)
    steps = np.arange(EPISODE_STEPS)
    for episode in range(SEEN_TRANSITIONS // EPISODE_STEPS):
        states = rng.standard_normal((EPISODE_STEPS + 1, PROPRIO_DIM))
        transition = Transition(
            Observation(states[:-1]),
            rng.uniform(-1, 1, (EPISODE_STEPS, ACTION_DIM)),
            rng.random(EPISODE_STEPS),
            np.ones(EPISODE_STEPS),
            Observation(states[1:]),
        )
        packed = layout.pack(transition, Origin(0 * steps, np.full_like(steps, episode), steps))
        shape = EPISODE_STEPS + 1, SIDE, SIDE, 3
        frames = {name: rng.integers(0, 256, shape, np.uint8) for name in CAMERAS}
        memory.add(Rows(np.concatenate([layout.opening(states[0], 0, episode), packed]), frames))
    return memory


class OurLearner:
    """Draws and learns."""

    def __init__(self, encoder: EncoderConfig, batch: int) -> None:
        cameras = tuple(Camera(name, SIDE, SIDE) for name in CAMERAS)
        self._layout = ItemLayout(PROPRIO_DIM, ACTION_DIM, cameras)
        self._memories = {"online": filled_memory(self._layout)}
        self._rows = {"online": batch}
        self._rng = np.random.default_rng(0)
        mean, std = np.zeros(PROPRIO_DIM, np.float32), np.ones(PROPRIO_DIM, np.float32)
        config, shapes = (
            replace(PAPER_DRQ.agent, encoder=encoder),
            {c.name: c.shape for c in cameras},
        )
        self._agent = create_agent(config, 0, mean, std, ACTION_DIM, shapes)

    def step(self) -> None:
        """One iteration."""
        batch = draw_batch(self._memories, self._rows, CRITIC_ACTOR_RATIO, self._layout, self._rng)
        self._agent, info = self._agent.update_utd(batch.transitions)
        jax.block_until_ready((self._agent, info))


def main() -> int:
    """Measures; returns 1 when the bound is missed."""
    parser = serl_peer.arguments(__doc__)
    parser.add_argument("--encoder", choices=("resnet-pretrained", "small"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=typing.get_args(Precision), default="auto")
    parser.set_defaults(rounds=3, encoder="resnet-pretrained")
    options = parser.parse_args()
    serl_peer.check(options)
    counter = CompilationCounter()
    print(f"load average at the start: {psutil.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        trunk = write_trunk(Path(place))
        encoder = EncoderConfig("small", CAMERAS)
        if options.encoder == "resnet-pretrained":
            encoder = pinned(
                EncoderConfig(
                    "frozen_resnet10", CAMERAS, trunk=str(trunk), trunk_precision=options.precision
                )
            )
        choose_cpu_runtime(replace(PAPER_DRQ.agent, encoder=encoder))
        learner, precision = OurLearner(encoder, options.batch), encoder.trunk_precision
        values = {"batch": options.batch, "encoder": options.encoder}
        with serl_peer.peer(options, "drq", Path(place), **values) as serl:
            our_s, serl_s = serl_peer.timed(learner.step, 2).wall_s, serl.run(2).wall_s
            print(f"first 2 iterations: SERL {serl_s:.1f} s, serlds {our_s:.1f} s", flush=True)
            ratio = serl_peer.compare(
                f"{CRITIC_ACTOR_RATIO} x {options.batch}, {options.encoder}, {precision}",
                lambda calls: serl_peer.timed(learner.step, calls),
                serl.run,
                (1, 1),
                options.rounds,
            )
            theirs = serl.ask("compilations")
    names = ("update_critics", "update_high_utd")
    print(f"XLA compilations, SERL  : { {name: theirs.get(name, 0) for name in names} }")
    print(f"XLA compilations, serlds: {counter.counts['update_utd']} of update_utd")
    print(f"ratio of CPU times {ratio:.2f}, bound {BOUND:.1f}")
    return 0 if ratio >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
