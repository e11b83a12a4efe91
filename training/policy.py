"""The policy as an actor runs it: one flat float32 vector of weights and a NumPy forward pass.

An actor needs no jax. For a single observation the NumPy pass of a small network is also the
faster one (benchmarks/policy_forward.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..datasets.errors import UsageError
from .config import AgentConfig, BCConfig, NetworkConfig, RLPDConfig

Distribution = Literal["tanh_gaussian", "gaussian", "deterministic"]

LAYER_NORM_EPSILON = 1e-6


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

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of a packed policy, in order."""
        shapes: dict[str, tuple[int, ...]] = {
            "observation/mean": (self.observation_dim,),
            "observation/std": (self.observation_dim,),
        }
        width = self.observation_dim
        for i, units in enumerate(self.network.hidden_dims):
            shapes[f"hidden_{i}/kernel"] = (width, units)
            shapes[f"hidden_{i}/bias"] = (units,)
            if self.network.layer_norm:
                shapes[f"norm_{i}/scale"] = (units,)
                shapes[f"norm_{i}/bias"] = (units,)
            width = units
        heads = ("mean",) if self.distribution == "deterministic" else ("mean", "log_std")
        for head in heads:
            shapes[f"{head}/kernel"] = (width, self.action_dim)
            shapes[f"{head}/bias"] = (self.action_dim,)
        return shapes

    @property
    def size(self) -> int:
        """Length of the packed vector."""
        return sum(int(np.prod(shape)) for shape in self.layout().values())


def policy_spec(config: AgentConfig, observation_dim: int, action_dim: int) -> PolicySpec:
    """The layout of the policy that an agent of this configuration trains."""
    if isinstance(config, BCConfig):
        return PolicySpec(observation_dim, action_dim, config.network, config.distribution)
    sac = config.sac if isinstance(config, RLPDConfig) else config
    return PolicySpec(observation_dim, action_dim, sac.actor, "tanh_gaussian", sac.log_std_bounds)


class MLPPolicy:
    """A packed policy, unpacked once and evaluated often."""

    def __init__(self, spec: PolicySpec, packed: np.ndarray) -> None:
        """Unpacks the weights.

        Args:
            spec: What the packed numbers mean.
            packed: (spec.size,) float32, from an agent's `packed_policy`.

        Raises:
            UsageError: The vector's length is not the specification's.
        """
        if packed.shape != (spec.size,):
            raise UsageError(
                f"policy weights: expected {spec.size} numbers for observations of "
                f"{spec.observation_dim} and actions of {spec.action_dim} dimensions, "
                f"found shape {packed.shape}. Use the policy with the task it was trained on."
            )
        self.spec = spec
        self._weights = _unpack(spec, np.array(packed, np.float32))

    def mode(self, observations: np.ndarray) -> np.ndarray:
        """The most likely actions.

        Args:
            observations: (S,) or (B, S) float32.

        Returns:
            (A,) or (B, A) float32 in [-1, 1].
        """
        return self._bound(self._head("mean", self._features(observations)))

    def sample(self, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Actions drawn from the policy's distribution.

        Args:
            observations: (S,) or (B, S) float32.
            rng: Source of the noise; it advances.

        Returns:
            (A,) or (B, A) float32 in [-1, 1].
        """
        features = self._features(observations)
        mean = self._head("mean", features)
        if self.spec.distribution == "deterministic":
            return self._bound(mean)
        low, high = self.spec.log_std_bounds
        std = np.exp(np.clip(self._head("log_std", features), low, high))
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return self._bound(mean + std * noise)

    def _features(self, observations: np.ndarray) -> np.ndarray:
        weights = self._weights
        x = (observations - weights["observation/mean"]) / weights["observation/std"]
        for i in range(len(self.spec.network.hidden_dims)):
            x = x @ weights[f"hidden_{i}/kernel"] + weights[f"hidden_{i}/bias"]
            if self.spec.network.layer_norm:
                x = layer_norm(x, weights[f"norm_{i}/scale"], weights[f"norm_{i}/bias"])
            x = np.tanh(x) if self.spec.network.activation == "tanh" else np.maximum(x, 0.0)
        return x

    def _head(self, name: str, features: np.ndarray) -> np.ndarray:
        return features @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]

    def _bound(self, actions: np.ndarray) -> np.ndarray:
        if self.spec.distribution == "gaussian":
            return np.clip(actions, -1.0, 1.0)
        return np.tanh(actions)


def layer_norm(x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Normalises the last axis (Ba et al. 2016, equation 4). x: (..., F); scale, bias: (F,)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + LAYER_NORM_EPSILON) * scale + bias


def _unpack(spec: PolicySpec, packed: np.ndarray) -> dict[str, np.ndarray]:
    weights, start = {}, 0
    for name, shape in spec.layout().items():
        stop = start + int(np.prod(shape))
        weights[name] = packed[start:stop].reshape(shape)
        start = stop
    return weights
