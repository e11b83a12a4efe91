"""How an agent sees: image encoders as a part that every agent can have."""

from __future__ import annotations

from collections.abc import Mapping

import flax
import jax
import jax.numpy as jnp

from ..config import EncoderConfig
from ..encoder_trunk import read_trunk
from ..encoders import encode, init_encoders, nested
from ..networks import Params, View
from ..transition import Observation, Transition
from .augmentation import shift_transitions
from .optimiser import Optimised, start


@flax.struct.dataclass
class Vision:
    """The image encoders; without a configuration there are none, and a view is the state."""

    encoder: Optimised
    trunk: Params
    """Of a frozen ResNet-10; empty for other kinds. No optimiser holds it."""
    config: EncoderConfig | None = flax.struct.field(pytree_node=False)
    image_shapes: Mapping[str, tuple[int, int, int]] = flax.struct.field(pytree_node=False)
    """(H, W, 3) by camera."""

    @classmethod
    def create(
        cls,
        config: EncoderConfig | None,
        rng: jax.Array,
        image_shapes: Mapping[str, tuple[int, int, int]],
        learning_rate: float,
    ) -> Vision:
        """Fresh encoders.

        Args:
            config: Of the encoders; None: the agent sees the state alone.
            rng: Decides the initial weights.
            image_shapes: (H, W, 3) by camera.
            learning_rate: Adam's step size.

        Raises:
            UsageError, DamagedDatasetError: The file of a frozen trunk is missing or not right.
        """
        trunk = nested(read_trunk(config)) if config is not None else {}
        trunk = jax.tree.map(jnp.asarray, trunk)
        params = init_encoders(config, rng, image_shapes, trunk)
        shapes = flax.core.FrozenDict(image_shapes)  # hashable, as jit asks of it
        return cls(start(params, learning_rate), trunk, config, shapes)

    def view(self, params: Params, observation: Observation, rng: jax.Array | None = None) -> View:
        """What networks see of observations with a normalised state.

        Args:
            params: Of the encoders, so that a loss can be differentiated by them.
            observation: B of them.
            rng: Random key of the dropout in training; None: nothing is dropped.
        """
        features = encode(self.config, params, self.trunk, observation.images, rng)
        return View(observation.state, features)

    def example(self, state: jax.Array) -> View:
        """A view of one observation with this state (S,), to make networks for."""
        size = 0 if self.config is None else self.config.features * len(self.config.cameras)
        return View(state, jnp.zeros((size,), jnp.float32))

    def shifted(self, rng: jax.Array, batch: Transition) -> Transition:
        """The batch with randomly shifted images."""
        if self.config is None:
            return batch
        return shift_transitions(rng, batch, self.config.shift_pixels)

    @property
    def proprio_features(self) -> int:
        """Units of the layer that the state passes in each network; 0: none."""
        return 0 if self.config is None else self.config.proprio_features
