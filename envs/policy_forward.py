"""A trained policy with NumPy alone.

serlds acts with this code, and `serlds export policy` ships this very file as `act.py`, beside
`policy.npz` (the weights) and `policy.json` (what they mean). It needs Python 3.9 and NumPy.

    from act import ExportedPolicy

    policy = ExportedPolicy.load("path/of/the/directory")
    policy.reset()                                          # when an episode begins
    action = policy({"tcp_pos": ..., "joint_pos": ...})     # `control_hz` times a second
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LAYER_NORM_EPSILON = 1e-6
GROUP_NORM_EPSILON = 1e-5
GRIPPER_LEVELS = 3
"""Commands of a gripper that has a critic: -1, 0, 1."""
RESNET_BLOCKS = 4
RESNET_GROUPS = 4
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

Weights = Mapping[str, np.ndarray]


class NetworkForward:
    """The forward pass of a multi-layer perceptron that sees a state, images, or both.

    What it sees is the state (S,) or (B, S) float32 and, where it has image encoders,
    `images[camera]` (H, W, 3) or (B, H, W, 3) uint8.

    Attributes:
        weights: float32 arrays by name, e.g. `hidden_0/kernel` (S, units).
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        *,
        hidden_layers: int,
        layer_norm: bool,
        activation: str,
        proprio: bool = False,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes a network of its weights.

        Args:
            weights: As the attribute.
            hidden_layers: Their number.
            layer_norm: Whether LayerNorm stands before each activation.
            activation: `relu` or `tanh`.
            proprio: Whether the state passes a layer of its own before it joins the images.
            encoder: The image encoders: `kind`, `cameras` in order and, of convolutions in a row,
                `strides`, `padding` and `pooling`.
        """
        self.weights = weights
        self._network = {
            "hidden_layers": hidden_layers, "layer_norm": layer_norm, "activation": activation
        }  # fmt: skip
        self._proprio = proprio
        self._encoder = encoder

    def _see(
        self, state: np.ndarray, images: Mapping[str, np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The normalised state, and the features of the images; None without encoders."""
        weights = self.weights
        normal = (state - weights["observation/mean"]) / weights["observation/std"]
        return normal, None if self._encoder is None else self._image_features(images or {})

    def _features(
        self,
        seen: tuple[np.ndarray, np.ndarray | None],
        network: Mapping[str, Any] | None = None,
        own: str = "",
    ) -> np.ndarray:
        """What the hidden layers make of it; its own, or those of another `network`."""
        weights, network = self.weights, network or self._network
        x, features = seen
        if self._proprio:
            x = np.tanh(_normed(_dense(x, weights, f"{own}proprio"), weights, f"{own}proprio_norm"))
        if features is not None:
            x = np.concatenate([features, x], axis=-1)
        for i in range(network["hidden_layers"]):
            x = _dense(x, weights, f"{own}hidden_{i}")
            if network["layer_norm"]:
                x = _normed(x, weights, f"{own}norm_{i}")
            x = np.tanh(x) if network["activation"] == "tanh" else np.maximum(x, 0.0)
        return x

    def _image_features(self, images: Mapping[str, np.ndarray]) -> np.ndarray:
        parts = []
        for camera in self._encoder["cameras"]:
            image = np.asarray(images[camera])
            batch = image if image.ndim == 4 else image[None]
            features = encode_images(self._encoder, self.weights, camera, batch)
            parts.append(features if image.ndim == 4 else features[0])
        return np.concatenate(parts, axis=-1)

    def _head(self, name: str, features: np.ndarray) -> np.ndarray:
        return _dense(features, self.weights, name)


class PolicyForward(NetworkForward):
    """The forward pass of a policy network: a multi-layer perceptron with one or two heads.

    A policy that predicts chunks of K actions gives them side by side, (K * A,) for (A,).
    """

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        *,
        distribution: str,
        log_std_bounds: Sequence[float],
        gripper: Mapping[str, Any] | None = None,
        **network: Any,
    ) -> None:
        """Makes a policy of its weights.

        Args:
            weights: As the attribute.
            distribution: `tanh_gaussian`, `gaussian` (clipped to [-1, 1]) or `deterministic`
                (tanh of the output).
            log_std_bounds: Clip of the log standard deviation.
            gripper: The critic that chooses what grippers do: their `positions` in the action, and
                `hidden_layers`, `layer_norm` and `activation` of its network.
            network: As of `NetworkForward`.
        """
        super().__init__(weights, **network)
        self._distribution = distribution
        self._log_std_bounds = log_std_bounds
        self._gripper = gripper

    def mode(self, state: np.ndarray, images: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """The most likely actions: (A,) or (B, A) float32 in [-1, 1]."""
        seen = self._see(state, images)
        motion = self._bound(self._head("mean", self._features(seen)))
        return self._with_grippers(motion, seen)

    def sample(
        self,
        state: np.ndarray,
        rng: np.random.Generator,
        images: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Actions drawn from the policy's distribution: (A,) or (B, A) float32 in [-1, 1].

        `rng` is the source of the noise; it advances.
        """
        seen = self._see(state, images)
        features = self._features(seen)
        mean = self._head("mean", features)
        if self._distribution == "deterministic":
            return self._with_grippers(self._bound(mean), seen)
        low, high = self._log_std_bounds
        std = np.exp(np.clip(self._head("log_std", features), low, high))
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return self._with_grippers(self._bound(mean + std * noise), seen)

    def _with_grippers(
        self, motion: np.ndarray, seen: tuple[np.ndarray, np.ndarray | None]
    ) -> np.ndarray:
        """The whole action: each gripper's command is -1, 0 or 1, the most valuable jointly."""
        if self._gripper is None:
            return motion
        values = self._head("gripper/values", self._features(seen, self._gripper, "gripper/"))
        best, positions = values.argmax(axis=-1), self._gripper["positions"]
        action = np.empty((*motion.shape[:-1], motion.shape[-1] + len(positions)), np.float32)
        action[..., [i for i in range(action.shape[-1]) if i not in positions]] = motion
        for position in reversed(positions):
            action[..., position] = best % GRIPPER_LEVELS - 1
            best = best // GRIPPER_LEVELS
        return action

    def _bound(self, actions: np.ndarray) -> np.ndarray:
        if self._distribution == "gaussian":
            return np.clip(actions, -1.0, 1.0)
        return np.tanh(actions)


class PoliciesForward:
    """Several policies that act as one: each in its own task, or each for its own arm.

    Attributes:
        weights: Those of policy k begin with `k/`.
    """

    def __init__(
        self, policies: Sequence[PolicyForward], switch: int | None, chunk: int = 1
    ) -> None:
        """Joins policies.

        Args:
            policies: Two for two tasks; one for each arm, in the order of the action.
            switch: Position in the state of the number that tells the task: the second policy acts
                where it is above 0. None: all act together.
            chunk: Actions that each predicts at once.
        """
        self.weights = {
            f"{k}/{name}": array
            for k, policy in enumerate(policies)
            for name, array in policy.weights.items()
        }
        self._policies = policies
        self._switch = switch
        self._chunk = chunk

    def mode(self, state: np.ndarray, images: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """As of `PolicyForward`."""
        return self._joined(state, lambda policy: policy.mode(state, images))

    def sample(
        self,
        state: np.ndarray,
        rng: np.random.Generator,
        images: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """As of `PolicyForward`."""
        return self._joined(state, lambda policy: policy.sample(state, rng, images))

    def _joined(self, state: np.ndarray, act: Callable[[PolicyForward], np.ndarray]) -> np.ndarray:
        if self._switch is None:
            actions = [act(policy) for policy in self._policies]
            lead = actions[0].shape[:-1]
            by_step = [action.reshape(*lead, self._chunk, -1) for action in actions]
            return np.concatenate(by_step, axis=-1).reshape(*lead, -1)
        is_second = np.asarray(state)[..., self._switch] > 0
        if is_second.ndim == 0:
            return act(self._policies[int(is_second)])
        return np.where(is_second[..., None], act(self._policies[1]), act(self._policies[0]))


class OpenLoop:
    """Takes several actions of a predicted chunk before the next one is predicted."""

    def __init__(self, chunk: int, executed: int) -> None:
        """Takes the first `executed` of `chunk` actions."""
        self._chunk = chunk
        self._executed = executed
        self._left: list[np.ndarray] = []

    def reset(self) -> None:
        """Starts an episode: what is left of a chunk is forgotten."""
        self._left = []

    def next(self, predict: Callable[[], np.ndarray]) -> np.ndarray:
        """The action (A,) to take now; `predict` gives the next chunk (K * A,) when it is due."""
        if not self._left:
            self._left = list(predict().reshape(self._chunk, -1)[: self._executed])
        return self._left.pop(0)


class ExportedPolicy:
    """A policy as `serlds export policy` writes it.

    Attributes:
        spec: The content of `policy.json`.
        forward: The network.
    """

    def __init__(self, spec: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        """A policy of the content of `policy.json` and of `policy.npz`."""
        self.spec = spec
        self.forward = _forward_of(spec["network"], weights)
        self._shapes = {field["name"]: tuple(field["shape"]) for field in spec["state"]}
        self._images = {image["name"]: tuple(image["shape"]) for image in spec.get("images", [])}
        self._open_loop = OpenLoop(**spec.get("open_loop", {"chunk": 1, "executed": 1}))

    @classmethod
    def load(cls, directory: str | Path) -> ExportedPolicy:
        """Reads an exported policy; nothing in its files is executed.

        Raises:
            OSError: A file is missing.
            ValueError: The weights are not those that `policy.json` describes.
        """
        directory = Path(directory)
        spec = json.loads((directory / "policy.json").read_text(encoding="utf-8"))
        with np.load(directory / "policy.npz", allow_pickle=False) as arrays:
            weights = {name: arrays[name] for name in arrays.files}
        found = {name: list(array.shape) for name, array in weights.items()}
        if found != spec["weights"]:
            raise ValueError(f"{directory}: policy.npz is not of this policy.json; export it again")
        return cls(spec, weights)

    def reset(self) -> None:
        """Starts an episode."""
        self._open_loop.reset()

    def __call__(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The most likely action.

        Args:
            observation: The state by name, or `{"state": {...}, "image": {...}}` as an environment
                gives it; units, frames and shapes are in `spec["state"]` and `spec["images"]`.

        Returns:
            (A,) float32 in [-1, 1]; its meaning and scale are in `spec["action"]`.

        Raises:
            ValueError: A field is missing, has another shape, or holds a number that is not finite.
        """
        state, images = observation.get("state", observation), observation.get("image", {})
        for there, shapes in ((state, self._shapes), (images, self._images)):
            for name, shape in shapes.items():
                found = np.shape(there[name]) if name in there else "nothing"
                if found != shape:
                    raise ValueError(f"observation {name!r}: expected shape {shape}, found {found}")
        for name in self._shapes:
            if not np.isfinite(state[name]).all():
                raise ValueError(
                    f"observation {name!r}: expected finite numbers, found {state[name]}"
                )
        names = list(self._shapes)
        return self._open_loop.next(lambda: self.forward.mode(state_vector(state, names), images))


def _forward_of(
    network: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> PolicyForward | PoliciesForward:
    if "policies" not in network:
        return PolicyForward(weights, **network)
    policies = []
    for k, options in enumerate(network["policies"]):
        own = {n[len(f"{k}/") :]: a for n, a in weights.items() if n.startswith(f"{k}/")}
        policies.append(PolicyForward(own, **options))
    return PoliciesForward(policies, network["switch"], network["chunk"])


def state_vector(state: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """The named fields of a state, side by side: (S,) float32."""
    return np.concatenate([np.ravel(state[name]) for name in names], dtype=np.float32)


def layer_norm(x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Normalises the last axis (Ba et al. 2016, equation 4). x: (..., F); scale, bias: (F,)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + LAYER_NORM_EPSILON) * scale + bias


def group_norm(x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Normalises groups of channels over all places (Wu and He 2018, equations 1, 2, 7).

    x: (B, H, W, C); scale, bias: (C,).
    """
    grouped = x.reshape(*x.shape[:3], RESNET_GROUPS, -1)
    mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
    variance = np.square(grouped - mean).mean(axis=(1, 2, 4), keepdims=True)
    normed = (grouped - mean) / np.sqrt(variance + GROUP_NORM_EPSILON)
    return normed.reshape(x.shape) * scale + bias


def encode_images(
    encoder: Mapping[str, Any], weights: Weights, camera: str, images: np.ndarray
) -> np.ndarray:
    """The features (B, F) of one camera's images (B, H, W, 3) uint8.

    Args:
        encoder: As `PolicyForward` is told.
        weights: With the camera's arrays as `encoder/<camera>/...`; those of a frozen trunk are
            `trunk/...`.
        camera: Its name.
        images: Of the camera.
    """
    own = f"encoder/{camera}/"
    if "strides" in encoder:
        x = images.astype(np.float32) / np.float32(255.0)
        for i, stride in enumerate(encoder["strides"]):
            kernel, bias = weights[f"{own}conv_{i}/kernel"], weights[f"{own}conv_{i}/bias"]
            x = np.maximum(convolve(x, kernel, stride, encoder["padding"]) + bias, 0.0)
        x = x.mean(axis=(1, 2)) if encoder["pooling"] == "mean" else x.reshape(len(x), -1)
    else:
        x = _resnet(weights, f"{own}trunk/" if encoder["kind"] == "resnet10" else "trunk/", images)
        x = np.einsum("bhwc,hwce->bce", x, weights[f"{own}embedding"]).reshape(len(x), -1)
    return np.tanh(_normed(_dense(x, weights, f"{own}bottleneck"), weights, f"{own}norm"))


def convolve(
    x: np.ndarray, kernel: np.ndarray, stride: int, padding: str | tuple[int, int]
) -> np.ndarray:
    """A convolution without bias: (B, H, W, C), (K, K, C, F) -> (B, H', W', F).

    `padding` is `VALID`, `SAME`, or the places added before and after each side.
    """
    side, _, channels, filters = kernel.shape
    windows = _windows(_padded(x, side, stride, padding, 0.0), side, stride)
    places = windows.shape[:3]
    flat = windows.reshape(-1, side * side * channels)
    return (flat @ kernel.reshape(-1, filters)).reshape(*places, filters)


def _resnet(weights: Weights, own: str, images: np.ndarray) -> np.ndarray:
    """ResNet-10 before its pooling: (B, H, W, 3) uint8 -> (B, H / 32, W / 32, 512)."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return group_norm(x, weights[f"{own}{name}/scale"], weights[f"{own}{name}/bias"])

    def conv(x: np.ndarray, name: str, stride: int, padding: Any = "SAME") -> np.ndarray:
        return convolve(x, weights[f"{own}{name}/kernel"], stride, padding)

    x = (images.astype(np.float32) / np.float32(255.0) - IMAGENET_MEAN) / IMAGENET_STD
    x = np.maximum(norm(conv(x, "conv_init", 2, (3, 3)), "norm_init"), 0.0)
    x = _windows(_padded(x, 3, 2, "SAME", -np.inf), 3, 2).max(axis=(3, 4))
    for i in range(RESNET_BLOCKS):
        block, stride = f"block_{i}", 1 if i == 0 else 2
        y = np.maximum(norm(conv(x, f"{block}/conv_0", stride), f"{block}/norm_0"), 0.0)
        y = norm(conv(y, f"{block}/conv_1", 1), f"{block}/norm_1")
        if x.shape != y.shape:
            x = norm(conv(x, f"{block}/conv_proj", stride), f"{block}/norm_proj")
        x = np.maximum(x + y, 0.0)
    return x


def _windows(x: np.ndarray, side: int, stride: int) -> np.ndarray:
    """A view of every window: (B, H, W, C) -> (B, H', W', side, side, C)."""
    count, *sides, channels = x.shape
    height, width = ((size - side) // stride + 1 for size in sides)
    b, h, w, c = x.strides
    shape, strides = (side, side, channels), (h, w, c)
    return np.lib.stride_tricks.as_strided(
        x, (count, height, width, *shape), (b, h * stride, w * stride, *strides), writeable=False
    )


def _padded(
    x: np.ndarray, side: int, stride: int, padding: str | tuple[int, int], value: float
) -> np.ndarray:
    """(B, H, W, C) with the places that a window of `side` needs around it."""
    if padding == "VALID":
        return x
    around = [padding, padding]
    if padding == "SAME":
        missing = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in x.shape[1:3]]
        around = [(n // 2, n - n // 2) for n in missing]
    return np.pad(x, [(0, 0), *around, (0, 0)], constant_values=value)


def _dense(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def _normed(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return layer_norm(x, weights[f"{name}/scale"], weights[f"{name}/bias"])
