"""Image encoders, random shifts, and policies that see: equations, NumPy pass, learning."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError, UsageError
from serlds.training.agents import create_agent
from serlds.training.agents.augmentation import random_shift
from serlds.training.agents.sac import policy_network, update_actor
from serlds.training.classifier_config import ClassifierConfig
from serlds.training.config import (
    BCConfig,
    EncoderConfig,
    NetworkConfig,
    RLPDConfig,
    RunConfig,
    SACConfig,
    VICEConfig,
)
from serlds.training.encoder_layout import trunk_layout
from serlds.training.encoder_trunk import trunk_digest
from serlds.training.networks import View
from serlds.training.policy import PackedPolicy, policy_spec
from serlds.training.run_preparation import with_pinned_trunks
from serlds.training.transition import Observation, Transition

S, A, SIDE = 3, 2, 32
SHAPES = {"front": (SIDE, SIDE, 3), "wrist": (36, 44, 3)}
SMALL = NetworkConfig((16,))
MEAN, STD = np.full(S, 0.5, np.float32), np.full(S, 2.0, np.float32)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A file with a random ResNet-10."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("trunk") / "resnet10.npz"
    arrays = {
        name: rng.normal(0.0, 0.05, shape).astype(np.float32) + np.float32(name.endswith("scale"))
        for name, shape in trunk_layout().items()
    }
    np.savez(path, **arrays)
    return path


def encoder(kind, trunk=None, **changes):
    file = str(trunk) if kind == "frozen_resnet10" else ""
    return EncoderConfig(kind=kind, features=8, trunk=file, **changes)


ALIKE = EncoderConfig("light", ("front",), features=9)


def sac(encoder):
    return SACConfig(actor=SMALL, critic=SMALL, ensemble_size=2, encoder=encoder)


def observations(rng, *shape):
    return Observation(
        rng.normal(size=(*shape, S)).astype(np.float32),
        {n: rng.integers(0, 256, (*shape, *size), np.uint8) for n, size in SHAPES.items()},
    )


def transitions(seed=0, u=2, b=4):
    rng = np.random.default_rng(seed)
    action = np.tanh(rng.normal(size=(u, b, A))).astype(np.float32)
    reward = rng.normal(size=(u, b)).astype(np.float32)
    ones = np.ones((u, b), np.float32)
    return Transition(observations(rng, u, b), action, reward, ones, observations(rng, u, b))


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def test_each_image_is_shifted_by_an_offset_of_its_own():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 12, 10, 3), np.uint8)
    shifted = np.asarray(random_shift(jax.random.PRNGKey(0), images, 3))
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    found = set()
    for before, after in zip(padded, shifted, strict=True):
        fits = [
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(before[y : y + 12, x : x + 10], after)
        ]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) > 20 and {0, 6} <= {y for y, _ in found}
    assert random_shift(jax.random.PRNGKey(0), images, 0) is images


@pytest.mark.parametrize("kind", ["small", "light", "resnet10", "frozen_resnet10"])
def test_numpy_pass_equals_the_learners(kind, trunk):
    seen = observations(np.random.default_rng(1), 5)
    config = sac(encoder(kind, trunk))
    agent = create_agent(config, 0, MEAN, STD, A, SHAPES)
    view = jax.jit(agent.vision.view)(agent.vision.encoder.params, seen)
    view = View(agent.normaliser.states(view.state), view.features)
    assert view.features.shape == (5, 16)
    mean, _ = policy_network(agent).apply({"params": agent.actor.params}, view)
    spec = policy_spec(config, S, A, SHAPES)
    packed = np.asarray(agent.packed_policy())
    assert packed.shape == (spec.size,)
    policy = PackedPolicy(spec, packed)
    np.testing.assert_allclose(policy.mode(seen.state, seen.images), jnp.tanh(mean), atol=1e-5)
    first = {name: frames[0] for name, frames in seen.images.items()}
    single = policy.mode(seen.state[0], first)
    np.testing.assert_allclose(single, policy.mode(seen.state, seen.images)[0], atol=1e-6)
    other = {name: 255 - frames for name, frames in first.items()}
    assert not np.allclose(policy.mode(seen.state[0], other), single)


def test_a_trunk_in_bfloat16_sees_nearly_the_same(trunk):
    seen = observations(np.random.default_rng(1), 5)
    exact, rough = (
        create_agent(
            sac(encoder("frozen_resnet10", trunk, trunk_precision=p)), 0, MEAN, STD, A, SHAPES
        )
        for p in ("float32", "bfloat16")
    )
    assert same(exact.vision.encoder, rough.vision.encoder)
    one, other = (
        np.asarray(jax.jit(agent.vision.view)(agent.vision.encoder.params, seen).features)
        for agent in (exact, rough)
    )
    assert one.dtype == other.dtype == np.float32
    assert 0 < np.abs(one - other).mean() < 0.03 * np.abs(one).mean()


def test_the_runtime_that_a_learner_takes_learns_with_a_frozen_trunk(trunk):
    code = f"""
import dataclasses, jax, numpy as np, os
from serlds.training.agents import create_agent
from serlds.training.config import EncoderConfig, SACConfig
from serlds.training.transition import Observation, Transition
from serlds.training.xla_runtime import choose_cpu_runtime
encoder = EncoderConfig("frozen_resnet10", ("front",), trunk={str(trunk)!r})
config = SACConfig(encoder=dataclasses.replace(encoder, trunk_precision="bfloat16"))
choose_cpu_runtime(SACConfig(encoder=EncoderConfig()))
assert "thunk" not in os.environ.get("XLA_FLAGS", "")
choose_cpu_runtime(config)
assert "thunk" in os.environ["XLA_FLAGS"]
agent = create_agent(config, 0, np.zeros(3), np.ones(3), 2, {{"front": (64, 64, 3)}})
images = {{"front": np.zeros((2, 4, 64, 64, 3), np.uint8)}}
seen, ones = Observation(np.ones((2, 4, 3), np.float32), images), np.ones((2, 4), np.float32)
_, info = agent.update_utd(Transition(seen, np.ones((2, 4, 2), np.float32), ones, ones, seen))
assert all(np.isfinite(value) for value in jax.tree.leaves(info))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["light", "frozen_resnet10"])
def test_critics_train_the_encoder_and_the_actor_does_not(kind, trunk):
    one = encoder(kind, trunk, cameras=("front",))
    agent = create_agent(sac(one), 0, MEAN, STD, A, {"front": SHAPES["front"]})
    batches = transitions(u=1)
    updated, info = agent.update_utd(batches)
    assert all(np.isfinite(value) for value in leaves(info))
    assert not same(updated.vision.encoder.params, agent.vision.encoder.params)
    assert same(updated.vision.trunk, agent.vision.trunk)
    last = jax.tree.map(lambda x: x[-1], agent.normaliser.transitions(batches))
    view = agent.vision.view(agent.vision.encoder.params, last.observation)
    acted, _ = jax.jit(update_actor, static_argnums=3)(agent, last, view, None)
    assert same(acted.vision, agent.vision) and not same(acted.actor, agent.actor)
    held = sum(leaf.size for leaf in leaves(updated.vision.encoder.state))
    assert held <= 2 * sum(x.size for x in leaves(agent.vision.encoder.params)) + 1


def test_the_evaluation_policy_averages_the_encoder_too():
    config = dataclasses.replace(sac(ALIKE), evaluation_average_rate=0.25)
    agent = create_agent(config, 0, MEAN, STD, A, SHAPES)
    updated, _ = agent.update_utd(transitions(u=1))
    expected = 0.75 * agent.packed_policy() + 0.25 * updated.packed_policy()
    np.testing.assert_allclose(updated.packed_evaluation_policy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        BCConfig(network=SMALL, encoder=ALIKE),
        sac(ALIKE),
        RLPDConfig(sac=sac(ALIKE)),
    ],
    ids=["bc", "drq", "rlpd"],
)
def test_updates_compile_once(config):
    agent = create_agent(config, 0, MEAN, STD, A, {"front": SHAPES["front"]})
    compiled = type(agent).update_utd._cache_size()
    for seed in range(3):
        agent, _ = agent.update_utd(transitions(seed))
    assert type(agent).update_utd._cache_size() == compiled + 1


def bright_squares(rng, count):
    """A bright 4 x 4 square in a dark 16 x 16 image, and where it is, in [-1, 1]^2."""
    corners = rng.integers(0, 13, (count, 2))
    images = rng.integers(0, 40, (count, 16, 16, 3), np.uint8)
    for image, (y, x) in zip(images, corners, strict=True):
        image[y : y + 4, x : x + 4] = 255
    return images, (corners / 6.0 - 1.0).astype(np.float32)


@pytest.mark.parametrize("algorithm", ["bc", "drq"])
def test_a_policy_learns_to_point_at_what_it_sees(algorithm):
    seeing = EncoderConfig("light", ("front",), features=32, proprio_features=0, shift_pixels=0)
    network = NetworkConfig((64,))
    if algorithm == "bc":
        config = BCConfig(network, 3e-3, "deterministic", encoder=seeing)
    else:
        config = SACConfig(
            actor=network,
            critic=NetworkConfig((64,), layer_norm=True),
            actor_learning_rate=3e-3,
            critic_learning_rate=3e-3,
            initial_temperature=1e-3,
            learn_temperature=False,
            entropy_backup=False,
            encoder=seeing,
        )
    shapes, rng = {"front": (16, 16, 3)}, np.random.default_rng(0)
    zeros, ones = np.zeros(1, np.float32), np.ones(1, np.float32)
    agent = create_agent(config, 0, zeros, ones, 2, shapes)
    for _ in range(150):
        images, target = bright_squares(rng, 4 * 64)
        action = target if algorithm == "bc" else rng.uniform(-1, 1, target.shape)
        reward = -np.square(action - target).sum(axis=1)
        seen = Observation(np.zeros((256, 1), np.float32), {"front": images})
        batch = Transition(seen, action.astype(np.float32), reward, np.zeros(256), seen)
        stacked = jax.tree.map(
            lambda x: np.asarray(x).reshape(4, 64, *np.shape(x)[1:]).astype(x.dtype), batch
        )
        stacked = stacked._replace(
            reward=stacked.reward.astype(np.float32), discount=stacked.discount.astype(np.float32)
        )
        agent, _ = agent.update_utd(stacked)
    policy = PackedPolicy(policy_spec(config, 1, 2, shapes), np.asarray(agent.packed_policy()))
    images, target = bright_squares(rng, 200)
    error = np.abs(policy.mode(np.zeros((200, 1), np.float32), {"front": images}) - target)
    assert error.mean() < 0.25  # a blind policy is off by 0.54


def test_images_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="24 x 32 pixels are too small"):
        policy_spec(sac(encoder("small")), S, A, {**SHAPES, "wrist": (24, 32, 3)}).layout()


def test_another_trunk_than_the_runs_is_refused(trunk, tmp_path):
    config = encoder("frozen_resnet10", trunk, trunk_sha256=trunk_digest(trunk))
    create_agent(sac(config), 0, MEAN, STD, A, SHAPES)
    other = dataclasses.replace(config, trunk_sha256="0" * 64)
    with pytest.raises(UsageError, match=r"not the file that the run began with"):
        create_agent(sac(other), 0, MEAN, STD, A, SHAPES)
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, **{"conv_init/kernel": np.zeros((3, 3))})
    with pytest.raises(DamagedDatasetError, match=r"conv_init/kernel: expected .* \(3, 3\)"):
        create_agent(sac(encoder("frozen_resnet10", wrong)), 0, MEAN, STD, A, SHAPES)
    with pytest.raises(UsageError, match="serlds import encoder"):
        create_agent(sac(encoder("frozen_resnet10", tmp_path / "none")), 0, MEAN, STD, A, SHAPES)


def test_a_run_writes_down_what_must_not_change_about_its_trunks(trunk, monkeypatch):
    monkeypatch.chdir(trunk.parent)
    seen = encoder("frozen_resnet10", trunk.name)
    judge = ClassifierConfig(encoder=dataclasses.replace(seen, trunk_precision="float32"))
    vice = RunConfig("vice", VICEConfig(sac(seen), classifier=judge), "x")
    agent = with_pinned_trunks(vice).agent
    both = agent.sac.encoder, agent.classifier.encoder
    assert all((e.trunk, e.trunk_sha256) == (str(trunk), trunk_digest(trunk)) for e in both)
    chosen = agent.sac.encoder.trunk_precision
    assert chosen == ("bfloat16" if "amx_bf16" in Path("/proc/cpuinfo").read_text() else "float32")
    assert agent.classifier.encoder.trunk_precision == "float32"
    plain = RunConfig("sac", sac(encoder("light")), "x")
    assert with_pinned_trunks(plain) == plain
    Path("junk.npz").write_bytes(b"junk")
    with pytest.raises(DamagedDatasetError, match=r"junk\.npz: expected .*serlds import encoder"):
        with_pinned_trunks(RunConfig("sac", sac(encoder("frozen_resnet10", "junk.npz")), "x"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EncoderConfig(kind="vit"), "small, light, resnet10"),
        (lambda: EncoderConfig(cameras=()), "at least one camera"),
        (lambda: EncoderConfig(cameras=("a", "a")), "each camera once"),
        (lambda: EncoderConfig(kind="frozen_resnet10"), "a file for frozen_resnet10"),
        (lambda: EncoderConfig(trunk_precision="float16"), "float32, bfloat16"),
        (lambda: EncoderConfig(kind="light", trunk="x"), "else none"),
        (lambda: RunConfig("drq", SACConfig(), "x"), "image encoders for drq"),
    ],
)
def test_wrong_encoders_are_refused_by_name(build, message):
    with pytest.raises(UsageError, match=message):
        build()
