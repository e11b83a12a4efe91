import numpy as np
import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.errors import SerldsError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import make_env

ENV_ID = "serlds/WidowXPickCube-v0"
STATE_ONLY = {"cameras": ()}


def test_recorded_steps_are_observation_action_and_what_followed(tmp_path):
    """Playing the recorded actions from the recorded seed gives the recorded episode."""
    record_episodes(
        ENV_ID, STATE_ONLY, tmp_path / "cubes", by="expert", episodes=2, expert_noise=0.2
    )
    env = make_env(ENV_ID, **STATE_ONLY)
    for episode in open_dataset(tmp_path / "cubes").episodes():
        observation, _ = env.reset(seed=episode.metadata["seed"])
        for step in range(episode.num_transitions):
            for name, value in observation["state"].items():
                np.testing.assert_array_equal(episode[f"observation/state/{name}"][step], value)
            observation, reward, terminated, _, _ = env.step(episode["action"][step])
            assert episode["reward"][step] == reward
            assert episode["discount"][step] == 1.0 - terminated
        np.testing.assert_array_equal(
            episode["observation/state/tcp_pos"][-1], observation["state"]["tcp_pos"]
        )
        assert episode["is_terminal"][-1] == terminated


def test_metadata_says_who_did_what_where(tmp_path):
    record_episodes(
        ENV_ID, {**STATE_ONLY, "control_hz": 20}, tmp_path / "cubes", by="expert", episodes=1
    )
    dataset = open_dataset(tmp_path / "cubes")
    metadata = dataset.episode(0).metadata
    expected = {
        "task": "pick_cube",
        "env_id": ENV_ID,
        "robot": "widowx_ai_follower",
        "collector": "scripted",
        "policy_checkpoint": "",
        "success": True,
        "seed": 0,
        "control_hz": 20.0,
    }
    assert {name: metadata[name] for name in expected} == expected
    assert dataset.provenance.env_id == ENV_ID
    assert dataset.provenance.env_args["control_hz"] == 20
    assert dataset.provenance.env_args["reward"] == "sparse"
    episode = dataset.episode(0)
    assert set(episode["language_instruction"]) == {"pick up the red cube"}
    np.testing.assert_allclose(episode["timestamp_s"], np.arange(len(episode)) / 20, atol=1e-6)


def test_appended_episodes_are_new_ones(tmp_path):
    dataset = tmp_path / "cubes"
    for by, episodes in (("expert", 2), ("random", 1), ("expert", 1)):
        record_episodes(ENV_ID, {**STATE_ONLY, "max_steps": 5}, dataset, by=by, episodes=episodes)
    recorded = list(open_dataset(dataset).episodes())
    assert [episode.metadata["seed"] for episode in recorded] == [0, 1, 2, 3]
    collectors = [episode.metadata["collector"] for episode in recorded]
    assert collectors == ["scripted", "scripted", "random", "scripted"]
    starts = {tuple(episode["observation/state/cube_pos"][0]) for episode in recorded}
    assert len(starts) == 4


def test_a_dropped_episode_is_not_recorded_again(tmp_path):
    dataset, arguments = tmp_path / "cubes", {**STATE_ONLY, "max_steps": 5}
    record_episodes(ENV_ID, arguments, dataset, by="expert", episodes=3)
    drop_episodes(dataset, ["0", "2"])
    record_episodes(ENV_ID, arguments, dataset, by="expert", episodes=2)
    compact(dataset)
    record_episodes(ENV_ID, arguments, dataset, by="expert", episodes=1)
    restore_episodes(dataset, [], everything=True)
    recorded = [episode.metadata["seed"] for episode in open_dataset(dataset).episodes()]
    assert recorded == [0, 1, 2, 3, 4, 5]


def test_a_seed_can_be_asked_for(tmp_path):
    for seed in (100, 7):
        record_episodes(
            ENV_ID,
            {**STATE_ONLY, "max_steps": 2},
            tmp_path / "cubes",
            by="random",
            episodes=2,
            seed=seed,
        )
    seeds = [e.metadata["seed"] for e in open_dataset(tmp_path / "cubes").episodes()]
    assert seeds == [100, 101, 7, 8]


def test_a_policy_acts_on_observations_and_is_named(tmp_path):
    class Closer:
        def reset(self, seed=None):
            self.resets = getattr(self, "resets", 0) + 1

        def __call__(self, observation):
            assert set(observation) == {"state"}
            return np.array([0, 0, 0, 0, 0, 0, -1], np.float32)

    policy = Closer()
    result = record_episodes(
        ENV_ID,
        {**STATE_ONLY, "max_steps": 3},
        tmp_path / "cubes",
        by="policy",
        episodes=2,
        policy=policy,
        policy_checkpoint="run/checkpoints/500",
    )
    assert policy.resets == 2
    assert [episode.length for episode in result.episodes] == [3, 3]
    episode = open_dataset(tmp_path / "cubes").episode(0)
    assert episode.metadata["policy_checkpoint"] == "run/checkpoints/500"
    assert episode.metadata["collector"] == "policy"
    assert episode.metadata["success"] is False
    assert (episode["action"][:-1, 6] == -1).all()


def test_an_interrupted_recording_keeps_what_was_finished(tmp_path):
    class Interrupted:
        episodes = 0

        def reset(self, seed=None):
            self.episodes += 1

        def __call__(self, observation):
            if self.episodes == 3:
                raise KeyboardInterrupt
            return np.zeros(7, np.float32)

    env_args = {**STATE_ONLY, "max_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        record_episodes(
            ENV_ID, env_args, tmp_path / "c", by="policy", episodes=5, policy=Interrupted()
        )
    assert open_dataset(tmp_path / "c").num_episodes == 2
    result = record_episodes(ENV_ID, env_args, tmp_path / "c", by="random", episodes=1)
    assert [episode.seed for episode in result.episodes] == [2]
    assert result.total_episodes == 3


def test_images_are_recorded_as_seen(tmp_path):
    env_args = {"image_size": 64, "max_steps": 2}
    record_episodes(ENV_ID, env_args, tmp_path / "cubes", by="random", episodes=1)
    episode = open_dataset(tmp_path / "cubes").episode(0)
    env = make_env(ENV_ID, **env_args)
    seen, _ = env.reset(seed=0)
    env.close()
    for camera in ("front", "wrist"):
        pixels = episode.pixels(f"observation/image/{camera}")
        assert pixels.shape == (3, 64, 64, 3)
        error = np.abs(pixels[0].astype(int) - seen["image"][camera].astype(int))
        assert error.mean() < 4  # what JPEG loses


def test_progress_and_result_count_episodes(tmp_path):
    calls = []
    result = record_episodes(
        ENV_ID,
        STATE_ONLY,
        tmp_path / "cubes",
        by="expert",
        episodes=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert result.total_episodes == 3
    transitions = sum(episode.length for episode in result.episodes)
    assert f"recorded 3 episodes (3 successful, {transitions} transitions)" in str(result)
    assert str(tmp_path / "cubes" / "1.0.0") in str(result)


def test_other_arguments_than_the_datasets_are_refused(tmp_path):
    record_episodes(ENV_ID, {**STATE_ONLY, "max_steps": 2}, tmp_path / "c", by="random", episodes=1)
    with pytest.raises(UsageError, match="max_steps"):
        record_episodes(
            ENV_ID, {**STATE_ONLY, "max_steps": 3}, tmp_path / "c", by="random", episodes=1
        )
    assert open_dataset(tmp_path / "c").num_episodes == 1


def test_an_environment_that_is_no_robot_task_is_refused(tmp_path):
    with pytest.raises(UsageError, match=f"CartPoleEnv is no task of a robot.*{ENV_ID}"):
        record_episodes("CartPole-v1", {}, tmp_path / "poles", by="random", episodes=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("request_args", "told"),
    [
        ({"by": "magic"}, "expert, policy, random"),
        ({"by": "policy"}, "a policy is needed"),
        ({"by": "expert", "policy": lambda observation: None}, "for nothing else"),
        ({"by": "expert", "episodes": 0}, "at least 1"),
        ({"by": "random", "expert_noise": 0.1}, "only the expert"),
        ({"by": "expert", "expert_noise": -0.1}, "at least 0"),
        ({"by": "expert", "expert_noise": float("nan")}, "at least 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_makes_nothing(tmp_path, request_args, told):
    with pytest.raises(UsageError, match=told):
        record_episodes(ENV_ID, STATE_ONLY, tmp_path / "cubes", **{"episodes": 1, **request_args})
    assert list(tmp_path.iterdir()) == []


def test_failures_are_recorded_beside_the_successes_that_count(tmp_path):
    result = record_episodes(
        ENV_ID,
        {**STATE_ONLY, "max_steps": 9},
        tmp_path / "cubes",
        by="expert",
        episodes=3,
        count="successful",
    )
    outcomes = [episode.success for episode in open_dataset(tmp_path / "cubes").episodes()]
    assert outcomes.count(True) == 3
    assert outcomes.count(False) > 0
    assert outcomes == [episode.success for episode in result.episodes]


def test_recording_gives_up_on_successes_that_never_come(tmp_path):
    with pytest.raises(SerldsError, match="only 0 of 1 succeeded"):
        record_episodes(
            ENV_ID,
            {**STATE_ONLY, "max_steps": 2},
            tmp_path / "cubes",
            by="random",
            episodes=1,
            count="successful",
        )
    assert open_dataset(tmp_path / "cubes").num_episodes == 20
