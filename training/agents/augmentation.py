"""Random shifts of images (DrQ, Kostrikov et al. 2020, arXiv:2004.13649, section 4.1)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from ..transition import Observation, Transition


def random_shift(rng: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Moves each image by its own random offset of up to `pixels` in x and y.

    What comes in at an edge repeats the edge.

    Args:
        rng: Random key.
        images: (B, H, W, C).
        pixels: Largest offset; 0: none.

    Returns:
        (B, H, W, C) of the same dtype.
    """
    if pixels == 0:
        return images
    count, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
    corners = jax.random.randint(rng, (count, 2), 0, 2 * pixels + 1)

    def crop(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, channels))

    return jax.vmap(crop)(padded, corners)


def shift_transitions(rng: jax.Array, batch: Transition, pixels: int) -> Transition:
    """Shifts all images of a batch (B, ...); observation and next observation differently.

    The cameras of one observation are shifted alike, as in SERL.
    """
    before, after = jax.random.split(rng)
    return batch._replace(
        observation=shift_observation(before, batch.observation, pixels),
        next_observation=shift_observation(after, batch.next_observation, pixels),
    )


def shift_observation(rng: jax.Array, observation: Observation, pixels: int) -> Observation:
    """Shifts all images of observations (B, ...); the cameras of each are shifted alike."""
    shift = partial(random_shift, rng, pixels=pixels)
    return observation._replace(images={n: shift(x) for n, x in observation.images.items()})
