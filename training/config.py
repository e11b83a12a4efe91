"""Hyper-parameters of agents and runs: frozen, checked, and importable without jax.

Defaults are those of the papers named under each field; `presets.py` names whole sets of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .classifier_config import ClassifierConfig
from .config_checks import (
    keep_bounds,
    require,
    require_fraction,
    require_non_negative,
    require_positive,
)
from .network_config import EncoderConfig, GripperConfig, NetworkConfig

Algorithm = Literal["bc", "hg-dagger", "sac", "drq", "rlpd", "vice"]


@dataclass(frozen=True)
class BCConfig:
    """Behaviour cloning: supervised learning of the demonstrated action."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The policy network (SERL, Luo et al. 2024, arXiv:2401.16013: the same with tanh)."""
    learning_rate: float = 3e-4
    """Adam's step size (SERL)."""
    distribution: Literal["gaussian", "deterministic"] = "gaussian"
    """gaussian: maximum likelihood of a Gaussian with learned standard deviation (SERL).
    deterministic: mean squared error of a tanh-bounded action."""
    encoder: EncoderConfig | None = None
    """Image encoders; None: the agent sees the state alone."""
    chunk: int = 1
    """Actions K that are predicted at once, the present one and the next ones (ACT, Zhao et al.
    2023, arXiv:2304.13705)."""
    executed: int = 1
    """Actions of a chunk that are taken before the policy looks again; at most `chunk`."""
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    """Clip of a Gaussian's log standard deviation (SERL: the logarithms of 1e-5 and 5)."""

    def __post_init__(self) -> None:
        require_positive(self, "learning_rate")
        keep_bounds(self, "log_std_bounds")
        require(self.chunk >= 1, self, "chunk", "at least 1")
        within = 1 <= self.executed <= self.chunk
        require(within, self, "executed", f"1 to chunk ({self.chunk})")
        require(
            self.distribution in ("gaussian", "deterministic"),
            self,
            "distribution",
            "gaussian or deterministic",
        )

    def demo_rows(self, batch_size: int) -> int:
        """Number of rows of a batch that are demonstrations: all."""
        return batch_size


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic with an ensemble of critics and a learned temperature."""

    actor: NetworkConfig = field(default_factory=NetworkConfig)
    """The policy network."""
    critic: NetworkConfig = field(default_factory=NetworkConfig)
    """Each critic's network."""
    actor_learning_rate: float = 3e-4
    """Adam's step size for the policy (SAC, table 1)."""
    critic_learning_rate: float = 3e-4
    """Adam's step size for the critics (SAC, table 1)."""
    temperature_learning_rate: float = 3e-4
    """Adam's step size for the temperature (SAC, table 1)."""
    discount: float = 0.99
    """Discount factor per environment step (SAC, table 1); multiplies the data's own discount."""
    target_update_rate: float = 0.005
    """Share of the critics that moves into the target critics per critic update (SAC, tau)."""
    ensemble_size: int = 2
    """Number of critics E (SAC: 2; RLPD: 10)."""
    subset_size: int = 2
    """Critics drawn without replacement whose minimum is the target (REDQ, Chen et al. 2021,
    arXiv:2101.05982; RLPD: 2)."""
    initial_temperature: float = 1.0
    """Weight of the entropy at the start (SAC: 1.0)."""
    learn_temperature: bool = True
    """Adapt the temperature to hold the target entropy (SAC, section 5)."""
    target_entropy_per_dim: float = -1.0
    """Target entropy in nats per action dimension (SAC: -1; RLPD: -0.5)."""
    entropy_backup: bool = True
    """Add the entropy bonus of the next action to the target (SAC, equation 3)."""
    target_bounds: tuple[float, float] | None = None
    """Clip the target values to [low, high] of the reachable returns; none by default."""
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    """Clip of the policy's log standard deviation (SAC's reference implementation)."""
    initial_log_std: float = 0.0
    """Bias of the log standard deviation's output at the start (SAC: 0)."""
    evaluation_average_rate: float = 1.0
    """Share of the policy that moves into the policy used for evaluation per actor update;
    1.0: evaluate the policy itself (SAC); less: a Polyak average of the last ones."""
    encoder: EncoderConfig | None = None
    """Image encoders, trained by the critics' loss (DrQ); None: the agent sees the state alone."""
    gripper: GripperConfig | None = None
    """What chooses the grippers' actions; None: the policy does, as it does all others."""

    def __post_init__(self) -> None:
        for name in ("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate"):
            require_positive(self, name)
        require_positive(self, "initial_temperature")
        require_fraction(self, "discount")
        for name in ("target_update_rate", "evaluation_average_rate"):
            require_fraction(self, name)
            require_positive(self, name)
        require(self.ensemble_size >= 1, self, "ensemble_size", "at least 1")
        require(
            1 <= self.subset_size <= self.ensemble_size,
            self,
            "subset_size",
            f"1 to ensemble_size ({self.ensemble_size})",
        )
        for name in ("target_bounds", "log_std_bounds"):
            keep_bounds(self, name)
        low, high = self.log_std_bounds
        require(low <= self.initial_log_std <= high, self, "initial_log_std", f"{low} to {high}")

    def demo_rows(self, batch_size: int) -> int:
        """Number of rows of a batch that are demonstrations: none."""
        return 0


RLPD_SAC = SACConfig(
    critic=NetworkConfig(layer_norm=True),
    ensemble_size=10,
    subset_size=2,
    target_entropy_per_dim=-0.5,
)
"""RLPD's settings of soft actor-critic (Ball et al. 2023, table 1 and released configuration)."""


@dataclass(frozen=True)
class RLPDConfig:
    """RLPD: soft actor-critic whose every batch holds demonstrations and online data."""

    sac: SACConfig = RLPD_SAC
    """The soft actor-critic underneath."""
    demo_fraction: float = 0.5
    """Share of each batch that comes from the demonstrations (RLPD: 0.5)."""
    bc_pretrain_updates: int = 0
    """Behaviour-cloning updates of the policy before any reinforcement learning (RLPD: 0)."""
    bc_pretrain_learning_rate: float = 1e-3
    """Adam's step size of this pre-training."""
    bc_weight: float = 0.0
    """Weight of the squared error to the demonstrated actions in the actor's loss, on the
    demonstrations of the batch alone (RLPD: 0; TD3+BC, Fujimoto and Gu 2021, adds such a term)."""

    def __post_init__(self) -> None:
        require_fraction(self, "demo_fraction")
        require_non_negative(self, "bc_pretrain_updates")
        require_positive(self, "bc_pretrain_learning_rate")
        require_non_negative(self, "bc_weight")

    def demo_rows(self, batch_size: int) -> int:
        """Number of rows of a batch that are demonstrations; they come first."""
        return round(self.demo_fraction * batch_size)


SERL_CLASSIFIER = ClassifierConfig(label_smoothing=0.2, mixup=1.0, gradient_penalty=10.0)
"""The classifier of SERL's VICE (Luo et al. 2024, arXiv:2401.16013, released code)."""


@dataclass(frozen=True)
class VICEConfig(RLPDConfig):
    """VICE: RLPD that is rewarded by a classifier, which learns to tell success meanwhile."""

    classifier: ClassifierConfig = SERL_CLASSIFIER
    """Tells the last observations of successful demonstrations from what the policy reaches."""
    reward: Literal["binary", "probability"] = "binary"
    """binary: 1 where success is more likely than not (SERL); probability: how likely it is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.reward in ("binary", "probability"), self, "reward", "binary or probability")
        seen = self.sac.encoder.cameras if self.sac.encoder else ()
        wanted = self.classifier.encoder.cameras if self.classifier.encoder else ()
        there = set(wanted) <= set(seen)
        require(there, self, "classifier", f"cameras that the agent sees ({', '.join(seen)})")


AgentConfig = BCConfig | SACConfig | RLPDConfig | VICEConfig


@dataclass(frozen=True)
class ScheduleConfig:
    """How much of what happens when. An update is one `agent.update_utd` call."""

    batch_size: int = 256
    """Transitions per minibatch (SAC, table 1)."""
    utd_ratio: int = 1
    """Critic updates per environment step (SAC: 1; RLPD: 20)."""
    env_steps_per_update: int = 1
    """Environment steps per actor update; one update holds this times utd_ratio minibatches."""
    offline_updates: int = 0
    """Updates from the demonstrations alone before the first environment step."""
    env_steps: int = 0
    """Environment steps of online training; 0 for an offline agent."""
    random_steps: int = 0
    """First environment steps that take uniformly random actions."""
    start_training_steps: int = 0
    """Online environment steps to collect before the first online update."""
    max_actor_lead_steps: int = 100
    """Environment steps the actor may be ahead of the learner before it waits."""
    publish_interval_updates: int = 10
    """Updates between two publications of the policy to the actors."""
    evaluation_interval_steps: int = 1000
    """Environment steps between two evaluations while training; 0: none."""
    evaluation_episodes: int = 20
    """Episodes of each evaluation while training."""
    checkpoint_interval_updates: int = 1000
    """Updates between two checkpoints; one is always written at the end."""
    checkpoints_kept: int = 3
    """Newest checkpoints that are kept."""

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "utd_ratio",
            "env_steps_per_update",
            "publish_interval_updates",
            "checkpoint_interval_updates",
            "checkpoints_kept",
            "max_actor_lead_steps",
            "evaluation_episodes",
        ):
            require_positive(self, name)
        for name in (
            "offline_updates",
            "env_steps",
            "random_steps",
            "start_training_steps",
            "evaluation_interval_steps",
        ):
            require_non_negative(self, name)

    @property
    def minibatches_per_update(self) -> int:
        """Minibatches U of one `agent.update_utd` call."""
        return self.utd_ratio * self.env_steps_per_update


@dataclass(frozen=True)
class ReplayConfig:
    """Sizes of the replay tables."""

    online_capacity: int = 1_000_000
    """Online transitions the learner draws from; then the oldest leave (SAC, table 1)."""
    demos_capacity: int = 1_000_000
    """Transitions of demonstrations; more of them is an error, not a silent wrap. Transitions in
    which a person drove a run join them; then the oldest leave."""

    def __post_init__(self) -> None:
        require_positive(self, "online_capacity")
        require_positive(self, "demos_capacity")


@dataclass(frozen=True)
class TrainingPreset:
    """A named, documented set of hyper-parameters of one algorithm."""

    agent: AgentConfig
    """The agent's hyper-parameters."""
    schedule: ScheduleConfig = ScheduleConfig()
    """The run's schedule."""
    replay: ReplayConfig = ReplayConfig()
    """The replay tables."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run; kept as `config.json` in its directory."""

    algorithm: Algorithm
    """bc, hg-dagger, sac, drq, rlpd or vice."""
    agent: AgentConfig
    """The algorithm's hyper-parameters."""
    env_id: str
    """Gymnasium id of the task."""
    env_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the task (JSON values)."""
    demos: tuple[str, ...] = ()
    """Dataset directories of the demonstrations."""
    policies: Literal["one", "per-task", "per-arm"] = "one"
    """one policy for all; per-task: one for the task and one for its reverse; per-arm: one for
    each arm. They share the replay."""
    seed: int = 0
    """Seed of the networks, the sampling and the environment."""
    schedule: ScheduleConfig = ScheduleConfig()
    """The run's schedule."""
    replay: ReplayConfig = ReplayConfig()
    """The replay tables."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "demos", tuple(self.demos))
        require(self.algorithm in AGENT_CONFIGS, self, "algorithm", ", ".join(AGENT_CONFIGS))
        expected = AGENT_CONFIGS[self.algorithm]
        require(
            isinstance(self.agent, expected),
            self,
            "agent",
            f"a {expected.__name__} for algorithm {self.algorithm!r}",
        )
        if self.algorithm == "drq":
            require(self.encoder is not None, self, "agent", "one with image encoders for drq")
        require(0 <= self.seed < 2**32, self, "seed", "0 to 4294967295")

    @property
    def encoder(self) -> EncoderConfig | None:
        """The agent's image encoders."""
        return encoder_of(self.agent)

    @property
    def chunk(self) -> int:
        """Actions K that the agent learns at once, side by side in a transition's action."""
        return self.agent.chunk if isinstance(self.agent, BCConfig) else 1


def encoder_of(agent: AgentConfig) -> EncoderConfig | None:
    """The image encoders of an agent; None for one that sees the state alone."""
    return agent.sac.encoder if isinstance(agent, RLPDConfig) else agent.encoder


AGENT_CONFIGS: Mapping[str, type[AgentConfig]] = {
    "bc": BCConfig,
    "hg-dagger": BCConfig,
    "sac": SACConfig,
    "drq": SACConfig,
    "rlpd": RLPDConfig,
    "vice": VICEConfig,
}
"""The configuration class of each algorithm."""
