"""SERL's pretrained ResNet-10 becomes a trunk that gives the same features."""

import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serlds.cli import main
from serlds.training.config import EncoderConfig
from serlds.training.encoder_trunk import read_trunk, trunk_digest
from serlds.training.encoders import ResNetTrunk, nested


class Block(nn.Module):
    """A block named as in SERL's pickle."""

    filters: int
    stride: int

    @nn.compact
    def __call__(self, x):
        def conv(side, stride, name):
            return nn.Conv(self.filters, (side, side), (stride, stride), use_bias=False, name=name)

        def norm(name):
            return nn.GroupNorm(4, epsilon=1e-5, name=name)

        y = nn.relu(norm("MyGroupNorm_0")(conv(3, self.stride, "Conv_0")(x)))
        y = norm("MyGroupNorm_1")(conv(3, 1, "Conv_1")(y))
        if x.shape != y.shape:
            x = norm("norm_proj")(conv(1, self.stride, "conv_proj")(x))
        return nn.relu(x + y)


class Reference(nn.Module):
    """ResNet-10 as SERL describes it, written anew."""

    @nn.compact
    def __call__(self, images):
        mean, std = jnp.array([0.485, 0.456, 0.406]), jnp.array([0.229, 0.224, 0.225])
        x = (images / 255.0 - mean) / std
        x = nn.Conv(64, (7, 7), (2, 2), [(3, 3)] * 2, use_bias=False, name="conv_init")(x)
        x = nn.relu(nn.GroupNorm(4, epsilon=1e-5, name="norm_init")(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for number in range(4):
            x = Block(64 * 2**number, 1 if number == 0 else 2, name=f"ResNetBlock_{number}")(x)
        return x


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    """A file as SERL publishes it, its parameters, and images."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3)).astype(np.float32)
    params = jax.jit(Reference().init)(jax.random.PRNGKey(1), images)["params"]
    path = tmp_path_factory.mktemp("serl") / "resnet10_params.pkl"
    path.write_bytes(pickle.dumps(jax.tree.map(np.asarray, params)))
    return path, params, images


def convert(source, destination):
    """The exit code of the verb."""
    with pytest.raises(SystemExit) as ended:
        main(["import", "encoder", str(source), str(destination)])
    return ended.value.code


def test_converted_weights_give_the_same_features(pickled, tmp_path, capsys):
    path, params, images = pickled
    made = tmp_path / "trunk.npz"
    assert convert(path, made) == 0
    config = EncoderConfig("frozen_resnet10", trunk=str(made), trunk_sha256=trunk_digest(made))
    trunk = nested(read_trunk(config))
    found = jax.jit(ResNetTrunk().apply)({"params": trunk}, images.astype(np.uint8))
    expected = jax.jit(Reference().apply)({"params": params}, images)
    assert found.shape == (2, 1, 2, 512)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert convert(path, made) == 2
    assert "exists already" in capsys.readouterr().err


def test_other_pickles_are_refused_by_name(pickled, tmp_path, capsys):
    _, params, _ = pickled
    damaged = {**jax.tree.map(np.asarray, params), "conv_init": {"kernel": np.zeros((3, 3))}}
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(damaged))
    assert convert(path, tmp_path / "trunk.npz") != 0
    said = capsys.readouterr().err
    assert "conv_init/kernel: expected an array of shape (7, 7, 3, 64)" in said
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert convert(path, tmp_path / "trunk.npz") != 0
    assert not (tmp_path / "trunk.npz").exists()
