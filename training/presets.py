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
    agent=BCConfig(network=_SMALL, learning_rate=1e-3, distribution="deterministic"),
    schedule=ScheduleConfig(batch_size=128, offline_updates=1000),
)
"""Cloning for a few hundred demonstrated steps: a small network, a bounded deterministic action, and
as many updates as the actor of the preset `quickstart` of RLPD is pre-trained with."""

QUICKSTART_RLPD = TrainingPreset(
    agent=RLPDConfig(
        sac=SACConfig(
            actor=_SMALL,
            critic=_SMALL_NORM,
            actor_learning_rate=1e-3,
            critic_learning_rate=1e-3,
            temperature_learning_rate=1e-3,
            target_update_rate=0.02,
            evaluation_average_rate=0.01,
            discount=0.97,
            initial_temperature=0.003,
            target_entropy_per_dim=-0.5,
            entropy_backup=False,
            target_bounds=(0.0, 1.0),
            initial_log_std=-1.5,
        ),
        bc_pretrain_updates=1000,
        bc_weight=0.1,
    ),
    schedule=ScheduleConfig(batch_size=128, utd_ratio=2, env_steps_per_update=2, env_steps=8000),
)
"""RLPD for a sparse 0/1 reward, 20 demonstrations and two CPU cores. What differs from `paper`:

- Networks of 128 units, two critics, batches of 128, two critic updates per step: an update takes
  milliseconds, and more environment steps are cheaper here than more updates for each.
- Learning rates of 1e-3 and a target update rate of 0.02: few thousand updates have to do.
- Discount 0.97: the task takes 1 to 3 s at 10 Hz.
- Temperature 0.003 at the start, no entropy in the target, a small initial spread of actions: the entropy of a
  temperature of 1 or 0.1 drowns a return of at most 1.
- Targets clipped to [0, 1], the returns that there can be.
- Behaviour cloning before, and a weak term of it in the actor's loss: without either the reward is
  not found within minutes; a strong term would hold the actor at the noisy demonstrations.
- Evaluated is the Polyak average of the last policies, which varies less than each of them."""

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
