"""Named sets of hyper-parameters: "paper" (as published) and "quickstart" (two CPU cores)."""

from __future__ import annotations

from collections.abc import Mapping

from ..datasets.errors import UsageError
from .config import (
    BCConfig,
    NetworkConfig,
    RLPDConfig,
    SACConfig,
    ScheduleConfig,
    TrainingPreset,
)

PAPER_BC = TrainingPreset(
    agent=BCConfig(),
    schedule=ScheduleConfig(batch_size=256, offline_updates=20_000),
)
"""Behaviour cloning with SERL's network and optimiser (Luo et al. 2024, arXiv:2401.16013)."""

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

_PRESETS: Mapping[tuple[str, str], TrainingPreset] = {
    ("bc", "paper"): PAPER_BC,
    ("sac", "paper"): PAPER_SAC,
    ("rlpd", "paper"): PAPER_RLPD,
    ("bc", "quickstart"): QUICKSTART_BC,
    ("rlpd", "quickstart"): QUICKSTART_RLPD,
}

PRESET_NAMES = ("paper", "quickstart")


def preset(algorithm: str, name: str = "paper") -> TrainingPreset:
    """The named hyper-parameters of an algorithm.

    Raises:
        UsageError: There is none of that name; the message lists the known ones.
    """
    found = _PRESETS.get((algorithm, name))
    if found is None:
        known = ", ".join(f"{a} {n}" for a, n in _PRESETS)
        raise UsageError(f"preset {name!r} of {algorithm!r}: not found; known: {known}")
    return found
