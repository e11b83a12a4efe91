"""Image encoders: one camera's images -> features."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from ..envs.policy_forward import IMAGENET_MEAN, IMAGENET_STD, LAYER_NORM_EPSILON
from .config import EncoderConfig
from .encoder_layout import (
    CONV_STACKS,
    NORM_EPSILON,
    RESNET_EMBEDDINGS,
    RESNET_FILTERS,
    RESNET_GROUPS,
    ConvStack,
)
from .network_config import Precision
from .networks import Params

DROPOUT = 0.1
"""Share of the pooled ResNet features that are dropped in training (SERL)."""


class ImageEncoder(nn.Module):
    """The encoder of one camera."""

    config: EncoderConfig

    @nn.compact
    def __call__(self, images: jax.Array, trunk: Params, training: bool = False) -> jax.Array:
        """(B, H, W, 3) uint8 -> (B, F).

        Args:
            images: Of the camera.
            trunk: Of a frozen ResNet-10; empty for other kinds.
            training: Drop features at random, with the random key `dropout`.
        """
        if self.config.kind in CONV_STACKS:
            x = _conv_stack(CONV_STACKS[self.config.kind], images)
        else:
            if self.config.kind == "resnet10":
                x = ResNetTrunk(name="trunk")(images)
            else:
                frozen = ResNetTrunk(self.config.trunk_precision)
                x = jax.lax.stop_gradient(frozen.apply({"params": trunk}, images))
            shape = (*x.shape[1:], RESNET_EMBEDDINGS)
            kernel = self.param("embedding", nn.initializers.lecun_normal(), shape)
            # Learned weights of the places (SERL's SpatialLearnedEmbeddings).
            x = jnp.einsum("bhwc,hwce->bce", x, kernel).reshape(x.shape[0], -1)
            x = nn.Dropout(DROPOUT, deterministic=not training)(x)
        x = nn.Dense(self.config.features, name="bottleneck")(x)
        return nn.tanh(nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, name="norm")(x))


class ResNetTrunk(nn.Module):
    """ResNet-10 with GroupNorm before its pooling (He et al. 2016, arXiv:1512.03385; SERL)."""

    precision: Precision = "float32"

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """(B, H, W, 3) uint8 -> (B, H / 32, W / 32, 512) float32."""
        x = (images.astype(jnp.float32) / 255.0 - IMAGENET_MEAN) / IMAGENET_STD
        x = _conv(RESNET_FILTERS[0], 7, 2, self.precision, "conv_init", ((3, 3), (3, 3)))(x)
        x = _halving_max(nn.relu(_group_norm("norm_init")(x)))
        for number, filters in enumerate(RESNET_FILTERS):
            stride = 1 if number == 0 else 2
            x = _Block(filters, stride, self.precision, name=f"block_{number}")(x)
        return x


class _Block(nn.Module):
    filters: int
    stride: int
    precision: Precision

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        precision = self.precision
        y = _conv(self.filters, 3, self.stride, precision, "conv_0")(x)
        y = nn.relu(_group_norm("norm_0")(y))
        y = _group_norm("norm_1")(_conv(self.filters, 3, 1, precision, "conv_1")(y))
        if x.shape != y.shape:
            x = _conv(self.filters, 1, self.stride, precision, "conv_proj")(x)
            x = _group_norm("norm_proj")(x)
        return nn.relu(x + y)


def init_encoders(
    config: EncoderConfig | None,
    rng: jax.Array,
    image_shapes: Mapping[str, tuple[int, int, int]],
    trunk: Params,
) -> Params:
    """Parameters of every camera's encoder, by camera; none without a configuration."""
    if config is None:
        return {}
    params = {}
    for camera, key in zip(config.cameras, jax.random.split(rng, len(config.cameras)), strict=True):
        images = jnp.zeros((1, *image_shapes[camera]), jnp.uint8)
        params[camera] = jax.jit(ImageEncoder(config).init)(key, images, trunk)["params"]
    return params


def encode(
    config: EncoderConfig | None,
    params: Params,
    trunk: Params,
    images: Mapping[str, jax.Array],
    rng: jax.Array | None = None,
) -> jax.Array:
    """The features of all cameras side by side.

    Args:
        config: The encoders; None: there are none.
        params: From `init_encoders`.
        trunk: Of a frozen ResNet-10; empty for other kinds.
        images: By camera, (B, H, W, 3) uint8.
        rng: Random key of the dropout in training; None: nothing is dropped.

    Returns:
        (B, F * cameras) float32; (0,) without encoders, which joins any state.
    """
    if config is None:
        return jnp.zeros((0,), jnp.float32)
    encoder, parts = ImageEncoder(config), []
    for number, camera in enumerate(config.cameras):
        keys = {} if rng is None else {"dropout": jax.random.fold_in(rng, number)}
        variables = {"params": params[camera]}
        training = rng is not None
        parts.append(encoder.apply(variables, images[camera], trunk, training, rngs=keys))
    return jnp.concatenate(parts, axis=-1)


def nested(arrays: Mapping[str, np.ndarray]) -> Params:
    """Arrays named like `block_0/conv_0/kernel` as the parameters of a module."""
    return flax.traverse_util.unflatten_dict(dict(arrays), sep="/")


def _conv_stack(stack: ConvStack, images: jax.Array) -> jax.Array:
    x = images.astype(jnp.float32) / 255.0
    for number, (side, stride, filters) in enumerate(stack.convs):
        conv = _Patches if side == stride else nn.Conv
        x = conv(
            filters,
            (side, side),
            (stride, stride),
            stack.padding,
            kernel_init=nn.initializers.xavier_uniform(),
            name=f"conv_{number}",
        )(x)
        x = nn.relu(x)
    return x.mean(axis=(1, 2)) if stack.pooling == "mean" else x.reshape(x.shape[0], -1)


class _Patches(nn.Conv):
    """A convolution whose windows do not overlap, as one matrix product: half the time on a CPU."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        (side, _), channels = self.kernel_size, x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (side, side, channels, self.features))
        bias = self.param("bias", self.bias_init, (self.features,))
        missing = [-size % side for size in x.shape[1:3]]
        x = jnp.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)))
        b, height, width, _ = x.shape
        x = x.reshape(b, height // side, side, width // side, side, channels)
        return jnp.einsum("byixjc,ijcf->byxf", x, kernel) + bias


def _conv(
    filters: int,
    side: int,
    stride: int,
    precision: Precision,
    name: str,
    padding: str | tuple[tuple[int, int], ...] = "SAME",
) -> nn.Conv:
    return nn.Conv(
        filters,
        (side, side),
        (stride, stride),
        padding,
        use_bias=False,
        dtype=jnp.bfloat16 if precision == "bfloat16" else jnp.float32,
        kernel_init=nn.initializers.kaiming_normal(),
        name=name,
    )


def _group_norm(name: str) -> nn.GroupNorm:
    return nn.GroupNorm(RESNET_GROUPS, epsilon=NORM_EPSILON, dtype=jnp.float32, name=name)


def _halving_max(x: jax.Array) -> jax.Array:
    """Largest of windows of 3 x 3 with stride 2 and padding SAME, of values of 0 or more.

    As maxima of slices; XLA's windowed reduction takes several times as long on a CPU.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        needed = 2 * -(-size // 2) + 1
        before = (needed - size) // 2
        widths = [(0, 0)] * x.ndim
        widths[axis] = before, needed - size - before
        x = jnp.pad(x, widths)
        parts = (jax.lax.slice_in_dim(x, i, needed - 2 + i, 2, axis) for i in range(3))
        x = functools.reduce(jnp.maximum, parts)
    return x
