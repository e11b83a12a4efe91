"""VICE: a classifier finds out what success looks like, and rewards by it."""

import dataclasses

import jax
import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.training.agents import create_agent
from serlds.training.agents.vice import _rewards
from serlds.training.classifier_config import ClassifierConfig
from serlds.training.config import (
    SERL_CLASSIFIER,
    EncoderConfig,
    NetworkConfig,
    SACConfig,
    VICEConfig,
)
from serlds.training.metrics import read_metrics
from serlds.training.presets import preset
from serlds.training.run_directory import RunDirectory
from serlds.training.supervisor import train
from serlds.training.transition import Observation, Transition

NETWORK = NetworkConfig(hidden_dims=(16,))
SAC = SACConfig(actor=NETWORK, critic=NETWORK)
GOAL = np.array([2.0, -1.0])
QUICK = dataclasses.replace(SERL_CLASSIFIER, learning_rate=3e-3)
CONFIG = VICEConfig(sac=SAC, classifier=QUICK)


def batches(rng, minibatches=2, size=32, rewards_of_demos=True):
    """Half demonstrations, of which every fourth reaches the goal; half that is far from it."""
    shape = (minibatches, size)
    state = rng.normal(scale=0.3, size=(*shape, 2)) - GOAL
    is_goal = np.broadcast_to((np.arange(size) < size // 2) & (np.arange(size) % 4 == 0), shape)
    after = np.where(is_goal[..., None], GOAL + rng.normal(scale=0.1, size=(*shape, 2)), state)
    reached = is_goal & rewards_of_demos
    return Transition(
        Observation(state.astype("f4")),
        rng.uniform(-1, 1, (*shape, 1)).astype("f4"),
        reached.astype("f4"),
        1.0 - reached.astype("f4"),
        Observation(after.astype("f4")),
    )


def agent_of(config):
    return create_agent(config, 0, np.zeros(2, "f4"), np.ones(2, "f4"), 1)


def test_the_classifier_learns_what_success_is_and_rewards_it():
    rng = np.random.default_rng(0)
    agent = agent_of(CONFIG)
    for _ in range(150):
        agent, info = agent.update_utd(batches(rng))
    assert info["classifier_on_success"] > 0.6 > 0.4 > info["classifier_on_others"]
    assert info["classifier_reward"] == pytest.approx(1 / 8, abs=0.06)
    near, far = np.tile(GOAL, (1, 9, 1)).astype("f4"), np.tile(-GOAL, (1, 9, 1)).astype("f4")
    assert (_rewards(agent.classifier, Observation(near), "binary") == 1).all()
    assert (_rewards(agent.classifier, Observation(far), "binary") == 0).all()
    probability = np.asarray(_rewards(agent.classifier, Observation(near), "probability"))
    assert ((probability > 0.5) & (probability < 1)).all()


def test_the_rewards_of_the_data_are_not_learned_from():
    """What a critic learns of is the classifier's verdict: it is the same whatever was recorded."""
    outcomes = []
    for scale in (1.0, 100.0):
        rng = np.random.default_rng(1)
        agent = agent_of(CONFIG)
        for _ in range(3):
            batch = batches(rng)
            agent, info = agent.update_utd(batch._replace(reward=scale * batch.reward))
        outcomes.append(float(info["critic_loss"]))
    assert outcomes[0] == outcomes[1]


def test_without_a_success_the_classifier_waits():
    agent = agent_of(CONFIG)
    batch = batches(np.random.default_rng(2), rewards_of_demos=False)
    after, _ = agent.update_utd(batch)
    before, now = agent.classifier.head.params, after.classifier.head.params
    jax.tree.map(np.testing.assert_array_equal, before, now)


def test_a_classifier_of_images_rewards_by_them_alone():
    shape = (24, 24, 3)
    encoder = EncoderConfig(kind="light", cameras=("front",), features=8)
    config = VICEConfig(
        sac=dataclasses.replace(SAC, encoder=encoder),
        classifier=ClassifierConfig(NETWORK, encoder=encoder, learning_rate=3e-3),
    )
    agent = create_agent(config, 0, np.zeros(2, "f4"), np.ones(2, "f4"), 1, {"front": shape})
    rng = np.random.default_rng(3)
    for _ in range(60):
        batch = batches(rng, minibatches=1, size=16)
        bright = np.where(batch.reward[..., None, None, None] > 0, 230, 20)
        frames = (bright + rng.integers(0, 20, (1, 16, *shape))).astype(np.uint8)
        batch = batch._replace(
            observation=batch.observation._replace(images={"front": np.zeros_like(frames)}),
            next_observation=batch.next_observation._replace(images={"front": frames}),
        )
        agent, info = agent.update_utd(batch)
    assert info["classifier_on_success"] > 0.7 > 0.3 > info["classifier_on_others"]
    same_state = Observation(np.zeros((1, 2, 2), "f4"), {"front": frames[:, :2]})
    np.testing.assert_array_equal(_rewards(agent.classifier, same_state, "binary"), [[1, 0]])


def test_a_run_learns_and_tells_of_its_classifier(tiny_rlpd, tmp_path):
    config = dataclasses.replace(
        tiny_rlpd,
        algorithm="vice",
        agent=VICEConfig(sac=SAC, bc_pretrain_updates=10, classifier=ClassifierConfig(NETWORK)),
        schedule=dataclasses.replace(tiny_rlpd.schedule, evaluation_interval_steps=0),
    )
    train(config, tmp_path / "run")
    last = read_metrics(RunDirectory.open(tmp_path / "run").metrics("learner"))[-1]
    assert last["learner/updates"] == 10 + 55
    assert 0 <= last["loss/classifier_reward"] <= 1


def test_what_the_classifier_should_see_the_agent_must_see():
    front = EncoderConfig(cameras=("front",))
    with pytest.raises(UsageError, match="cameras that the agent sees"):
        VICEConfig(sac=SAC, classifier=ClassifierConfig(encoder=front))
    assert preset("vice", "paper").agent.classifier.encoder.kind == "small"
