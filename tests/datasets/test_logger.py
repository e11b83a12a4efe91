"""Recording through EnvLogger: alignment of every field, and when an episode is safe."""

import datetime

import dm_env
import envlogger
import numpy as np
import pytest
from dm_env import specs

from serlds.datasets import keys
from serlds.datasets.errors import SchemaError, SerldsError, StoreWriteError
from serlds.datasets.logger import EpisodeWriter, make_logger
from serlds.datasets.reading import open_dataset
from serlds.datasets.schema import STEP_FIELDS, Field, Schema
from serlds.datasets.store import EpisodeStore

POSITION = "observation/state/position"
FRONT = "observation/image/front"
STEPS = 4


class Counter(dm_env.Environment):
    """Its observation counts the actions of the episode; the same buffers are used again."""

    def __init__(self, ends_by="termination", cameras=True):
        self.count = 0
        self._end = {"termination": dm_env.termination, "truncation": dm_env.truncation}[ends_by]
        self._state = {"position": np.zeros(2, np.float32)}
        self._image = {"front": np.zeros((8, 8, 3), np.uint8)}
        self._observation = {"state": self._state, **({"image": self._image} if cameras else {})}

    def _observe(self):
        self._state["position"][:] = self.count
        self._image["front"][:] = 10 * self.count
        return self._observation

    def reset(self):
        self.count = 0
        return dm_env.restart(self._observe())

    def step(self, action):
        self.count += 1
        reward = 100.0 + self.count
        if self.count == STEPS:
            return self._end(reward, self._observe())
        return dm_env.transition(reward, self._observe())

    def observation_spec(self):
        return {"state": {"position": specs.Array((2,), np.float32)}}

    def action_spec(self):
        return specs.BoundedArray((3,), np.float32, -1, 1)


def schema_of(*extra, cameras=True):
    fields = [Field(POSITION, "float32", (2,)), Field("action", "float32", (3,))]
    if cameras:
        fields.append(Field(FRONT, "uint8", (8, 8, 3), "jpeg"))
    return Schema((*fields, *STEP_FIELDS, *extra))


def metadata(timestep, environment):
    return {
        "task": "count",
        "robot": "none",
        "collector": "scripted",
        "success": timestep.reward == 104.0,
        "seed": 3,
        "control_hz": 10.0,
    }


def action(value):
    return np.full(3, value, np.float32)


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "counted"


@pytest.fixture
def store(dataset):
    with EpisodeStore.open(dataset, schema_of(), env_id="serlds/Count-v0") as opened:
        yield opened


def run_episode(logger, first=0.1):
    logger.reset()
    for step in range(STEPS):
        timestep = logger.step(action(first + step / 10))
    assert timestep.last()


def test_each_row_holds_the_observation_and_what_was_done_from_it(store, dataset):
    def step_fields(timestep, action_taken, environment):
        return {
            keys.TIMESTAMP_S: environment.count * 0.5,
            keys.LANGUAGE_INSTRUCTION: f"at {environment.count}",
            # Known once the step has been made, of the action that made it.
            keys.INTERVENED: action_taken is not None and bool(action_taken[0] > 0.25),
        }

    logger = make_logger(Counter(), store, step_fields, metadata)
    run_episode(logger)
    episode = open_dataset(dataset).episode(0)
    rows = np.arange(STEPS + 1)
    np.testing.assert_array_equal(episode[POSITION][:, 0], rows)
    assert [round(frame.mean() / 10) for frame in episode.pixels(FRONT)] == rows.tolist()
    np.testing.assert_array_equal(episode[keys.TIMESTAMP_S], rows * np.float32(0.5))
    assert episode[keys.LANGUAGE_INSTRUCTION] == [f"at {row}" for row in rows]
    np.testing.assert_array_equal(episode[keys.ACTION][:, 0], np.float32([0.1, 0.2, 0.3, 0.4, 0.0]))
    np.testing.assert_array_equal(episode[keys.INTERVENED], [False, False, True, True, False])
    np.testing.assert_array_equal(episode[keys.REWARD], [101, 102, 103, 104, 0])
    np.testing.assert_array_equal(episode[keys.IS_FIRST], rows == 0)
    np.testing.assert_array_equal(episode[keys.IS_LAST], rows == STEPS)


@pytest.mark.parametrize(
    ("ends_by", "discounts", "terminal"),
    [("termination", [1, 1, 1, 0, 0], True), ("truncation", [1, 1, 1, 1, 0], False)],
)
def test_only_a_termination_has_discount_zero(store, dataset, ends_by, discounts, terminal):
    run_episode(make_logger(Counter(ends_by), store, None, metadata))
    episode = open_dataset(dataset).episode(0)
    np.testing.assert_array_equal(episode[keys.DISCOUNT], discounts)
    np.testing.assert_array_equal(episode[keys.IS_TERMINAL], [*[False] * STEPS, terminal])
    assert episode[keys.IS_LAST][-1]


def test_fields_left_out_have_their_defaults(dataset):
    requested = Field(keys.ACTION_REQUESTED, "float32", (3,))
    ticks = iter(range(100))
    start = datetime.datetime(2026, 5, 6, 7, 8, 9, 10, datetime.UTC)
    with EpisodeStore.open(dataset, schema_of(requested), env_id="serlds/Count-v0") as store:
        writer = EpisodeWriter(store, lambda: start, lambda: float(next(ticks)))
        logger = envlogger.EnvLogger(Counter(), backend=writer)
        run_episode(logger)
        writer.set_episode_metadata(metadata(dm_env.termination(104.0, None), None))
    episode = open_dataset(dataset).episode(0)
    np.testing.assert_array_equal(episode[keys.TIMESTAMP_S], [1, 2, 3, 4, 5])
    assert episode[keys.LANGUAGE_INSTRUCTION] == [""] * 5
    np.testing.assert_array_equal(episode[keys.ACTION_REQUESTED], episode[keys.ACTION])
    assert not episode[keys.INTERVENED].any()
    assert episode.episode_id.startswith("20260506T070809.000010Z-")
    assert episode.metadata[keys.CREATED_UTC] == "2026-05-06T07:08:09.000010+00:00"
    assert episode.metadata[keys.ENV_ID] == "serlds/Count-v0"
    assert episode.metadata[keys.POLICY_CHECKPOINT] == ""


def test_a_requested_action_goes_with_the_action_taken(dataset):
    requested = Field(keys.ACTION_REQUESTED, "float32", (3,))
    with EpisodeStore.open(dataset, schema_of(requested)) as store:

        def step_fields(timestep, taken, environment):
            return {} if taken is None else {keys.ACTION_REQUESTED: taken * 2}

        run_episode(make_logger(Counter(), store, step_fields, metadata))
    episode = open_dataset(dataset).episode(0)
    np.testing.assert_array_equal(episode[keys.ACTION_REQUESTED], episode[keys.ACTION] * 2)
    assert episode[keys.ACTION].any(axis=1).tolist() == [True] * STEPS + [False]


def test_an_episode_is_in_the_dataset_when_its_last_step_returns(store, dataset):
    logger = make_logger(Counter(), store, None, metadata)
    assert logger.writer.ordinal == 0
    ids = []
    for ordinal in range(3):
        logger.reset()
        assert logger.writer.ordinal == ordinal
        ids.append(logger.writer.episode_id)
        for _ in range(STEPS - 1):
            logger.step(action(0))
            assert store.num_episodes == ordinal
        logger.step(action(0))
        assert open_dataset(dataset).episode(ordinal).episode_id == ids[-1]
        assert logger.writer.ordinal == ordinal
    assert ids == sorted(set(ids))
    assert (logger.writer.episodes_recorded, logger.writer.episodes_dropped) == (3, 0)
    logger.close()
    assert store.append(open_dataset(dataset).episode(0)) == 3


def test_stepping_on_after_the_end_begins_the_next_episode(store):
    logger = make_logger(Counter(), store, None, metadata)
    run_episode(logger)
    assert logger.step(action(0.5)).first()
    for _ in range(STEPS):
        logger.step(action(0))
    assert store.num_episodes == 2


@pytest.mark.parametrize("way", ["reset", "close"])
def test_an_episode_left_early_is_dropped_with_a_notice(store, dataset, caplog, way):
    logger = make_logger(Counter(), store, None, metadata)
    run_episode(logger)
    logger.reset()
    logger.step(action(0.1))
    left = logger.writer.episode_id
    getattr(logger, way)()
    assert f"episode {left} is not recorded: the " in caplog.text
    assert "after 2 steps, before the episode's end" in caplog.text
    if way == "reset":
        for _ in range(STEPS):
            logger.step(action(0.7))
    assert logger.writer.episodes_dropped == 1
    episodes = list(open_dataset(dataset).episodes())
    assert [len(episode) for episode in episodes] == [STEPS + 1] * len(episodes)
    assert left not in [episode.episode_id for episode in episodes]
    assert len(episodes) == (2 if way == "reset" else 1)


BAD_ACTIONS = {
    "dtype": (np.zeros(3), r"action: expected float32 \(3,\), found float64 \(3,\)"),
    "shape": (action(0)[:2], r"action: expected float32 \(3,\), found float32 \(2,\)"),
    "type": ("up", "action: expected float32"),
    "none": (None, "missing: action"),
}


@pytest.mark.parametrize("case", BAD_ACTIONS)
def test_a_bad_action_is_refused_at_its_step(store, dataset, case):
    bad, message = BAD_ACTIONS[case]
    logger = make_logger(Counter(), store, None, metadata)
    run_episode(logger)
    logger.reset()
    logger.step(action(0.1))
    with pytest.raises(SchemaError, match=f"episode '.*', step 2: {message}"):
        logger.step(bad)
    with pytest.raises(SerldsError, match="reset the environment first"):
        logger.step(action(0.1))
    run_episode(logger)
    assert (logger.writer.episodes_recorded, logger.writer.episodes_dropped) == (2, 1)
    assert open_dataset(dataset).num_episodes == 2


@pytest.mark.parametrize("given", [(1, 2), np.array([1.0, 2.0])], ids=["integers", "float64"])
def test_what_dm_env_leaves_open_is_converted(tmp_path, given):
    """Here a reward of two numbers."""
    fields = [f for f in schema_of().steps if f.path != keys.REWARD]
    schema = Schema((*fields, Field(keys.REWARD, "float32", (2,))))
    with EpisodeStore.open(tmp_path / "two", schema) as store:
        logger = make_logger(Counter(), store, lambda *_: {keys.REWARD: given}, metadata)
        run_episode(logger)
    rewards = open_dataset(tmp_path / "two").episode(0)[keys.REWARD]
    assert rewards.dtype == np.float32
    np.testing.assert_array_equal(rewards, [[1, 2]] * STEPS + [[0, 0]])


def test_a_reward_that_would_lose_its_fraction_is_refused(tmp_path):
    fields = [f for f in schema_of().steps if f.path != keys.REWARD]
    with EpisodeStore.open(tmp_path / "i", Schema((*fields, Field(keys.REWARD, "int32")))) as store:
        logger = make_logger(Counter(), store, None, metadata)
        with pytest.raises(
            SchemaError, match=r"step 1: reward: expected int32 \(\), found float64"
        ):
            run_episode(logger)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"observation/state/speed": np.float32(1)}, "not in the schema: observation/state/speed"),
        ({keys.ACTION_REQUESTED: action(0)}, "not in the schema: action_requested"),
        ({keys.LANGUAGE_INSTRUCTION: 3}, "language_instruction: expected a string, found 3"),
        ({keys.INTERVENED: 1}, r"intervened: expected bool \(\), found int64"),
        ({keys.TIMESTAMP_S: "now"}, "timestamp_s: expected float32"),
    ],
)
def test_a_bad_step_field_is_refused(store, extra, message):
    logger = make_logger(Counter(), store, lambda *_: extra, metadata)
    with pytest.raises(SchemaError, match=message):
        run_episode(logger)
    assert store.num_episodes == 0


def test_an_observation_that_lacks_a_camera_is_refused(store):
    logger = make_logger(Counter(cameras=False), store, None, metadata)
    with pytest.raises(SchemaError, match=f"step 0: missing: {FRONT}"):
        logger.reset()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"collector": "robot"}, "collector is 'robot'; use one of scripted"),
        ({"success": "yes"}, "metadata field success: expected bool"),
        ({"operator": "me"}, "metadata field not in the schema: operator"),
    ],
)
def test_bad_episode_metadata_is_refused_and_the_next_episode_recorded(store, wrong, message):
    answers = iter([wrong, {}])
    logger = make_logger(Counter(), store, None, lambda *args: {**metadata(*args), **next(answers)})
    with pytest.raises(SchemaError, match=message):
        run_episode(logger)
    run_episode(logger)
    assert (store.num_episodes, logger.writer.episodes_dropped) == (1, 1)


def test_missing_episode_metadata_is_named(store):
    with pytest.raises(SchemaError, match="missing: collector, control_hz, robot, seed, success"):
        run_episode(make_logger(Counter(), store))


def test_what_happened_is_recorded_even_if_it_is_not_finite(store, dataset):
    logger = make_logger(Counter(), store, None, metadata)
    run_episode(logger, first=np.nan)
    assert np.isnan(open_dataset(dataset).episode(0)[keys.ACTION][:STEPS]).all()


def test_a_store_that_cannot_write_says_so_at_the_end_of_the_episode(store, dataset):
    import resource

    logger = make_logger(Counter(), store, None, metadata)
    run_episode(logger)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StoreWriteError, match="the 1 episodes before it are intact"):
            run_episode(logger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run_episode(logger)
    assert open_dataset(dataset).num_episodes == 2


def test_images_are_stored_as_the_schema_says(tmp_path):
    for encoding, magic in (("jpeg", b"\xff\xd8"), ("png", b"\x89PNG")):
        camera = Field(FRONT, "uint8", (8, 8, 3), encoding)
        fields = tuple(camera if field.path == FRONT else field for field in schema_of().steps)
        with EpisodeStore.open(tmp_path / encoding, Schema(fields)) as store:
            run_episode(make_logger(Counter(), store, None, metadata))
        episode = open_dataset(tmp_path / encoding).episode(0)
        assert all(frame.startswith(magic) for frame in episode[FRONT])
