"""Named sets of hyper-parameters.

"paper": as published; "quickstart": from the state on two CPU cores; "pixels": from images on them;
"paper-pixels": as SERL learns from images what also learns from the state; "hil-serl": as HIL-SERL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace

from ..datasets.errors import UsageError
from .classifier_config import ClassifierConfig
from .config import (
    SERL_CLASSIFIER,
    BCConfig,
    EncoderConfig,
    GripperConfig,
    NetworkConfig,
    ReplayConfig,
    RLPDConfig,
    SACConfig,
    ScheduleConfig,
    TrainingPreset,
    VICEConfig,
)
from .network_config import SERL_NETWORK

_SERL_LOG_STD = (math.log(1e-5), math.log(5.0))
_SERL_BC = BCConfig(network=NetworkConfig(activation="tanh"), log_std_bounds=_SERL_LOG_STD)

PAPER_BC = TrainingPreset(
    agent=_SERL_BC,
    schedule=ScheduleConfig(batch_size=256, offline_updates=20_000),
)
"""Behaviour cloning with SERL's network and optimiser (Luo et al. 2024, arXiv:2401.16013)."""

PAPER_HG_DAGGER = TrainingPreset(
    agent=replace(_SERL_BC, network=replace(SERL_NETWORK, hidden_dims=(512, 512, 512))),
    schedule=ScheduleConfig(
        batch_size=256,
        utd_ratio=1,
        offline_updates=20_000,
        env_steps=10_000,
    ),
)
"""HG-DAgger (Kelly et al. 2019, arXiv:1810.02890) with HIL-SERL's network (Luo et al. 2024,
arXiv:2410.21845, released code, without its dropout)."""

PAPER_SAC = TrainingPreset(
    agent=SACConfig(),
    schedule=ScheduleConfig(
        batch_size=256,
        utd_ratio=1,
        env_steps=1_000_000,
        random_steps=10_000,
        start_training_steps=10_000,
    ),
)
"""Soft actor-critic (Haarnoja et al. 2018, arXiv:1812.05905, table 1)."""

PAPER_RLPD = TrainingPreset(
    agent=RLPDConfig(),
    schedule=ScheduleConfig(
        batch_size=256,
        utd_ratio=20,
        env_steps=1_000_000,
        random_steps=5_000,
        start_training_steps=5_000,
    ),
)
"""RLPD (Ball et al. 2023, arXiv:2302.02948, table 1 and released configuration)."""

PAPER_DRQ = TrainingPreset(
    agent=SACConfig(
        actor=SERL_NETWORK,
        critic=SERL_NETWORK,
        discount=0.96,
        ensemble_size=10,
        subset_size=2,
        initial_temperature=1e-2,
        target_entropy_per_dim=-0.5,
        entropy_backup=False,
        log_std_bounds=_SERL_LOG_STD,
        encoder=EncoderConfig(kind="small"),
    ),
    schedule=ScheduleConfig(
        batch_size=256,
        utd_ratio=4,
        env_steps=1_000_000,
        random_steps=1000,
        start_training_steps=1000,
    ),
    replay=ReplayConfig(online_capacity=200_000),
)
"""DrQ with SERL's released values (Luo et al. 2024, arXiv:2401.16013).

Its default encoder is frozen_resnet10, which needs a file: `--agent.encoder.kind frozen_resnet10
--agent.encoder.trunk FILE`; here it is SERL's small one. SERL's updates run freely beside the
robot; here an environment step pays for four critic updates and one of the actor.
"""

PAPER_PIXELS_RLPD = TrainingPreset(
    agent=RLPDConfig(sac=PAPER_DRQ.agent),
    schedule=PAPER_DRQ.schedule,
    replay=PAPER_DRQ.replay,
)
"""RLPD from pixels as in SERL: its DrQ, with demonstrations in half of each batch."""

PAPER_PIXELS_BC = TrainingPreset(
    agent=replace(_SERL_BC, encoder=EncoderConfig(kind="small")),
    schedule=PAPER_BC.schedule,
)
"""Behaviour cloning from pixels as in SERL, and with the random shifts that HIL-SERL (Luo et al.
2024, arXiv:2410.21845) adds to it."""

HIL_SERL_RLPD = TrainingPreset(
    agent=RLPDConfig(
        sac=replace(
            PAPER_DRQ.agent,
            discount=0.97,
            ensemble_size=2,
            subset_size=2,
            gripper=GripperConfig(),
        )
    ),
    schedule=replace(PAPER_DRQ.schedule, utd_ratio=2, random_steps=0, start_training_steps=100),
    replay=ReplayConfig(online_capacity=200_000, demos_capacity=200_000),
)
"""HIL-SERL's learner (Luo et al. 2024, arXiv:2410.21845, released code): RLPD from pixels with a
critic that chooses what the grippers do, for one arm or two. Its default encoder is frozen_resnet10
too; here it is the small one, which needs no file."""

_SMALL = NetworkConfig(hidden_dims=(128, 128))
_SMALL_NORM = NetworkConfig(hidden_dims=(128, 128), layer_norm=True)

QUICKSTART_BC = TrainingPreset(
    agent=BCConfig(learning_rate=1e-3, distribution="deterministic"),
    schedule=ScheduleConfig(
        batch_size=128,
        utd_ratio=10,
        offline_updates=300,
        checkpoint_interval_updates=300,
    ),
)
"""Behaviour cloning in seconds: 3000 gradient steps, ten per update.

Differs from the paper's by a squared error (a cloned deviation of clumsy demonstrations is wide),
a larger step size and fewer, smaller minibatches.
"""


def _vice(rlpd: TrainingPreset, classifier: ClassifierConfig) -> TrainingPreset:
    """A preset of RLPD, rewarded by a classifier."""
    agent = rlpd.agent
    assert isinstance(agent, RLPDConfig)
    own = {field.name: getattr(agent, field.name) for field in fields(RLPDConfig)}
    return replace(rlpd, agent=VICEConfig(**own, classifier=classifier))


QUICKSTART_HG_DAGGER = TrainingPreset(
    agent=QUICKSTART_BC.agent,
    schedule=replace(
        QUICKSTART_BC.schedule,
        utd_ratio=2,
        env_steps_per_update=2,
        offline_updates=750,
        env_steps=4000,
        checkpoint_interval_updates=1000,
    ),
)
"""HG-DAgger in a minute: cloning as in the quickstart, then with what a person corrects."""

QUICKSTART_RLPD = TrainingPreset(
    agent=RLPDConfig(
        sac=SACConfig(
            actor=_SMALL,
            critic=_SMALL_NORM,
            actor_learning_rate=1e-3,
            critic_learning_rate=1e-3,
            temperature_learning_rate=1e-3,
            discount=0.98,
            target_update_rate=0.02,
            initial_temperature=0.003,
            target_entropy_per_dim=-0.5,
            entropy_backup=False,
            target_bounds=(0.0, 1.0),
            initial_log_std=-1.5,
            evaluation_average_rate=0.01,
        ),
        bc_pretrain_updates=1000,
        bc_weight=0.05,
    ),
    schedule=ScheduleConfig(
        batch_size=128,
        utd_ratio=2,
        env_steps_per_update=2,
        env_steps=15_000,
        evaluation_interval_steps=1000,
        checkpoint_interval_updates=1000,
    ),
)
"""RLPD for a sparse 0/1 reward and short episodes, within two minutes on two CPU cores.

Differs from the paper's, each for a reason:
- two critics of width 128, batches of 128, UTD 2: simulated steps are cheaper than updates here,
  so more of the former and fewer of the latter reach the same success sooner;
- step sizes 1e-3 with target rate 0.02: small networks take larger steps;
- discount 0.98: an episode is 10 to 30 steps long;
- initial temperature 0.003, log deviation -1.5, no entropy in the target, target clipped to [0, 1]:
  more entropy than that drowns a reward of at most 1;
- a cloned start and a small cloning term: exploration begins near the demonstrations;
- a Polyak average of the policy is evaluated: the newest one still wobbles.
"""

GRIPPER_RLPD = replace(
    QUICKSTART_RLPD,
    agent=replace(
        QUICKSTART_RLPD.agent,
        sac=replace(
            QUICKSTART_RLPD.agent.sac,
            gripper=GripperConfig(network=_SMALL_NORM, learning_rate=1e-3),
        ),
    ),
)
"""The quickstart with HIL-SERL's critic of what the grippers do, for one arm or two."""

QUICKSTART_SAC = TrainingPreset(
    agent=replace(
        QUICKSTART_RLPD.agent.sac,
        discount=0.96,
        target_update_rate=0.01,
        initial_temperature=0.02,
        target_bounds=None,
        initial_log_std=0.0,
        evaluation_average_rate=1.0,
    ),
    schedule=ScheduleConfig(
        batch_size=128,
        utd_ratio=1,
        env_steps=150_000,
        random_steps=2000,
        start_training_steps=2000,
        evaluation_interval_steps=10_000,
    ),
)
"""SAC in minutes on two CPU cores. Without demonstrations it wants a dense reward and explores for
itself: more entropy than RLPD's quickstart, and ten times its steps, each cheaper."""

_LIGHT = EncoderConfig(kind="light", features=64)

PIXELS_BC = TrainingPreset(
    agent=BCConfig(learning_rate=1e-3, distribution="deterministic", encoder=_LIGHT),
    schedule=ScheduleConfig(
        batch_size=64, utd_ratio=10, offline_updates=300, checkpoint_interval_updates=300
    ),
)
"""Behaviour cloning from pixels in minutes on two CPU cores, for images of 64x64."""

PIXELS_RLPD = TrainingPreset(
    agent=replace(
        QUICKSTART_RLPD.agent,
        sac=replace(QUICKSTART_RLPD.agent.sac, encoder=_LIGHT),
        bc_pretrain_updates=2000,
    ),
    schedule=ScheduleConfig(
        batch_size=64,
        utd_ratio=1,
        env_steps_per_update=2,
        env_steps=10_000,
        evaluation_interval_steps=2000,
        checkpoint_interval_updates=1000,
    ),
    replay=ReplayConfig(online_capacity=50_000, demos_capacity=20_000),
)
"""RLPD from pixels for a sparse 0/1 reward, within half an hour on two CPU cores.

Differs from the quickstart's by a light image encoder, for images of 64x64, and by fewer and
smaller minibatches, of which each costs some twenty times as much.
"""

PIXELS_DRQ = TrainingPreset(
    agent=replace(QUICKSTART_SAC.agent, encoder=_LIGHT, evaluation_average_rate=0.01),
    schedule=ScheduleConfig(
        batch_size=64,
        utd_ratio=1,
        env_steps=15_000,
        random_steps=500,
        start_training_steps=500,
        evaluation_interval_steps=5000,
        checkpoint_interval_updates=1000,
    ),
    replay=PIXELS_RLPD.replay,
)
"""DrQ for images of 64x64: the quickstart's SAC with a light image encoder. Without demonstrations
it wants a dense reward, and fewer steps where objects begin near one place."""

PAPER_VICE = _vice(
    PAPER_PIXELS_RLPD,
    replace(SERL_CLASSIFIER, encoder=EncoderConfig(kind="small")),
)
"""VICE from pixels as in SERL: its DrQ with demonstrations, and its classifier."""

QUICKSTART_VICE = _vice(QUICKSTART_RLPD, SERL_CLASSIFIER)
"""The quickstart without the task's rewards: a classifier looks at the state."""

PIXELS_VICE = _vice(PIXELS_RLPD, replace(SERL_CLASSIFIER, encoder=_LIGHT))
"""RLPD from pixels without the task's rewards: a classifier looks at the images."""

_PRESETS: Mapping[tuple[str, str], TrainingPreset] = {
    ("bc", "paper"): PAPER_BC,
    ("hg-dagger", "paper"): PAPER_HG_DAGGER,
    ("sac", "paper"): PAPER_SAC,
    ("drq", "paper"): PAPER_DRQ,
    ("rlpd", "paper"): PAPER_RLPD,
    ("bc", "paper-pixels"): PAPER_PIXELS_BC,
    ("rlpd", "paper-pixels"): PAPER_PIXELS_RLPD,
    ("rlpd", "hil-serl"): HIL_SERL_RLPD,
    ("rlpd", "quickstart-gripper"): GRIPPER_RLPD,
    ("bc", "quickstart"): QUICKSTART_BC,
    ("hg-dagger", "quickstart"): QUICKSTART_HG_DAGGER,
    ("vice", "paper"): PAPER_VICE,
    ("sac", "quickstart"): QUICKSTART_SAC,
    ("rlpd", "quickstart"): QUICKSTART_RLPD,
    ("vice", "quickstart"): QUICKSTART_VICE,
    ("bc", "pixels"): PIXELS_BC,
    ("drq", "pixels"): PIXELS_DRQ,
    ("rlpd", "pixels"): PIXELS_RLPD,
    ("vice", "pixels"): PIXELS_VICE,
}

DEFAULT_PRESET = "paper"


def preset_names(algorithm: str) -> list[str]:
    """What presets an algorithm has."""
    return [name for of, name in _PRESETS if of == algorithm]


def preset(algorithm: str, name: str = DEFAULT_PRESET) -> TrainingPreset:
    """The named hyper-parameters of an algorithm.

    Raises:
        UsageError: There is none of that name; the message lists the known ones.
    """
    found = _PRESETS.get((algorithm, name))
    if found is None:
        own = ", ".join(preset_names(algorithm)) or "none"
        known = ", ".join(f"{a} {n}" for a, n in _PRESETS)
        raise UsageError(
            f"preset {name!r} of {algorithm!r}: not found; it has {own}; known: {known}"
        )
    return found
