import numpy as np
import pytest

from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import Pacer, RandomPolicy, policy_seed, run_episode, run_episodes
from serlds.envs.tasks import make_env, make_expert

ENV_ID = "serlds/WidowXPickCube-v0"


class Clock:
    """Time that passes only when told to."""

    def __init__(self):
        self.now_s = 100.0
        self.slept_s = []

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.slept_s.append(round(seconds, 6))
        self.now_s += seconds


def sim(**env_args):
    return GymAsDmEnv(make_env(ENV_ID, cameras=(), **env_args))


def test_an_episode_is_told_step_by_step_and_summed_up():
    env, told = sim(), []
    expert = make_expert(env.gym_env)
    result = run_episode(env, expert, 3, on_step=lambda *pair: told.append(pair))
    assert result.seed == 3
    assert (result.success, result.terminated, result.episode_return) == (True, True, 1.0)
    assert len(told) == result.length + 1
    assert told[0][0].first()
    assert told[0][1] is None
    assert told[-1][0].last()
    assert all(env.gym_env.action_space.contains(action) for _, action in told[1:])


def test_failure_is_neither_success_nor_termination():
    result = run_episode(sim(max_steps=4), RandomPolicy(7), 0)
    assert (result.success, result.terminated, result.length) == (False, False, 4)


def test_episodes_depend_on_their_seed_alone():
    def actions_of(seeds):
        env, actions = sim(max_steps=3), {seed: [] for seed in seeds}
        for seed in seeds:
            run_episode(env, RandomPolicy(7), seed, lambda _, a, seed=seed: actions[seed].append(a))
        return actions

    one, other = actions_of([5, 6]), actions_of([6, 5])
    for seed in (5, 6):
        np.testing.assert_array_equal(one[seed][1:], other[seed][1:])
    assert not np.array_equal(one[5][1:], one[6][1:])


def test_the_policy_draws_other_numbers_than_the_environment():
    for seed in range(20):
        env_draws = np.random.default_rng(seed).random(8)
        policy_draws = np.random.default_rng(policy_seed(seed)).random(8)
        assert not np.isclose(env_draws, policy_draws).any()
    assert len({policy_seed(seed) for seed in range(1000)}) == 1000


def test_every_seed_is_run_and_reported_in_order():
    reported = []
    env = sim(max_steps=2)
    results = run_episodes(env, RandomPolicy(7), [4, 2, 9], on_episode=reported.append)
    assert [result.seed for result in results] == [4, 2, 9]
    assert reported == results


def test_random_actions_fill_the_range():
    policy = RandomPolicy(7)
    actions = np.stack([policy({}) for _ in range(500)])
    assert actions.dtype == np.float32
    assert (np.abs(actions) <= 1).all()
    assert (actions.min(axis=0) < -0.95).all()
    assert (actions.max(axis=0) > 0.95).all()


def test_a_paced_loop_sleeps_the_rest_of_each_period():
    clock = Clock()
    pacer = Pacer(0.1, clock, clock.sleep)
    pacer.start()
    for work_s in (0.03, 0.0, 0.099):
        clock.now_s += work_s
        pacer.wait()
    assert clock.slept_s == [0.07, 0.1, 0.001]
    assert pacer.late_ticks == 0


def test_a_little_lateness_is_caught_up():
    clock = Clock()
    pacer = Pacer(0.1, clock, clock.sleep)
    pacer.start()
    clock.now_s += 0.15
    pacer.wait()
    pacer.wait()
    assert clock.slept_s == [0.05]
    assert pacer.late_ticks == 0
    assert pacer.worst_lateness_s == pytest.approx(0.05)


def test_a_stall_is_not_followed_by_a_burst():
    clock = Clock()
    pacer = Pacer(0.1, clock, clock.sleep)
    pacer.start()
    clock.now_s += 1.0
    for _ in range(3):
        pacer.wait()
    assert clock.slept_s == [0.1, 0.1]
    assert pacer.late_ticks == 1
    assert pacer.worst_lateness_s == pytest.approx(0.9)


def test_an_episode_can_be_paced():
    clock = Clock()
    run_episode(sim(max_steps=5), RandomPolicy(7), 0, pacer=Pacer(0.1, clock, clock.sleep))
    assert clock.slept_s == [0.1] * 5
