"""Tasks on arms behind the vendor's own driver, which talks to simulated controllers."""

import contextlib

import numpy as np
import psutil
import pytest

from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import open_store, record_episodes, recording
from serlds.envs.rollout import run_episode
from serlds.envs.tasks import make_env, make_expert
from serlds.hardware.errors import RobotError, RobotFaultError
from serlds.hardware.rig_state import Clamp
from serlds.pipelines.validate import keep_verdict, validate

PICK = "serlds/WidowXPickCube-v0"
LIFT = "serlds/BimanualLift-v0"


def setup(*addresses, **fields):
    own = {"addresses": list(addresses), "success": "lifted"}
    return {**own, "simulate": True, "reset_s": 0.0, **fields}


def arguments(robot, **others):
    return {"cameras": [], "backend": "robot", "robot": robot, **others}


def open_env(env_id, robot, **others):
    return contextlib.closing(make_env(env_id, **arguments(robot, **others)))


@pytest.mark.parametrize("env_id", [PICK, LIFT, "serlds/FrankaPickCube-v0"])
def test_a_robot_has_the_spaces_of_its_simulated_twin(env_id):
    """Without being connected: there is no robot at that address."""
    cameras = [*make_env(env_id).observation_space["image"]]
    arms = 2 if env_id == LIFT else 1
    robot = {
        "addresses": ["192.0.2.1", "192.0.2.2"][:arms],
        "cameras": dict.fromkeys(cameras, "twin"),
    }
    with (
        contextlib.closing(make_env(env_id, object_state=False)) as twin,
        contextlib.closing(make_env(env_id, backend="robot", robot=robot)) as env,
    ):
        assert env.observation_space == twin.observation_space
        assert env.action_space == twin.action_space
        assert env.unwrapped.field_docs == twin.unwrapped.field_docs


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    dataset = tmp_path_factory.mktemp("data") / "robot"
    robot = setup("127.0.50.1", cameras={"front": "twin"})
    given = arguments(robot, max_steps=120) | {"cameras": ["front"], "image_size": 32}
    result = record_episodes(PICK, given, dataset, by="expert", episodes=2)
    return dataset, result


def test_episodes_of_a_robot_are_like_any_others(recorded):
    dataset, result = recorded
    assert [episode.success for episode in result.episodes] == [True, True]
    found = open_dataset(dataset)
    assert found.provenance.env_args["backend"] == "robot"
    assert keep_verdict(validate(dataset)) == ""
    for episode in found.episodes():
        assert episode["observation/state/tcp_pos"][-1][2] > 0.13
        assert min(episode["observation/state/tcp_pos"][:, 2]) < 0.05
        assert len(np.unique(episode["timestamp_s"])) == len(episode)
        assert np.std(episode.pixels("observation/image/front")[0]) > 5  # shows the arm's twin
        assert (episode["age_s/state"] > 0).all() and "age_s/image/front" not in episode.columns


def test_what_was_asked_for_and_sent_and_why_is_in_the_log(recorded):
    for episode in open_dataset(recorded[0]).episodes():
        n = episode.num_transitions
        sent, asked = episode["robot/sent_joint_rad"][:n], episode["robot/requested_joint_rad"][:n]
        assert np.isfinite(sent).all()
        assert 0 < np.abs(sent - asked).max() < 0.5
        clamped = episode["robot/clamps"][:n, 0] & ~int(Clamp.SPEED | Clamp.ACCELERATION) != 0
        same = (episode["action"] == episode["action_requested"]).all(axis=1)[:n]
        assert same[~clamped].all()


def test_what_the_rig_clamps_is_not_recorded_as_done(tmp_path):
    class IntoTheTable:
        def reset(self, seed=None):
            pass

        def __call__(self, observation):
            return np.array([0, 0, -1, 0, 0, 0, 1], np.float32)

    robot = setup("127.0.50.2", box_lower_m=[0.1, -0.3, 0.09])  # above what the task goes down to
    with (
        open_env(PICK, robot, max_steps=25) as env,
        open_store(env, tmp_path / "low") as store,
        recording(env, store, lambda: "policy") as logger,
    ):
        run_episode(logger, IntoTheTable(), 0)
    (episode,) = open_dataset(tmp_path / "low").episodes()
    assert min(episode["observation/state/tcp_pos"][:, 2]) > 0.08
    late = slice(-6, -1)
    assert (episode["robot/clamps"][late, 0] & int(Clamp.WORKSPACE)).all()
    assert (episode["action_requested"][late, 2] == -1).all()
    assert (np.abs(episode["action"][late, 2]) < 0.3).all()


def test_two_arms_are_one_robot():
    robot = setup("127.0.50.3", "127.0.50.4")
    with open_env(LIFT, robot, max_steps=90) as env:
        expert = make_expert(env)
        expert.reset(0)
        observation, info = env.reset(seed=0)
        ended = False
        while not ended:
            observation, _, terminated, truncated, info = env.step(expert(observation))
            ended = terminated or truncated
        assert info["success"] and info["step_fields"]["robot/clamps"].shape == (2,)
        assert observation["state"]["left_tcp_pos"][2] > 0.13
        assert observation["state"]["right_tcp_pos"][2] > 0.13


def test_a_person_says_how_an_episode_ends():
    with open_env(PICK, setup("127.0.50.5", success="person")) as env:
        still = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
        for said in (True, False):
            env.reset(seed=0)
            assert env.step(still)[2:4] == (False, False)
            env.unwrapped.end(said)
            _, reward, terminated, _, info = env.step(still)
            assert (reward, terminated, info["success"]) == (float(said), True, said)


def test_a_controller_that_dies_costs_the_episode_in_progress_alone(tmp_path):
    with (
        open_env(PICK, setup("127.0.50.6")) as env,
        open_store(env, tmp_path / "cut") as store,
        recording(env, store, lambda: "scripted") as logger,
    ):
        expert = make_expert(env)
        run_episode(logger, expert, 0)

        def die(timestep, action):
            if action is not None:
                (controller,) = (
                    child
                    for child in psutil.Process().children()
                    if "127.0.50.6" in child.cmdline()
                )
                controller.kill()

        with pytest.raises(RobotFaultError, match=r"127\.0\.50\.6"):
            run_episode(logger, expert, 1, on_step=die)
    assert open_dataset(tmp_path / "cut").num_episodes == 1


def test_nothing_keeps_running_when_there_is_no_robot():
    with (
        open_env(PICK, {"addresses": ["127.0.50.7"], "reset_s": 0}) as env,
        pytest.raises(RobotError, match=r"127\.0\.50\.7"),
    ):
        env.reset(seed=0)


@pytest.mark.parametrize(
    ("robot", "message"),
    [
        ({"adresses": []}, "unknown adresses; expected addresses"),
        ({"addresses": ["a", "b"]}, "the task has 1 arms"),
        ({"success": "luck"}, "expected one of person, lifted"),
        ({"reset_s": -1}, "reset_s"),
        ("/nowhere.json", "cannot be read"),
    ],
)
def test_a_wrong_setup_is_refused_by_name(robot, message):
    with pytest.raises(UsageError, match=message):
        make_env(PICK, **arguments(robot))
    with pytest.raises(UsageError, match="not of franka; start a simulated robot yourself"):
        make_env("serlds/FrankaPickCube-v0", **arguments("sim"))
    with pytest.raises(UsageError, match="the task observes front too"):
        make_env(PICK, backend="robot", cameras=["front"], robot={"addresses": ["a"]})
    with pytest.raises(UsageError, match="only backend=robot takes it"):
        make_env(PICK, robot="sim")


@pytest.mark.parametrize("asked", [{"object_state": True}, {"reward": "dense"}])
def test_a_robot_does_not_pretend_to_know_where_objects_are(asked):
    with pytest.raises(UsageError, match="a robot does not know where the objects are"):
        make_env(PICK, **arguments("sim", **asked))
    with open_env(PICK, "sim") as env:
        assert not [name for name in env.observation_space["state"] if "cube" in name]
