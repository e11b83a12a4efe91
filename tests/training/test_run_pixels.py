"""A whole run from pixels: real replay server, learner and actor processes."""

import dataclasses

import pytest

from serlds.datasets.errors import SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env
from serlds.pipelines.validate import keep_verdict, validate
from serlds.training.config import EncoderConfig, RLPDConfig
from serlds.training.evaluation import evaluate
from serlds.training.metrics import read_metrics
from serlds.training.restarts import Restarts
from serlds.training.run_directory import RunDirectory
from serlds.training.run_policy import load_policy
from serlds.training.run_preparation import prepare
from serlds.training.supervisor import train
from serlds.training.tracing import trace

from .killing import training_with_deaths

ENV_ID = "serlds/WidowXPickCube-v0"
CAMERAS = ["front", "wrist"]


@pytest.fixture(scope="module")
def pixel_demos(tmp_path_factory):
    """Two expert episodes with images of 32 x 32, validated."""
    directory = tmp_path_factory.mktemp("data") / "demos"
    args = {"cameras": CAMERAS, "image_size": 32, "max_steps": 20}
    record_episodes(ENV_ID, args, directory, by="expert", episodes=2, seed=0)
    assert keep_verdict(validate(directory)) == ""
    return directory / "1.0.0"


@pytest.fixture(scope="module")
def seeing(tiny_rlpd, pixel_demos):
    """The tiny run, from two cameras of 24 x 24."""
    sac = dataclasses.replace(tiny_rlpd.agent.sac, encoder=EncoderConfig(cameras=tuple(CAMERAS)))
    return dataclasses.replace(
        tiny_rlpd,
        agent=RLPDConfig(sac=sac, bc_pretrain_updates=10),
        env_args={"cameras": CAMERAS, "image_size": 24, "max_steps": 20},
        demos=(str(pixel_demos),),
        schedule=dataclasses.replace(tiny_rlpd.schedule, env_steps=200),
    )


def test_a_run_from_pixels_trains_and_acts(seeing, tmp_path):
    run = tmp_path / "run"
    train(seeing, run)
    directory = RunDirectory.open(run)
    task = directory.read_record().task
    assert {c.name: c.shape for c in task.cameras} == {n: (24, 24, 3) for n in CAMERAS}
    assert "observation/state/cube_pos" not in task.state_fields
    lines = read_metrics(directory.metrics("learner"))
    episodes = list(open_dataset(directory.episodes).episodes())
    assert lines[-1]["replay/online"] == sum(e.num_transitions for e in episodes) >= 200
    assert lines[-1]["learner/utd_ratio"] <= 2.0
    assert {e.pixels("observation/image/wrist").shape[1:] for e in episodes} == {(24, 24, 3)}
    assert keep_verdict(validate(directory.episodes.directory)) == ""
    result = evaluate(run, episodes=2, video=True, videos=1)
    assert len(result.lengths) == 2 and (run / "evals" / result.videos[0]).is_file()

    policy = load_policy(run)
    larger = {"cameras": CAMERAS, "image_size": 32, "max_steps": 5}
    recorded = record_episodes(
        ENV_ID, larger, tmp_path / "by_policy", by="policy", policy=policy, episodes=1
    )
    assert recorded.total_episodes == 1  # it saw the larger images in its own size
    env = make_env(ENV_ID, cameras=["front"], max_steps=5)
    with pytest.raises(SchemaError, match=r"needs the camera wrist.*it gives front"):
        policy(env.reset(seed=0)[0])


def test_a_run_from_pixels_survives_the_death_of_each_process(seeing, tmp_path):
    run = tmp_path / "run"
    schedule = dataclasses.replace(seeing.schedule, env_steps=400)
    config = dataclasses.replace(seeing, schedule=schedule)
    thread, errors = training_with_deaths(config, run, Restarts(first_delay_s=0.1))
    thread.join(300.0)
    assert not thread.is_alive() and not errors
    directory = RunDirectory.open(run)
    assert directory.read_session().number >= 3  # one after the learner's death, one the server's
    episodes = list(open_dataset(directory.episodes).episodes())
    assert len({e.metadata["seed"] for e in episodes}) == len(episodes)
    last = read_metrics(directory.metrics("learner"))[-1]
    assert last["replay/online"] == sum(e.num_transitions for e in episodes) >= 400
    found = trace(run, int(last["learner/updates"]))
    recorded = (found.origin.source == -1) & ~found.is_abandoned
    assert recorded.any()
    places = zip(found.origin.episode[recorded], found.origin.step[recorded], strict=True)
    assert all(step < episodes[episode].num_transitions for episode, step in places)


def test_a_dataset_without_the_camera_is_refused_by_name(seeing, demos, tmp_path):
    with pytest.raises(UsageError, match=r"has no colour images of camera 'front'.*--cameras"):
        prepare(dataclasses.replace(seeing, demos=(*seeing.demos, str(demos))))


def test_a_camera_that_the_task_does_not_show_is_refused(seeing):
    args = {**seeing.env_args, "cameras": ["front"]}
    with pytest.raises(UsageError, match=r"encoder\.cameras: .* shows no wrist; it shows front"):
        prepare(dataclasses.replace(seeing, env_args=args))


def test_a_replay_that_the_machine_cannot_hold_is_refused(seeing, tiny_rlpd):
    replay = dataclasses.replace(seeing.replay, online_capacity=10**9)
    schedule = dataclasses.replace(seeing.schedule, env_steps=10**9)
    with pytest.raises(UsageError, match=r"at [\d,]+ bytes each \(front 24 x 24, wrist 24 x 24\)"):
        prepare(dataclasses.replace(seeing, replay=replay, schedule=schedule))
    with pytest.raises(UsageError, match=r"Set --replay\.online-capacity to at most [\d,]+$"):
        huge = dataclasses.replace(replay, online_capacity=10**12)
        longer = dataclasses.replace(schedule, env_steps=10**12)
        prepare(dataclasses.replace(tiny_rlpd, replay=huge, schedule=longer))
    # A capacity that the run can never fill needs nothing.
    prepare(dataclasses.replace(seeing, replay=replay))


def test_more_demonstrations_than_their_table_holds_are_refused(seeing):
    replay = dataclasses.replace(seeing.replay, demos_capacity=10)
    with pytest.raises(UsageError, match=r"more than replay\.demos_capacity = 10; set it higher"):
        prepare(dataclasses.replace(seeing, replay=replay))
