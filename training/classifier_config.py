"""Hyper-parameters of success classifiers: frozen, checked, and importable without jax."""

from __future__ import annotations

from dataclasses import dataclass, field

from .config_checks import require, require_fraction, require_non_negative, require_positive
from .network_config import EncoderConfig, NetworkConfig

ONE_LAYER = NetworkConfig(hidden_dims=(256,), layer_norm=True)


@dataclass(frozen=True)
class ClassifierConfig:
    """A binary classifier of observations."""

    network: NetworkConfig = ONE_LAYER
    """The hidden layers (one of 256 units with LayerNorm in SERL, Luo et al. 2024,
    arXiv:2401.16013, which also drops a tenth of them out, and in VICE has leaky ReLUs)."""
    learning_rate: float = 3e-4
    """Adam's step size (SERL: 1e-4 on a frozen trunk, 3e-4 in VICE)."""
    encoder: EncoderConfig | None = None
    """Image encoders of the classifier's own; None: it looks at the state alone."""
    with_state: bool = False
    """Whether a classifier that sees images looks at the state as well (SERL: no)."""
    label_smoothing: float = 0.0
    """Share of each label that is moved to the middle (SERL's VICE: 0.2)."""
    mixup: float = 0.0
    """Parameter a of Beta(a, a), by which examples and their labels are mixed pairwise (Zhang et
    al. 2018, arXiv:1710.09412; features of images are mixed, not images; SERL's VICE: 1); 0: not at
    all."""
    gradient_penalty: float = 0.0
    """Weight of (norm of the logit's gradient - 1) squared (Gulrajani et al. 2017,
    arXiv:1704.00028; SERL's VICE: 10)."""

    def __post_init__(self) -> None:
        require_positive(self, "learning_rate")
        require_fraction(self, "label_smoothing")
        require_non_negative(self, "mixup")
        require_non_negative(self, "gradient_penalty")

    @property
    def sees_state(self) -> bool:
        """Whether it looks at the state."""
        return self.with_state or self.encoder is None

    @property
    def proprio_features(self) -> int:
        """Units of the layer that the state passes before it joins the images; 0: none."""
        return self.encoder.proprio_features if self.encoder and self.with_state else 0


@dataclass(frozen=True)
class LabelRule:
    """Which frames of an episode without a label of its own are examples of success."""

    positives: int = 1
    """Frames at the end of a successful episode that show success."""
    left_out: int = 0
    """Frames before those that are examples of neither, as nobody could tell."""

    def __post_init__(self) -> None:
        require(self.positives >= 1, self, "positives", "at least 1")
        require_non_negative(self, "left_out")


@dataclass(frozen=True)
class ClassifierTraining:
    """How `serlds train classifier` trains."""

    classifier: ClassifierConfig = field(
        default_factory=lambda: ClassifierConfig(encoder=EncoderConfig(kind="light", features=64))
    )
    """The classifier."""
    labels: LabelRule = LabelRule()
    """What is an example of success."""
    updates: int = 1000
    """Gradient steps (SERL: 100 on a frozen trunk)."""
    batch_size: int = 128
    """Frames of each, half of them of success (SERL: 256)."""
    held_out: float = 0.2
    """Share of the episodes that is kept from training to measure the classifier."""
    threshold: float = 0.5
    """Probability from which a frame is a success (SERL: 0.5; HIL-SERL: 0.7 to 0.85)."""
    most_frames: int = 20_000
    """Frames of each class that are kept at most, drawn at random from what there is."""

    def __post_init__(self) -> None:
        for name in ("updates", "most_frames"):
            require_positive(self, name)
        require(self.batch_size >= 2, self, "batch_size", "at least 2")
        require(0 < self.held_out < 1, self, "held_out", "above 0, below 1")
        require(0 < self.threshold < 1, self, "threshold", "above 0, below 1")
