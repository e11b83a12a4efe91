"""What is refused before anything starts, and what a run remembers."""

import dataclasses

import pytest

from serlds import __version__
from serlds.datasets.errors import DatasetNotFoundError, SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore
from serlds.datasets.verdict import VERDICT_FILE, read_verdict
from serlds.envs.recording import record_episodes
from serlds.envs.tasks import UnknownTaskError
from serlds.pipelines.validate import keep_verdict, validate
from serlds.training.config import VICEConfig
from serlds.training.presets import preset
from serlds.training.run_directory import RunDirectory, create_run_directory
from serlds.training.run_preparation import check_unchanged, prepare
from serlds.training.supervisor import resume, train


def changed(config, **changes):
    schedule = {name: changes.pop(name) for name in list(changes) if hasattr(config.schedule, name)}
    return dataclasses.replace(
        config, schedule=dataclasses.replace(config.schedule, **schedule), **changes
    )


SAC, BC = preset("sac").agent, preset("bc").agent
REFUSED = {
    "sac with demos": ({"algorithm": "sac", "agent": SAC}, "sac learns from its own"),
    "rlpd without demos": ({"demos": ()}, "rlpd needs demonstrations"),
    "bc without demos": ({"algorithm": "bc", "agent": BC, "demos": ()}, "bc needs demonstrations"),
    "bc with steps": ({"algorithm": "bc", "agent": BC}, "env_steps=60: bc acts in no"),
    "bc without updates": (
        {"algorithm": "bc", "agent": BC, "env_steps": 0},
        "offline_updates=0: bc needs updates",
    ),
    "rlpd without steps": ({"env_steps": 0}, "env_steps=0: rlpd needs"),
    "sac offline": (
        {"algorithm": "sac", "agent": SAC, "demos": (), "offline_updates": 5},
        "offline_updates=5: sac has nothing",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_contradictions_are_refused(tiny_rlpd, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        train(changed(tiny_rlpd, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_without_online_rows_is_refused(tiny_rlpd, tmp_path):
    agent = dataclasses.replace(tiny_rlpd.agent, demo_fraction=1.0)
    with pytest.raises(UsageError, match=r"demo_fraction=1.0: leaves no row of a batch of 8"):
        train(changed(tiny_rlpd, agent=agent), tmp_path / "run")


def test_vice_without_demonstrations_in_its_batches_is_refused(tiny_rlpd, tmp_path):
    agent = VICEConfig(sac=tiny_rlpd.agent.sac, demo_fraction=0.01)
    config = dataclasses.replace(tiny_rlpd, algorithm="vice", agent=agent)
    with pytest.raises(UsageError, match=r"demo_fraction=0.01: leaves no row of a batch of 8"):
        train(config, tmp_path / "run")


def test_vice_before_its_first_step_is_refused(tiny_rlpd, tmp_path):
    agent = VICEConfig(sac=tiny_rlpd.agent.sac)
    config = changed(tiny_rlpd, algorithm="vice", agent=agent, offline_updates=5)
    with pytest.raises(UsageError, match=r"offline_updates=5: vice's classifier"):
        train(config, tmp_path / "run")


def clones(config):
    return changed(config, algorithm="bc", agent=BC, env_steps=0, offline_updates=1)


def test_demonstrations_without_a_success(tiny_rlpd, tmp_path, capsys):
    """VICE refuses them; behaviour cloning tells of failures."""
    failures = record_episodes(
        tiny_rlpd.env_id, tiny_rlpd.env_args, tmp_path / "failures", by="random", episodes=2
    )
    assert not any(episode.success for episode in failures.episodes)
    agent = VICEConfig(sac=tiny_rlpd.agent.sac)
    config = changed(tiny_rlpd, algorithm="vice", agent=agent, demos=(str(failures.directory),))
    with pytest.raises(UsageError, match=r"no episode of .*failures/1\.0\.0 has a transition"):
        train(config, tmp_path / "run", allow_unvalidated=True)
    prepare(clones(config), allow_unvalidated=True)
    told = capsys.readouterr().err
    assert "2 of 2 episodes of" in told and "--apply only_successful" in told
    both = dataclasses.replace(config, demos=(*config.demos, *tiny_rlpd.demos))
    prepare(both, allow_unvalidated=True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"env_id": "serlds/NoSuchTask-v0"}, UnknownTaskError),
        ({"env_args": {"no_such_argument": 1}}, UsageError),
        ({"env_args": {"max_steps": -1}}, UsageError),
        ({"demos": ("/nowhere/demos",)}, DatasetNotFoundError),
    ],
)
def test_what_is_not_there_is_refused(tiny_rlpd, tmp_path, changes, error):
    with pytest.raises(error):
        train(changed(tiny_rlpd, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_demonstrations_of_another_task_are_refused_by_field(tiny_rlpd, tmp_path):
    blind = {"cameras": [], "object_state": False}
    prepare(changed(tiny_rlpd, env_args=blind))  # fields that are not needed may be there
    schema = open_dataset(tiny_rlpd.demos[0]).schema
    fields = tuple(f for f in schema.steps if f.path != "observation/state/cube_pos")
    without = tmp_path / "without_cube"
    episodes = open_dataset(tiny_rlpd.demos[0]).episodes()
    with EpisodeStore.open(without, dataclasses.replace(schema, steps=fields)) as store:
        for e in episodes:
            columns = {f.path: e.columns[f.path] for f in fields}
            store.append(dataclasses.replace(e, columns=columns))
    with pytest.raises(SchemaError, match="observation/state/cube_pos: expected float32"):
        train(changed(tiny_rlpd, demos=(str(without),)), tmp_path / "run")


def test_an_empty_dataset_is_refused(tiny_rlpd, tmp_path):
    schema = open_dataset(tiny_rlpd.demos[0]).schema
    EpisodeStore.open(tmp_path / "empty", schema).close()
    with pytest.raises(UsageError, match="has no episodes"):
        train(changed(tiny_rlpd, demos=(str(tmp_path / "empty"),)), tmp_path / "run")


def test_a_dataset_named_twice_is_refused(tiny_rlpd, tmp_path):
    (demos,) = tiny_rlpd.demos
    dataset = open_dataset(demos).directory
    (tmp_path / "again").symlink_to(dataset.parent)
    again = str(tmp_path / "again" / dataset.name)
    with pytest.raises(
        UsageError, match=r"again/1\.0\.0: holds the same episodes as .*demos/1\.0\.0"
    ):
        train(changed(tiny_rlpd, demos=(demos, again)), tmp_path / "run")


def test_demonstrations_from_elsewhere_are_told(tiny_rlpd, capsys):
    prepare(tiny_rlpd)
    assert "was recorded in" not in capsys.readouterr().err
    blind = {"cameras": [], "object_state": False}
    prepare(changed(tiny_rlpd, env_id="serlds/WidowXPegInsert-v0", env_args=blind))
    told = capsys.readouterr().err
    assert "recorded in serlds/WidowXPickCube-v0, and this run is of serlds/WidowXPeg" in told


def test_an_existing_run_is_not_touched(tiny_rlpd, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match=r"exists already.*--resume"):
        train(tiny_rlpd, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_the_record_names_all_that_the_run_depends_on(tiny_rlpd, tmp_path):
    record = prepare(tiny_rlpd)
    directory = create_run_directory(tmp_path / "run", record)
    assert RunDirectory.open(directory.path).read_record() == record
    (dataset,), opened = record.datasets, open_dataset(tiny_rlpd.demos[0])
    assert (dataset.name, dataset.version) == ("demos", "1.0.0")
    assert (dataset.digest, dataset.episodes) == (opened.digest, 5)
    assert dataset.verdict == read_verdict(opened.directory) and dataset.verdict.errors == 0
    assert record.task.state_fields == tuple(f.path for f in opened.schema.state_fields)
    assert record.versions["serlds"] == __version__
    assert {"jax", "dm-reverb", "numpy"} <= set(record.versions)


@pytest.fixture
def unvalidated(tiny_rlpd, tmp_path):
    """Directory of a copy of the demonstrations, and a run's configuration that names it."""
    opened = open_dataset(tiny_rlpd.demos[0])
    with EpisodeStore.open(tmp_path / "copy", opened.schema) as store:
        for episode in opened.episodes():
            store.append(episode)
    directory = tmp_path / "copy" / "1.0.0"
    return directory, changed(tiny_rlpd, demos=(str(directory),))


def test_demonstrations_must_have_been_validated(unvalidated, tmp_path):
    directory, config = unvalidated
    with pytest.raises(UsageError, match=r"has not been validated; run `serlds validate .*copy"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert prepare(config, allow_unvalidated=True).datasets[0].verdict is None
    keep_verdict(validate(directory))
    assert prepare(config).datasets[0].verdict.errors == 0
    (directory / VERDICT_FILE).write_text("{}")
    with pytest.raises(UsageError, match="has not been validated"):
        prepare(config)


def test_a_verdict_on_other_content_does_not_count(unvalidated):
    directory, config = unvalidated
    keep_verdict(validate(directory))
    opened = open_dataset(directory)
    with EpisodeStore.open(directory, opened.schema) as store:
        episode = opened.episode(0)
        metadata = {**episode.metadata, "episode_id": "another"}
        store.append(dataclasses.replace(episode, metadata=metadata))
    with pytest.raises(UsageError, match="has changed since it was validated"):
        prepare(config)
    keep_verdict(validate(directory))
    with pytest.raises(UsageError, match=r"has 1 error\(s\) by the checks duplicates"):
        prepare(config)
    assert prepare(config, allow_unvalidated=True).datasets[0].verdict.errors == 1


def test_a_run_that_began_is_resumed_without_asking_again(unvalidated, tmp_path):
    directory, config = unvalidated
    run = create_run_directory(tmp_path / "run", prepare(config, allow_unvalidated=True))
    check_unchanged(run.read_record())
    keep_verdict(validate(directory))
    check_unchanged(run.read_record())


def test_demonstrations_that_have_changed_stop_a_resume(tiny_rlpd, tmp_path):
    opened = open_dataset(tiny_rlpd.demos[0])
    with EpisodeStore.open(tmp_path / "copy", opened.schema) as store:
        store.append(opened.episode(0))
    record = prepare(changed(tiny_rlpd, demos=(str(tmp_path / "copy"),)), allow_unvalidated=True)
    check_unchanged(record)
    with EpisodeStore.open(tmp_path / "copy", opened.schema) as store:
        store.append(opened.episode(1))
    with pytest.raises(UsageError, match="have changed since the run began"):
        check_unchanged(record)


def test_a_resume_with_another_configuration_names_the_fields(tiny_rlpd, tmp_path):
    create_run_directory(tmp_path / "run", prepare(tiny_rlpd))
    asked = changed(tiny_rlpd, seed=3, batch_size=16)
    with pytest.raises(UsageError, match=r"(?s)schedule.batch_size: 8 .* 16 asked.*seed: 0 .* 3"):
        resume(tmp_path / "run", asked=asked)
    with pytest.raises(UsageError, match="60 in the run, 50 asked; it can only grow"):
        resume(tmp_path / "run", {"env_steps": 50})


def test_there_must_be_a_run_to_resume(tmp_path):
    with pytest.raises(UsageError, match="no run here"):
        resume(tmp_path)


def test_a_run_is_trained_by_one_at_a_time(tiny_rlpd, tmp_path):
    directory = create_run_directory(tmp_path / "run", prepare(tiny_rlpd))
    lock = directory.lock()
    with pytest.raises(UsageError, match=r"is being trained already.*process"):
        resume(directory.path)
    lock.release()
    directory.lock().release()
