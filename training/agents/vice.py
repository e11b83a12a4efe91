"""VICE: rewards from a classifier that learns beside the policy (Fu et al. 2018, arXiv:1805.11686).

The classifier tells the last observations of successful demonstrations from what the policy
reaches; its verdict takes the place of every reward. The rest is RLPD.
"""

from __future__ import annotations

from collections.abc import Mapping

import flax
import jax
import jax.numpy as jnp

from ..config import VICEConfig
from ..transition import Observation, Transition
from .classifier import Classifier
from .rlpd import RLPDAgent
from .sac import Info


@flax.struct.dataclass
class VICEAgent:
    """A classifier and the RLPD agent that it rewards; pure updates."""

    rlpd: RLPDAgent
    classifier: Classifier
    config: VICEConfig = flax.struct.field(pytree_node=False)

    @classmethod
    def create(
        cls,
        seed: int,
        observation_mean: jax.Array,
        observation_std: jax.Array,
        action_dim: int,
        config: VICEConfig,
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> VICEAgent:
        """A fresh agent; arguments as of `RLPDAgent.create`."""
        rlpd = RLPDAgent.create(
            seed, observation_mean, observation_std, action_dim, config, image_shapes
        )
        encoder = config.classifier.encoder
        seen = {name: image_shapes[name] for name in encoder.cameras} if encoder else {}
        key = jax.random.fold_in(jax.random.PRNGKey(seed), 1)
        mean, std = jnp.asarray(observation_mean), jnp.asarray(observation_std)
        return cls(rlpd, Classifier.create(config.classifier, key, mean, std, seen), config)

    def pretrain(self, batches: Transition) -> tuple[VICEAgent, Info]:
        """As of RLPD: clones the demonstrated actions."""
        rlpd, info = self.rlpd.pretrain(batches)
        return self.replace(rlpd=rlpd), info

    @jax.jit
    def update_utd(self, batches: Transition) -> tuple[VICEAgent, Info]:
        """One update of the classifier, then of RLPD with its rewards.

        The first `config.demo_rows(B)` rows of each of the minibatches (U, B, ...) are
        demonstrations.
        """
        classifier, told = self._classifier_after(batches)
        rewards = _rewards(classifier, batches.next_observation, self.config.reward)
        rlpd, info = self.rlpd.update_utd(batches._replace(reward=rewards))
        info |= told | {"classifier_reward": rewards.mean()}
        return self.replace(rlpd=rlpd, classifier=classifier), info

    def update(self, batch: Transition) -> tuple[VICEAgent, Info]:
        """One update from `batch` (B, ...)."""
        return self.update_utd(jax.tree.map(lambda x: x[None], batch))

    def packed_policy(self) -> jax.Array:
        """The policy for actors: (PolicySpec.size,) float32."""
        return self.rlpd.packed_policy()

    def packed_evaluation_policy(self) -> jax.Array:
        """The policy to evaluate."""
        return self.rlpd.packed_evaluation_policy()

    def _classifier_after(self, batches: Transition) -> tuple[Classifier, Info]:
        """The classifier after one step; where the batches show no success it stays as it is."""
        minibatches, size = batches.reward.shape
        demos = self.config.demo_rows(size)
        rows = jnp.arange(minibatches * size).reshape(minibatches, size)
        demonstrated, online = rows[:, :demos].ravel(), rows[:, demos:].ravel()
        flat = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, *x.shape[2:]), batches)
        is_success = ((flat.reward > 0) & (flat.discount == 0))[demonstrated]
        count = is_success.sum()
        examples = min(size // 2, len(online))
        chosen = jnp.argsort(~is_success, stable=True)
        chosen = chosen[jnp.arange(examples) % jnp.maximum(count, 1)]
        positives = _rows(flat.next_observation, demonstrated[chosen])
        negatives = _rows(flat.next_observation, online[:examples])
        updated, info = self.classifier.updated(positives, negatives)
        after = jax.tree.map(
            lambda new, old: jnp.where(count > 0, new, old), updated, self.classifier
        )
        return after, info


def _rewards(classifier: Classifier, observations: Observation, reward: str) -> jax.Array:
    """What reaching observations (U, B, ...) is worth: (U, B)."""
    shape = observations.state.shape[:2]
    flat = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, *x.shape[2:]), observations)
    probabilities = classifier.probabilities(flat).reshape(shape)
    return (probabilities >= 0.5).astype(jnp.float32) if reward == "binary" else probabilities


def _rows(observations: Observation, rows: jax.Array) -> Observation:
    return jax.tree.map(lambda x: x[rows], observations)
