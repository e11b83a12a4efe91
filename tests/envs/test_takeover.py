"""Taking over from a policy: who acted is in the data, step by step."""

import contextlib

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import open_store, recording
from serlds.envs.rollout import RandomPolicy, run_episodes
from serlds.envs.takeover import ExpertDriver, Takeover, make_driver
from serlds.envs.tasks import make_env


class EverySecondStretch:
    """Drives with zeros from step 3 of each 6 on."""

    def reset(self, seed=None):
        self._step = 0

    def __call__(self, observation, proposed):
        self._step += 1
        return np.zeros(7, np.float32) if (self._step - 1) % 6 >= 3 else None

    def close(self):
        pass


@pytest.fixture(scope="module")
def env():
    env = make_env("serlds/WidowXPickCube-v0", cameras=[], max_steps=50)
    with contextlib.closing(env):
        yield env


def test_the_log_says_which_actions_were_whose(env, tmp_path):
    acting = Takeover(RandomPolicy(7), EverySecondStretch())
    with (
        open_store(env, tmp_path / "mixed") as store,
        recording(
            env, store, lambda: acting.collector, has_intervened=lambda: acting.has_intervened
        ) as logger,
    ):
        run_episodes(logger, acting, [0, 1])
        assert acting.intervened_steps == 24
        assert acting.intervened_share == 24 / 50
    for episode in open_dataset(tmp_path / "mixed").episodes():
        driven = np.asarray(episode["intervened"])[:-1]
        assert driven.tolist() == [t % 6 >= 3 for t in range(50)]
        is_zero = (np.asarray(episode["action"])[:-1] == 0).all(axis=1)
        np.testing.assert_array_equal(is_zero, driven)
        assert episode.metadata["collector"] == "mixed"


def test_without_a_driver_nobody_takes_over(env, tmp_path):
    acting = Takeover(RandomPolicy(7), make_driver("", env))
    with (
        open_store(env, tmp_path / "alone") as store,
        recording(
            env, store, lambda: acting.collector, has_intervened=lambda: acting.has_intervened
        ) as logger,
    ):
        run_episodes(logger, acting, [0])
    (episode,) = open_dataset(tmp_path / "alone").episodes()
    assert not np.asarray(episode["intervened"]).any()
    assert episode.metadata["collector"] == "policy"


def test_the_expert_helps_a_policy_that_gets_nowhere_and_leaves_a_good_one_alone(env):
    from serlds.envs.dm_adapter import GymAsDmEnv
    from serlds.envs.tasks import make_expert

    dm_env = GymAsDmEnv(env)
    alone = run_episodes(dm_env, RandomPolicy(7), range(10))
    shares = []
    acting = Takeover(RandomPolicy(7), ExpertDriver(env))
    helped = run_episodes(
        dm_env, acting, range(10), on_episode=lambda _: shares.append(acting.intervened_share)
    )
    assert sum(r.success for r in helped) > sum(r.success for r in alone)
    assert all(0 < share < 0.8 for share in shares)
    acting = Takeover(make_expert(env), ExpertDriver(env))
    run_episodes(
        dm_env, acting, range(10), on_episode=lambda _: shares.append(acting.intervened_share)
    )
    assert np.mean(shares[10:]) < 0.2 < np.mean(shares[:10])


def test_an_unknown_driver_is_refused(env):
    with pytest.raises(
        UsageError,
        match="'ghost' cannot take over; expected one of expert, keyboard, spacemouse, gamepad",
    ):
        make_driver("ghost", env)
