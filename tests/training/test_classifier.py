"""The classifier: equations, that it learns, and that NumPy judges as it learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serlds.envs.success_classifier import SuccessClassifier
from serlds.training.agents.classifier import Classifier, mix
from serlds.training.classifier_config import ClassifierConfig
from serlds.training.classifying.writing import classifier_spec, classifier_weights
from serlds.training.config import EncoderConfig, NetworkConfig
from serlds.training.encoder_layout import trunk_layout
from serlds.training.encoder_trunk import trunk_digest
from serlds.training.networks import View
from serlds.training.replay_items import Camera
from serlds.training.transition import Observation

S, SIDE, B = 3, 32, 16
MEAN, STD = np.full(S, 0.5, np.float32), np.full(S, 2.0, np.float32)
SMALL = NetworkConfig((16,), layer_norm=True)
CAMERAS = (Camera("front", SIDE, SIDE), Camera("wrist", 36, 44))


def create(config, seed=0):
    shapes = {camera.name: camera.shape for camera in CAMERAS} if config.encoder else {}
    return Classifier.create(config, jax.random.PRNGKey(seed), MEAN, STD, shapes)


def observations(rng, count, shift=0.0, bright=0):
    images = {
        c.name: rng.integers(0, 150, (count, *c.shape)).astype(np.uint8) + np.uint8(bright)
        for c in CAMERAS
    }
    return Observation((rng.normal(size=(count, S)) + shift).astype(np.float32), images)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("trunk") / "resnet10.npz"
    arrays = {
        name: rng.normal(0.0, 0.05, shape).astype(np.float32) + np.float32(name.endswith("scale"))
        for name, shape in trunk_layout().items()
    }
    np.savez(path, **arrays)
    return path


def test_it_separates_states_and_smoothing_keeps_it_from_certainty():
    rng = np.random.default_rng(0)
    config = dict(network=SMALL, learning_rate=1e-2)
    hard, soft = (create(ClassifierConfig(**config, label_smoothing=share)) for share in (0.0, 0.2))
    step = jax.jit(Classifier.updated)
    for _ in range(200):
        examples = observations(rng, B, 4.0), observations(rng, B, -4.0)
        hard, _ = step(hard, *examples)
        soft, info = step(soft, *examples)
    good, bad = observations(rng, 100, 4.0), observations(rng, 100, -4.0)
    assert hard.probabilities(good).min() > 0.95 and hard.probabilities(bad).max() < 0.05
    # 0.2 of each label is moved to the middle: 0.9 and 0.1 are best.
    assert soft.probabilities(good).mean() == pytest.approx(0.9, abs=0.03)
    assert soft.probabilities(bad).mean() == pytest.approx(0.1, abs=0.03)
    assert info["classifier_on_success"] > 0.8 > 0.2 > info["classifier_on_others"]


def test_the_gradient_penalty_pulls_the_slope_of_the_logit_to_one():
    rng = np.random.default_rng(0)
    classifier = create(ClassifierConfig(SMALL, learning_rate=1e-2, gradient_penalty=10.0))
    step = jax.jit(Classifier.updated)
    for _ in range(300):
        classifier, _ = step(classifier, observations(rng, B, 2.0), observations(rng, B, -2.0))
    state = (observations(rng, 50, 0.0).state - MEAN) / STD
    norms = classifier._gradient_norms(classifier.head.params, View(state, jnp.zeros(0)))
    assert float(norms.mean()) == pytest.approx(1.0, abs=0.25)


def test_mixup_mixes_examples_and_labels_alike():
    state = jnp.arange(64.0)[:, None] * jnp.ones((1, 2))
    labels = jnp.arange(64.0) / 63.0
    view, mixed = mix(jax.random.PRNGKey(0), View(state, jnp.zeros(0)), labels, 1.0)
    np.testing.assert_allclose(view.state[:, 0] / 63.0, mixed, atol=1e-5)
    np.testing.assert_allclose(view.state[:, 0], view.state[:, 1])
    assert not np.allclose(mixed, labels) and view.features.shape == (0,)
    assert labels.min() <= mixed.min() and mixed.max() <= labels.max()


@pytest.mark.parametrize(
    ("kind", "with_state"),
    [("", False), ("light", True), ("small", False), ("frozen_resnet10", False)],
)
def test_numpy_judges_as_jax(kind, with_state, trunk, tmp_path):
    rng = np.random.default_rng(1)
    encoder = None
    if kind:
        path = {"trunk": str(trunk), "trunk_sha256": trunk_digest(trunk)}
        encoder = EncoderConfig(kind, features=8, **(path if kind == "frozen_resnet10" else {}))
    classifier = create(ClassifierConfig(SMALL, encoder=encoder, with_state=with_state))
    seen = observations(rng, 5)
    spec = classifier_spec(classifier, 0.5, (), CAMERAS if kind else ())
    judge = SuccessClassifier(spec, classifier_weights(classifier), tmp_path)
    state = seen.state if classifier.config.sees_state else seen.state[:, :0]
    expected = jax.jit(Classifier.probabilities)(classifier, seen)
    np.testing.assert_allclose(judge.probabilities(state, seen.images), expected, atol=2e-5)
    assert np.ptp(expected) > 1e-3  # it looks at something


def test_images_alone_decide_where_the_state_is_not_looked_at():
    rng = np.random.default_rng(0)
    encoder = EncoderConfig("light", ("front",), features=8)
    classifier = Classifier.create(
        ClassifierConfig(SMALL, 1e-3, encoder, mixup=1.0),
        jax.random.PRNGKey(0), MEAN, STD, {"front": (SIDE, SIDE, 3)},
    )  # fmt: skip
    step, judge = jax.jit(Classifier.updated), jax.jit(Classifier.probabilities)
    for _ in range(80):
        examples = observations(rng, B, bright=100), observations(rng, B)
        classifier, _ = step(classifier, *examples)
    bright, dark = observations(rng, 20, bright=100), observations(rng, 20)
    assert judge(classifier, bright).min() > 0.5 > judge(classifier, dark).max()
    moved = bright._replace(state=bright.state + 100.0)
    np.testing.assert_array_equal(judge(classifier, moved), judge(classifier, bright))
