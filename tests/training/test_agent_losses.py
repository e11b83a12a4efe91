"""Each equation against a computation by hand or by NumPy/SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from serlds.training.agents.actor import (
    actor_loss,
    cloning_error,
    gaussian_log_prob,
    sample_tanh_gaussian,
    tanh_gaussian_log_prob,
)
from serlds.training.agents.critic import critic_loss, draw_subset, td_target
from serlds.training.agents.optimiser import descend, interpolate, start
from serlds.training.agents.temperature import temperature_loss

REWARD = jnp.array([0.0, 1.0, 0.0])
DISCOUNT = jnp.array([1.0, 0.0, 1.0])
NEXT_VALUES = jnp.array([[0.5, 9.0, 3.0], [0.7, 8.0, 2.0]])
NO_BONUS = jnp.zeros(3)


def test_target_takes_the_minimum_and_stops_at_terminations_only() -> None:
    target = td_target(REWARD, DISCOUNT, NEXT_VALUES, 0.9, NO_BONUS, None)
    np.testing.assert_allclose(target, [0.45, 1.0, 1.8], rtol=1e-6)


def test_target_adds_the_entropy_bonus_before_discounting() -> None:
    bonus = jnp.array([0.1, 0.2, -0.3])
    target = td_target(REWARD, DISCOUNT, NEXT_VALUES, 0.9, bonus, None)
    np.testing.assert_allclose(target, [0.54, 1.0, 1.53], rtol=1e-6)


def test_target_is_clipped_to_its_bounds() -> None:
    target = td_target(REWARD, DISCOUNT, NEXT_VALUES, 0.9, NO_BONUS, (0.5, 1.0))
    np.testing.assert_allclose(target, [0.5, 1.0, 1.0], rtol=1e-6)


def test_critic_loss_is_the_mean_over_critics_and_batch() -> None:
    values = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert critic_loss(values, jnp.array([1.0, 1.0])) == pytest.approx((0 + 1 + 4 + 9) / 4)


def test_subset_is_without_replacement_and_uniform() -> None:
    members = jnp.arange(5)
    keys = jax.random.split(jax.random.PRNGKey(0), 2000)
    drawn = np.asarray(jax.vmap(lambda k: draw_subset(k, {"m": members}, 5, 2)["m"])(keys))
    assert drawn.shape == (2000, 2)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    shares = np.bincount(drawn.ravel(), minlength=5) / drawn.size
    np.testing.assert_allclose(shares, 0.2, atol=0.03)


def test_subset_of_everything_is_everything_in_order() -> None:
    whole = {"m": jnp.arange(6.0).reshape(3, 2)}
    drawn = draw_subset(jax.random.PRNGKey(0), whole, 3, 3)
    np.testing.assert_array_equal(drawn["m"], whole["m"])


def test_subset_keeps_a_members_arrays_together() -> None:
    ensemble = {"kernel": jnp.arange(10.0)[:, None], "bias": jnp.arange(10.0)}
    drawn = draw_subset(jax.random.PRNGKey(1), ensemble, 10, 4)
    np.testing.assert_array_equal(drawn["kernel"][:, 0], drawn["bias"])


def test_gaussian_log_likelihood_matches_scipy() -> None:
    rng = np.random.default_rng(0)
    x, mean, log_std = rng.normal(size=(3, 5, 4)).astype(np.float32)
    expected = stats.norm.logpdf(x, mean, np.exp(log_std)).sum(-1)
    np.testing.assert_allclose(gaussian_log_prob(x, mean, log_std), expected, rtol=2e-4)


def test_tanh_gaussian_log_likelihood_matches_the_change_of_variables() -> None:
    rng = np.random.default_rng(1)
    raw, mean, log_std = rng.normal(size=(3, 5, 4))
    slope = np.log(1.0 - np.tanh(raw) ** 2)
    expected = (stats.norm.logpdf(raw, mean, np.exp(log_std)) - slope).sum(-1)
    found = tanh_gaussian_log_prob(*(jnp.asarray(v, jnp.float32) for v in (raw, mean, log_std)))
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_tanh_gaussian_density_integrates_to_one() -> None:
    actions = np.linspace(-0.9999, 0.9999, 20_001)
    raw = jnp.asarray(np.arctanh(actions), jnp.float32)[:, None]
    log_prob = tanh_gaussian_log_prob(raw, jnp.full_like(raw, 0.3), jnp.full_like(raw, -0.5))
    assert integrate.trapezoid(np.exp(log_prob), actions) == pytest.approx(1.0, abs=1e-3)


def test_saturated_actions_keep_a_finite_log_likelihood_and_gradient() -> None:
    mean = jnp.full((1, 1), 30.0)
    log_std = jnp.zeros((1, 1))

    def log_prob(m):
        return sample_tanh_gaussian(jax.random.PRNGKey(0), m, log_std)[1].sum()

    assert np.isfinite(log_prob(mean))
    assert np.isfinite(jax.grad(log_prob)(mean)).all()


def test_samples_are_bounded_and_spread_as_the_policy_says() -> None:
    mean, log_std = jnp.full((20_000, 1), 0.4), jnp.full((20_000, 1), -1.0)
    action, _ = sample_tanh_gaussian(jax.random.PRNGKey(0), mean, log_std)
    raw = np.arctanh(np.asarray(action))
    assert np.abs(action).max() < 1.0
    assert raw.mean() == pytest.approx(0.4, abs=0.01)
    assert raw.std() == pytest.approx(np.exp(-1.0), abs=0.01)


def test_actor_loss_weighs_the_log_likelihood_by_the_temperature() -> None:
    loss = actor_loss(jnp.array([1.0, 3.0]), jnp.array([5.0, 1.0]), jnp.array(0.5))
    assert loss == pytest.approx((0.5 - 5.0 + 1.5 - 1.0) / 2)


def test_cloning_error_is_the_mean_over_rows_and_dimensions() -> None:
    error = cloning_error(jnp.array([[0.0, 1.0], [1.0, 1.0]]), jnp.array([[0.0, 0.0], [3.0, 1.0]]))
    assert error == pytest.approx((0 + 1 + 4 + 0) / 4)


@pytest.mark.parametrize(("log_prob", "sign"), [(3.0, -1), (-3.0, 1)])
def test_temperature_rises_while_entropy_is_below_its_target(log_prob: float, sign: int) -> None:
    target_entropy = -1.0
    log_probs = jnp.full(4, log_prob)
    loss = temperature_loss(jnp.log(0.2), log_probs, target_entropy)
    gradient = jax.grad(temperature_loss)(jnp.log(0.2), log_probs, target_entropy)
    assert loss == pytest.approx(-0.2 * (log_prob + target_entropy), rel=1e-5)
    assert np.sign(gradient) == sign


def test_interpolation_moves_the_named_share() -> None:
    moved = interpolate({"w": jnp.array([0.0, 10.0])}, {"w": jnp.array([1.0, 0.0])}, 0.25)
    np.testing.assert_allclose(moved["w"], [0.25, 7.5])


def test_first_adam_step_is_the_learning_rate_against_the_gradient() -> None:
    moved = descend(start(jnp.array([1.0, 1.0]), 0.1), jnp.array([3.0, -0.5]), 0.1)
    np.testing.assert_allclose(moved.params, [0.9, 1.1], rtol=1e-5)
