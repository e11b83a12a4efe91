"""Architectures of networks: frozen, checked, and importable without jax."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from .config_checks import require, require_non_negative, require_positive

Activation = Literal["relu", "tanh"]
EncoderKind = Literal["small", "light", "resnet10", "frozen_resnet10"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class NetworkConfig:
    """A multi-layer perceptron."""

    hidden_dims: tuple[int, ...] = (256, 256)
    """Units of each hidden layer (SAC, Haarnoja et al. 2018, arXiv:1812.05905, table 1)."""
    layer_norm: bool = False
    """LayerNorm before each activation (critics of RLPD, Ball et al. 2023, arXiv:2302.02948)."""
    activation: Activation = "relu"
    """Nonlinearity of the hidden layers (SAC, table 1: relu)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        require(len(self.hidden_dims) > 0, self, "hidden_dims", "at least one layer")
        require(min(self.hidden_dims) > 0, self, "hidden_dims", "units of at least 1 per layer")
        require(self.activation in ("relu", "tanh"), self, "activation", "relu or tanh")


@dataclass(frozen=True)
class EncoderConfig:
    """Image encoders, one per camera, and the random shifts of their images in training."""

    kind: EncoderKind = "light"
    """small: four 3x3 convolutions, the mean over all places (SERL, Luo et al. 2024,
    arXiv:2401.16013). light: patches of 8x8 pixels, then two 3x3 convolutions; a fraction of the
    cost, for CPUs. resnet10: ResNet-10 with GroupNorm and learned weights of the places (SERL).
    frozen_resnet10: the same with a trunk from a file that is not trained (SERL's default)."""
    cameras: tuple[str, ...] = ("front", "wrist")
    """The cameras that the agent sees."""
    features: int = 256
    """Features of each camera (SERL)."""
    proprio_features: int = 64
    """Features that each network makes of the state before it joins them; 0: the state itself
    (SERL: 64)."""
    shift_pixels: int = 4
    """Largest random shift of the images in training (DrQ, Kostrikov et al. 2020,
    arXiv:2004.13649)."""
    trunk: str = ""
    """File with the trunk of frozen_resnet10, from `serlds import encoder`."""
    trunk_sha256: str = ""
    """Digest of that file; filled in when a run is made."""
    trunk_precision: Precision = "auto"
    """Of the convolutions in the trunk of frozen_resnet10 while learning. bfloat16: features within
    1 %, in half of the time on CPUs with AMX. auto: bfloat16 on those, else float32; what it
    became is filled in when a run is made."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        kinds = typing.get_args(EncoderKind)
        require(self.kind in kinds, self, "kind", ", ".join(kinds))
        require(len(self.cameras) > 0, self, "cameras", "at least one camera")
        require(len(set(self.cameras)) == len(self.cameras), self, "cameras", "each camera once")
        require_positive(self, "features")
        require_non_negative(self, "proprio_features")
        require_non_negative(self, "shift_pixels")
        frozen = self.kind == "frozen_resnet10"
        precisions = typing.get_args(Precision)
        require(self.trunk_precision in precisions, self, "trunk_precision", ", ".join(precisions))
        require(bool(self.trunk) == frozen, self, "trunk", "a file for frozen_resnet10, else none")


SERL_NETWORK = NetworkConfig(layer_norm=True, activation="tanh")
"""SERL's critics and policies (Luo et al. 2024, arXiv:2401.16013, released code)."""
ARM_ACTIONS = 7
"""Numbers of an arm's action, of which the last is the gripper's."""


@dataclass(frozen=True)
class GripperConfig:
    """A critic of what grippers do, beside a policy of everything else (HIL-SERL, Luo et al. 2024,
    arXiv:2410.21845): each gripper's action is -1, 0 or 1, the most valuable one."""

    network: NetworkConfig = SERL_NETWORK
    """The critic's network (HIL-SERL)."""
    learning_rate: float = 3e-4
    """Adam's step size (HIL-SERL)."""
    actions: tuple[int, ...] = ()
    """Positions of the grippers in the action; none: the last of each arm's seven numbers."""
    penalty: float = 0.02
    """Taken from the critic's reward when a gripper is told to open that is closed, or to close
    that is open (HIL-SERL: 0.02)."""
    openings: tuple[int, ...] = ()
    """Positions in the state of how far each gripper is open, in the same order; none: a run looks
    for the task's fields `gripper_pos`."""
    open_above: float = 0.03
    """Opening, in units of the state (m), above which a gripper is open."""

    def __post_init__(self) -> None:
        require_positive(self, "learning_rate")
        require_non_negative(self, "penalty")
        for name in ("actions", "openings"):
            positions = tuple(getattr(self, name))
            object.__setattr__(self, name, positions)
            distinct = len(set(positions)) == len(positions) and min(positions, default=0) >= 0
            require(distinct, self, name, "distinct positions from 0")

    def positions(self, action_dim: int) -> tuple[int, ...]:
        """Positions of the grippers in an action of this length.

        Raises:
            UsageError: There is none, or one that the action does not have.
        """
        found = self.actions or tuple(range(ARM_ACTIONS - 1, action_dim, ARM_ACTIONS))
        fits = bool(found) and max(found) < action_dim
        require(fits, self, "actions", f"positions in an action of {action_dim} numbers")
        return found
