"""The policy as an actor runs it: one flat float32 vector of weights and a NumPy forward pass.

An actor needs no jax. For a single observation the NumPy pass (`envs/policy_forward.py`) of a small
network is also the faster one (benchmarks/policy_forward.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from ..datasets.errors import UsageError
from ..envs.policy_forward import GRIPPER_LEVELS, PoliciesForward, PolicyForward
from .config import (
    AgentConfig,
    BCConfig,
    EncoderConfig,
    GripperConfig,
    NetworkConfig,
    RLPDConfig,
    encoder_of,
)
from .encoder_layout import CONV_STACKS, encoder_layout
from .encoder_trunk import read_trunk

Distribution = Literal["tanh_gaussian", "gaussian", "deterministic"]


@dataclass(frozen=True)
class PolicySpec:
    """What the numbers of a packed policy mean."""

    observation_dim: int
    """Length S of the observation vector."""
    action_dim: int
    """Length A of the action vector."""
    network: NetworkConfig
    """The hidden layers."""
    distribution: Distribution
    """tanh_gaussian: tanh of a Gaussian sample; gaussian: a Gaussian clipped to [-1, 1];
    deterministic: tanh of the output."""
    log_std_bounds: tuple[float, float] = (-20.0, 2.0)
    """Clip of the log standard deviation."""
    encoder: EncoderConfig | None = None
    """The image encoders; None for a policy that sees the state alone."""
    image_shapes: tuple[tuple[int, int, int], ...] = ()
    """(H, W, 3) of each of the encoder's cameras."""
    chunk: int = 1
    """Actions K that the network predicts at once, side by side."""
    executed: int = 1
    """How many of them are taken before the policy looks again."""
    gripper: GripperConfig | None = None
    """The critic that chooses what grippers do; None: the network does."""

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of a packed policy, in order.

        The trunk of a frozen encoder is not among them: it never changes.
        """
        shapes: dict[str, tuple[int, ...]] = {
            "observation/mean": (self.observation_dim,),
            "observation/std": (self.observation_dim,),
        }
        width = self.observation_dim
        if self.proprio_features:
            width = self.proprio_features
            shapes["proprio/kernel"] = (self.observation_dim, width)
            for name in ("proprio/bias", "proprio_norm/scale", "proprio_norm/bias"):
                shapes[name] = (width,)
        for camera, shape in self._cameras().items():
            width += self.encoder.features
            for name, array in encoder_layout(self.encoder, shape).items():
                shapes[f"encoder/{camera}/{name}"] = array
        outputs = self.chunk * (self.action_dim - len(self.gripper_positions))
        heads = ("mean",) if self.distribution == "deterministic" else ("mean", "log_std")
        shapes |= _network(self.network, width, dict.fromkeys(heads, outputs))
        if self.gripper is not None:
            own = {name: shape for name, shape in shapes.items() if name.startswith("proprio")}
            values = {"values": GRIPPER_LEVELS ** len(self.gripper_positions)}
            own |= _network(self.gripper.network, width, values)
            shapes |= {f"gripper/{name}": shape for name, shape in own.items()}
        return shapes

    def forward_options(self) -> dict[str, Any]:
        """What `PolicyForward` is told beside the weights; JSON values."""
        return {
            **network_options(self.network),
            "distribution": self.distribution,
            "log_std_bounds": list(self.log_std_bounds),
            "proprio": self.proprio_features > 0,
            "encoder": encoder_options(self.encoder),
            "gripper": self.gripper and {
                **network_options(self.gripper.network),
                "positions": list(self.gripper_positions),
            },
        }  # fmt: skip

    @property
    def gripper_positions(self) -> tuple[int, ...]:
        """Positions in the action of the grippers that have a critic of their own."""
        return self.gripper.positions(self.action_dim) if self.gripper else ()

    @property
    def proprio_features(self) -> int:
        """Units of the layer that the state passes before it joins the images; 0: none."""
        return self.encoder.proprio_features if self.encoder else 0

    def _cameras(self) -> dict[str, tuple[int, int, int]]:
        cameras = self.encoder.cameras if self.encoder else ()
        return dict(zip(cameras, self.image_shapes, strict=True))

    @property
    def size(self) -> int:
        """Length of the packed vector."""
        return sum(int(np.prod(shape)) for shape in self.layout().values())


def policy_spec(
    config: AgentConfig,
    observation_dim: int,
    action_dim: int,
    image_shapes: Mapping[str, tuple[int, int, int]] = MappingProxyType({}),
) -> PolicySpec:
    """The layout of the policy that an agent of this configuration trains.

    Args:
        config: Of the agent.
        observation_dim: Length S of the state.
        action_dim: Length A of the action.
        image_shapes: (H, W, 3) by camera, of the cameras that the agent sees.
    """
    encoder = encoder_of(config)
    shapes = tuple(tuple(image_shapes[name]) for name in encoder.cameras) if encoder else ()
    seen: dict[str, Any] = {"encoder": encoder, "image_shapes": shapes}
    if isinstance(config, BCConfig):
        return PolicySpec(
            observation_dim,
            action_dim,
            config.network,
            config.distribution,
            config.log_std_bounds,
            **seen,
            chunk=config.chunk,
            executed=config.executed,
        )
    sac = config.sac if isinstance(config, RLPDConfig) else config
    return PolicySpec(
        observation_dim,
        action_dim,
        sac.actor,
        "tanh_gaussian",
        sac.log_std_bounds,
        **seen,
        gripper=sac.gripper,
    )


@dataclass(frozen=True)
class PoliciesSpec:
    """What the numbers of several packed policies, one after the other, mean."""

    parts: tuple[PolicySpec, ...]
    """Of each policy."""
    switch: int | None
    """Position in the state of what tells the task; None: each policy drives an arm."""

    @property
    def size(self) -> int:
        """Length of the packed vector."""
        return sum(part.size for part in self.parts)

    @property
    def observation_dim(self) -> int:
        """Length S of the observation vector."""
        return self.parts[0].observation_dim

    @property
    def action_dim(self) -> int:
        """Length A of the action vector."""
        dims = [part.action_dim for part in self.parts]
        return sum(dims) if self.switch is None else dims[0]

    @property
    def chunk(self) -> int:
        """Actions K that are predicted at once."""
        return self.parts[0].chunk

    @property
    def executed(self) -> int:
        """How many of them are taken before the policies look again."""
        return self.parts[0].executed

    def forward_options(self) -> dict[str, Any]:
        """What an exported policy is told beside the weights; JSON values."""
        options = [part.forward_options() for part in self.parts]
        return {"policies": options, "switch": self.switch, "chunk": self.chunk}


def unpack_policy(
    spec: PolicySpec | PoliciesSpec, packed: np.ndarray
) -> PackedPolicy | PackedPolicies:
    """The policy of packed numbers; raises as `PackedPolicy`."""
    if isinstance(spec, PoliciesSpec):
        return PackedPolicies(spec, packed)
    return PackedPolicy(spec, packed)


class PackedPolicies(PoliciesForward):
    """Several packed policies that act as one."""

    def __init__(self, spec: PoliciesSpec, packed: np.ndarray) -> None:
        """Unpacks the weights; as `PackedPolicy`."""
        _check_length(spec, packed)
        self.spec = spec
        ends = np.cumsum([part.size for part in spec.parts])[:-1]
        parts = zip(spec.parts, np.split(packed, ends), strict=True)
        policies = [PackedPolicy(part, numbers) for part, numbers in parts]
        super().__init__(policies, spec.switch, spec.chunk)


class PackedPolicy(PolicyForward):
    """A packed policy, unpacked once and evaluated often."""

    def __init__(self, spec: PolicySpec, packed: np.ndarray) -> None:
        """Unpacks the weights.

        Args:
            spec: What the packed numbers mean.
            packed: (spec.size,) float32, from an agent's `packed_policy`.

        Raises:
            UsageError: The vector's length is not the specification's.
        """
        _check_length(spec, packed)
        self.spec = spec
        weights = _unpack(spec, np.array(packed, np.float32))
        if spec.encoder is not None and spec.encoder.kind == "frozen_resnet10":
            weights |= {f"trunk/{name}": array for name, array in read_trunk(spec.encoder).items()}
        super().__init__(weights, **spec.forward_options())


def _check_length(spec: PolicySpec | PoliciesSpec, packed: np.ndarray) -> None:
    if packed.shape != (spec.size,):
        raise UsageError(
            f"policy weights: expected {spec.size} numbers for observations of "
            f"{spec.observation_dim} and actions of {spec.action_dim} dimensions, "
            f"found shape {packed.shape}. Use the policy with the task it was trained on."
        )


def _network(
    network: NetworkConfig, width: int, heads: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """The hidden layers of a network that takes `width` numbers, and its heads by their outputs."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, units in enumerate(network.hidden_dims):
        shapes[f"hidden_{i}/kernel"] = (width, units)
        shapes[f"hidden_{i}/bias"] = (units,)
        if network.layer_norm:
            shapes[f"norm_{i}/scale"] = (units,)
            shapes[f"norm_{i}/bias"] = (units,)
        width = units
    for head, outputs in heads.items():
        shapes[f"{head}/kernel"] = (width, outputs)
        shapes[f"{head}/bias"] = (outputs,)
    return shapes


def network_options(network: NetworkConfig) -> dict[str, Any]:
    """What `NetworkForward` is told of the hidden layers; JSON values."""
    return {
        "hidden_layers": len(network.hidden_dims),
        "layer_norm": network.layer_norm,
        "activation": network.activation,
    }


def _unpack(spec: PolicySpec, packed: np.ndarray) -> dict[str, np.ndarray]:
    weights, start = {}, 0
    for name, shape in spec.layout().items():
        stop = start + int(np.prod(shape))
        weights[name] = packed[start:stop].reshape(shape)
        start = stop
    return weights


def encoder_options(encoder: EncoderConfig | None) -> dict[str, Any] | None:
    """What `NetworkForward` is told of the image encoders; JSON values, None without encoders."""
    if encoder is None:
        return None
    options: dict[str, Any] = {"kind": encoder.kind, "cameras": list(encoder.cameras)}
    if stack := CONV_STACKS.get(encoder.kind):
        options["strides"] = [stride for _, stride, _ in stack.convs]
        options["padding"], options["pooling"] = stack.padding, stack.pooling
    return options
