"""A binary classifier of observations, a part of VICE and what `serlds train classifier` trains.

Its network is run in NumPy by `envs/success_classifier.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import flax
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from ...envs.success_classifier import LOGIT
from ..classifier_config import ClassifierConfig
from ..network_config import NetworkConfig
from ..networks import Params, View, hidden_layers, joined
from ..transition import Observation
from .augmentation import shift_observation
from .observations import Normaliser
from .optimiser import Optimised, descend, start
from .vision import Vision

Info = dict[str, jax.Array]
_TINY = 1e-12
"""Keeps the gradient of a square root finite."""


class ClassifierNetwork(nn.Module):
    """View -> logit of the probability of success."""

    network: NetworkConfig
    proprio_features: int = 0

    @nn.compact
    def __call__(self, view: View) -> jax.Array:
        """A view of (..., F) features and (..., S) states -> (...)."""
        x = hidden_layers(self.network, joined(view, self.proprio_features))
        return nn.Dense(1, name=LOGIT)(x).squeeze(-1)


@flax.struct.dataclass
class Classifier:
    """Head, image encoders and their optimisers; pure updates."""

    rng: jax.Array
    head: Optimised
    vision: Vision
    normaliser: Normaliser
    """Of the state; of length 0 where it is not looked at."""
    config: ClassifierConfig = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        config: ClassifierConfig,
        rng: jax.Array,
        mean: jax.Array,
        std: jax.Array,
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> Classifier:
        """A fresh classifier.

        Args:
            config: Hyper-parameters.
            rng: Decides the initial weights and all later sampling.
            mean: (S,) float32 that states are centred on.
            std: (S,) float32 that states are divided by.
            image_shapes: (H, W, 3) of the cameras that it sees.

        Raises:
            UsageError, DamagedDatasetError: The file of a frozen trunk is missing or not right.
        """
        rng, vision_key, head_key = jax.random.split(rng, 3)
        seen = slice(None if config.sees_state else 0)
        normaliser = Normaliser.create(mean[seen], std[seen])
        vision = Vision.create(config.encoder, vision_key, image_shapes, config.learning_rate)
        network = ClassifierNetwork(config.network, config.proprio_features)
        params = jax.jit(network.init)(head_key, vision.example(normaliser.mean))["params"]
        head = start(params, config.learning_rate)
        return cls(rng, head, vision, normaliser, config)

    def probabilities(self, observations: Observation) -> jax.Array:
        """The probability of success in B observations with raw states: (B,)."""
        view = self.vision.view(self.vision.encoder.params, self._seen(observations))
        return jax.nn.sigmoid(self._logits(self.head.params, view))

    def updated(self, positives: Observation, negatives: Observation) -> tuple[Classifier, Info]:
        """One step against the binary cross-entropy of examples with raw states.

        Args:
            positives: Observations of success, (B, ...).
            negatives: Observations of its absence, (C, ...).

        Returns:
            The classifier after, and scalars: the loss, and the mean probability that it gave the
            examples of each class before.
        """
        config, vision = self.config, self.vision
        rng, shift_key, dropout_key, mixup_key = jax.random.split(self.rng, 4)
        count = positives.state.shape[0]
        examples = jax.tree.map(
            lambda *parts: jnp.concatenate(parts), self._seen(positives), self._seen(negatives)
        )
        labels = (jnp.arange(examples.state.shape[0]) < count).astype(jnp.float32)
        if config.encoder is not None:
            examples = shift_observation(shift_key, examples, config.encoder.shift_pixels)

        def loss(head: Params, encoder: Params) -> tuple[jax.Array, jax.Array]:
            view = vision.view(encoder, examples, dropout_key)
            logits = self._logits(head, view)
            mixed, targets = view, labels
            if config.mixup:
                mixed, targets = mix(mixup_key, view, labels, config.mixup)
            targets += config.label_smoothing * (0.5 - targets)
            of_mixed = self._logits(head, mixed) if config.mixup else logits
            value = optax.sigmoid_binary_cross_entropy(of_mixed, targets).mean()
            if config.gradient_penalty:
                norms = self._gradient_norms(head, mixed)
                value += config.gradient_penalty * jnp.square(norms - 1.0).mean()
            return value, jax.nn.sigmoid(logits)

        before = self.head.params, vision.encoder.params
        (value, probabilities), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(*before)
        head = descend(self.head, gradients[0], config.learning_rate)
        encoder = descend(vision.encoder, gradients[1], config.learning_rate)
        after = self.replace(rng=rng, head=head, vision=vision.replace(encoder=encoder))
        return after, {
            "classifier_loss": value,
            "classifier_on_success": probabilities[:count].mean(),
            "classifier_on_others": probabilities[count:].mean(),
        }

    def _seen(self, observations: Observation) -> Observation:
        """What it looks at: the normalised state or none of it, and its cameras' images."""
        images = {name: observations.images[name] for name in self.vision.image_shapes}
        if not self.config.sees_state:
            return Observation(observations.state[..., :0], images)
        return Observation(self.normaliser.states(observations.state), images)

    def _logits(self, head: Params, view: View) -> jax.Array:
        network = ClassifierNetwork(self.config.network, self.config.proprio_features)
        return network.apply({"params": head}, view)

    def _gradient_norms(self, head: Params, view: View) -> jax.Array:
        """Norm of each logit's gradient by what the head sees: (B,)."""
        gradients = jax.grad(lambda v: self._logits(head, v).sum())(view)
        squares = [jnp.square(g).sum(axis=-1) for g in gradients if g.ndim > 1]
        return jnp.sqrt(sum(squares) + _TINY)


def mix(rng: jax.Array, view: View, labels: jax.Array, alpha: float) -> tuple[View, jax.Array]:
    """Each example mixed with another one, and their labels alike (Zhang et al. 2018, section 2).

    Args:
        rng: Decides who is mixed with whom, and how much.
        view: Of B examples.
        labels: (B,).
        alpha: Parameter of Beta(alpha, alpha), of which each example's own share is drawn.
    """
    order_key, share_key = jax.random.split(rng)
    order = jax.random.permutation(order_key, labels.shape[0])
    share = jax.random.beta(share_key, alpha, alpha, labels.shape)

    def mixed(part: jax.Array, own: jax.Array) -> jax.Array:
        return own * part + (1.0 - own) * part[order]

    parts = [mixed(part, share[:, None]) if part.ndim > 1 else part for part in view]
    return View(*parts), mixed(labels, share)
