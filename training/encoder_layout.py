"""Shapes of the image encoders' arrays; importable without jax.

An encoder turns one camera's image into a vector of features. Its arrays are named like
`conv_0/kernel`; those of a policy begin with `encoder/<camera>/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..datasets.errors import UsageError
from .config import EncoderConfig

Shapes = dict[str, tuple[int, ...]]

RESNET_FILTERS = (64, 128, 256, 512)
RESNET_GROUPS = 4
RESNET_EMBEDDINGS = 8
NORM_EPSILON = 1e-5
"""Of the GroupNorm in ResNet-10 (SERL)."""


@dataclass(frozen=True)
class ConvStack:
    """Convolutions with biases and relu in a row."""

    convs: tuple[tuple[int, int, int], ...]
    """Kernel side, stride and filters of each."""
    padding: str
    """VALID or SAME."""
    pooling: str
    """mean: over the places; flatten: all places side by side."""


CONV_STACKS = {
    "small": ConvStack(((3, 2, 32), (3, 2, 64), (3, 2, 128), (3, 2, 256)), "VALID", "mean"),
    "light": ConvStack(((8, 8, 64), (3, 2, 64), (3, 2, 64)), "SAME", "flatten"),
}
"""The encoders that are convolutions in a row, by kind."""


def encoder_layout(config: EncoderConfig, image_shape: tuple[int, int, int]) -> Shapes:
    """Name and shape of every array of one camera's encoder, in order, without a frozen trunk.

    Args:
        config: The encoder.
        image_shape: (H, W, 3) of the camera's images.

    Raises:
        UsageError: The images are too small.
    """
    if config.kind in CONV_STACKS:
        shapes, width = _conv_stack(CONV_STACKS[config.kind], image_shape)
    else:
        own = trunk_layout() if config.kind == "resnet10" else {}
        shapes = {f"trunk/{name}": shape for name, shape in own.items()}
        height, width = (_halved(side, 5) for side in image_shape[:2])
        channels = RESNET_FILTERS[-1]
        shapes["embedding"] = (height, width, channels, RESNET_EMBEDDINGS)
        width = channels * RESNET_EMBEDDINGS
    shapes["bottleneck/kernel"] = (width, config.features)
    shapes["bottleneck/bias"] = (config.features,)
    shapes["norm/scale"] = (config.features,)
    shapes["norm/bias"] = (config.features,)
    return shapes


def trunk_layout() -> Shapes:
    """Name and shape of every array of the ResNet-10 before its pooling."""
    width = RESNET_FILTERS[0]
    shapes: Shapes = {"conv_init/kernel": (7, 7, 3, width), **_norm("norm_init", width)}
    for number, filters in enumerate(RESNET_FILTERS):
        block = f"block_{number}"
        shapes[f"{block}/conv_0/kernel"] = (3, 3, width, filters)
        shapes |= _norm(f"{block}/norm_0", filters)
        shapes[f"{block}/conv_1/kernel"] = (3, 3, filters, filters)
        shapes |= _norm(f"{block}/norm_1", filters)
        if width != filters:
            shapes[f"{block}/conv_proj/kernel"] = (1, 1, width, filters)
            shapes |= _norm(f"{block}/norm_proj", filters)
        width = filters
    return shapes


def _conv_stack(stack: ConvStack, image_shape: tuple[int, int, int]) -> tuple[Shapes, int]:
    height, width, channels = image_shape
    shapes: Shapes = {}
    for number, (side, stride, filters) in enumerate(stack.convs):
        shapes[f"conv_{number}/kernel"] = (side, side, channels, filters)
        shapes[f"conv_{number}/bias"] = (filters,)
        cut = side - 1 if stack.padding == "VALID" else 0
        height, width = (-(-(size - cut) // stride) for size in (height, width))
        if min(height, width) < 1:
            raise UsageError(
                f"images of {image_shape[0]} x {image_shape[1]} pixels are too small for this "
                f"encoder; use larger ones (--env-args image_size=64), or the light encoder"
            )
        channels = filters
    return shapes, channels if stack.pooling == "mean" else height * width * channels


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}


def _halved(size: int, times: int) -> int:
    for _ in range(times):
        size = -(-size // 2)
    return size
